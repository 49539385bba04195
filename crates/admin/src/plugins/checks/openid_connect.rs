//! `openid-connect`

use lockgate_schema::Schema;
use serde_json::Value;

use super::{Scope, read};

/// Options that the reference uses inside, and how users must write them.
const RESERVED: &[(&str, &str)] = &[
    ("use_par", "par.enabled"),
    ("pushed_authorization_request_endpoint", "par.endpoint"),
    (
        "pushed_authorization_request_endpoint_auth_method",
        "par.endpoint_auth_method",
    ),
    ("use_dpop", "dpop.enabled"),
    ("dpop_signing_alg", "dpop.signing_alg"),
    ("dpop_private_key", "dpop.private_key"),
    ("dpop_public_jwk", "dpop.public_jwk"),
];

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    // An older way to write it.
    if read::text(config, &["ssl_verify"]) == Some("no")
        && let Some(fields) = config.as_object_mut()
    {
        fields.insert("ssl_verify".into(), Value::Bool(false));
    }
    check_secrets(config)?;
    scope.schema(config)?;
    if let Some(schema) = read::at(config, &["claim_schema"]) {
        Schema::compile(schema.clone())
            .map_err(|why| format!("check claim_schema failed: {why}"))?;
    }
    for (name, owner) in RESERVED {
        if config.get(*name).is_some() {
            return Err(format!(
                "property \"{name}\" is not allowed, use \"{owner}\" instead"
            ));
        }
    }
    check_dpop(config)?;
    check_assertion(config)?;
    check_par(config)
}

/// Secrets that the chosen flow needs.
fn check_secrets(config: &Value) -> Result<(), String> {
    let has = |field: &str| read::has(config, &[field]);
    let method = |field: &str| read::text(config, &[field]);
    if !has("bearer_only") && !has("session") {
        return Err("property \"session.secret\" is required when \"bearer_only\" is false".into());
    }
    let needs_no_secret = if has("bearer_only") {
        has("public_key")
            || has("use_jwks")
            || method("introspection_endpoint_auth_method") == Some("private_key_jwt")
    } else {
        method("token_endpoint_auth_method") == Some("private_key_jwt") || has("use_pkce")
    };
    if !needs_no_secret && !has("client_secret") {
        return Err("property \"client_secret\" is required".into());
    }
    Ok(())
}

/// The key that proofs of possession are signed with. That it is the private half of the public one is not checked.
fn check_dpop(config: &Value) -> Result<(), String> {
    let Some(dpop) = read::at(config, &["dpop"]).filter(|dpop| read::has(dpop, &["enabled"]))
    else {
        return Ok(());
    };
    let Some(key) = read::at(dpop, &["public_jwk"]) else {
        return Ok(());
    };
    let failed = |why: String| format!("property \"dpop.public_jwk\" validation failed: {why}");
    let kind = read::text(key, &["kty"]).unwrap_or("nil");
    let required: &[&str] = match kind {
        "EC" => &["crv", "x", "y"],
        "RSA" => &["e", "n"],
        other => return Err(failed(format!("kty \"{other}\" is not supported"))),
    };
    for member in required {
        match key.get(*member) {
            None => {
                let all = required.join(", ");
                return Err(failed(format!("kty \"{kind}\" requires {all}")));
            }
            Some(Value::String(text)) if !text.is_empty() => {}
            Some(_) => return Err(failed(format!("\"{member}\" must be a non-empty string"))),
        }
    }
    let algorithm = read::text(dpop, &["signing_alg"]).unwrap_or_default();
    let (expected, curve) = match algorithm {
        "ES256" => ("EC", Some("P-256")),
        "RS256" | "PS256" => ("RSA", None),
        _ => return Ok(()),
    };
    let setting = format!("property \"dpop.signing_alg\" \"{algorithm}\" requires");
    if kind != expected {
        return Err(format!("{setting} an {expected} \"dpop.public_jwk\""));
    }
    let found = read::text(key, &["crv"]);
    match curve {
        Some(curve) if found != Some(curve) => {
            let found = found.unwrap_or("nil");
            Err(format!(
                "{setting} \"dpop.public_jwk\" crv \"{curve}\", got \"{found}\""
            ))
        }
        _ => Ok(()),
    }
}

/// The credential that a method of authentication needs.
fn credential(method: &str) -> Option<&'static str> {
    match method {
        "private_key_jwt" => Some("client_rsa_private_key"),
        "client_secret_jwt" => Some("client_secret"),
        _ => None,
    }
}

/// The endpoints that will be called with this configuration, as the options that choose their authentication, and what they choose.
fn reachable(config: &Value) -> Vec<(&'static str, &str)> {
    let has = |path: &[&str]| read::has(config, path);
    let mut found = Vec::new();
    let mut add = |name: &'static str, path: &[&str]| {
        if let Some(method) = read::text(config, path) {
            found.push((name, method));
        }
    };
    if !has(&["public_key"])
        && !has(&["use_jwks"])
        && (has(&["bearer_only"]) || has(&["introspection_endpoint"]))
    {
        let name = "introspection_endpoint_auth_method";
        add(name, &[name]);
    }
    if !has(&["bearer_only"]) {
        let name = "token_endpoint_auth_method";
        let method = read::text(config, &[name]).unwrap_or_default();
        if credential(method).is_none_or(|credential| has(&[credential])) {
            add(name, &[name]);
        }
        if has(&["par", "enabled"]) {
            add("par.endpoint_auth_method", &["par", "endpoint_auth_method"]);
        }
    }
    found
}

/// All endpoints sign with one algorithm. That it fits the private key is not checked.
fn check_assertion(config: &Value) -> Result<(), String> {
    let Some(algorithm) = read::text(config, &["client_jwt_assertion_alg"]) else {
        return Ok(());
    };
    let reachable = reachable(config);
    let by = |method: &str| {
        let found = reachable.iter().find(|(_, chosen)| *chosen == method);
        found.map(|(name, _)| *name)
    };
    let (asymmetric, symmetric) = (by("private_key_jwt"), by("client_secret_jwt"));
    let setting = "property \"client_jwt_assertion_alg\"";
    let is_symmetric = algorithm.starts_with("HS");
    match (asymmetric, symmetric) {
        (Some(asymmetric), Some(symmetric)) => Err(format!(
            "{setting} is a single algorithm, but \"{asymmetric}\" selects private_key_jwt and \"{symmetric}\" selects client_secret_jwt"
        )),
        (Some(name), None) if is_symmetric => Err(format!(
            "{setting} \"{algorithm}\" is symmetric and cannot be used with the private_key_jwt selected by \"{name}\""
        )),
        (None, Some(name)) if !is_symmetric => Err(format!(
            "{setting} \"{algorithm}\" is asymmetric and cannot be used with the client_secret_jwt selected by \"{name}\""
        )),
        _ => Ok(()),
    }
}

fn check_par(config: &Value) -> Result<(), String> {
    if read::has(config, &["bearer_only"]) || !read::has(config, &["par", "enabled"]) {
        return Ok(());
    }
    let method = read::text(config, &["par", "endpoint_auth_method"]).unwrap_or_default();
    match credential(method) {
        Some(credential) if !read::has(config, &[credential]) => Err(format!(
            "property \"par.endpoint_auth_method\" \"{method}\" requires \"{credential}\" when \"par.enabled\" is true"
        )),
        _ => Ok(()),
    }
}
