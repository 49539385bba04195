//! `ai-proxy-multi`

use std::collections::HashMap;

use lockgate_schema::Schema;
use serde_json::Value;

use super::{Scope, ai_proxy, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    check_instances(config)?;
    match read::text(config, &["balancer", "algorithm"]) {
        Some("chash") => check_hash(config),
        Some("semantic") => check_semantic(config),
        _ => Ok(()),
    }
}

fn check_instances(config: &Value) -> Result<(), String> {
    let mut names = HashMap::new();
    for (place, instance) in (1..).zip(read::items(config, &["instances"])) {
        let name = read::text(instance, &["name"]).unwrap_or("?");
        if let Some(first) = names.insert(name, place) {
            return Err(format!(
                "duplicate instance name '{name}' at instances[{first}] and instances[{place}]"
            ));
        }
        if let Some(endpoint) = read::text(instance, &["override", "endpoint"])
            && path_of(endpoint).is_none()
        {
            return Err("invalid endpoint".into());
        }
        ai_proxy::check_account(instance)?;
        ai_proxy::check_provider(instance).map_err(|why| format!("instance '{name}': {why}"))?;
    }
    Ok(())
}

/// What is behind scheme and host of an HTTP address; `None` where it is none.
fn path_of(address: &str) -> Option<&str> {
    let rest = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"))?;
    let host_ends = rest.find([':', '/']).unwrap_or(rest.len());
    if host_ends == 0 {
        return None;
    }
    rest.find('/').map_or(Some(""), |place| rest.get(place..))
}

fn check_hash(config: &Value) -> Result<(), String> {
    let Some(hash_on) = read::text(config, &["balancer", "hash_on"]) else {
        return Err("must configure `hash_on` when balancer algorithm is chash".into());
    };
    let key = read::at(config, &["balancer", "key"]);
    let name = match hash_on {
        "consumer" => return Ok(()),
        "vars" => "upstream_hash_vars_schema",
        "header" | "cookie" => "upstream_hash_header_schema",
        _ => "",
    };
    let Some(key) = key else {
        return Err(
            "must configure `hash_key` when balancer `hash_on` is not set to cookie".into(),
        );
    };
    let schema = lockgate_model::schema::of(name).map(Schema::compile);
    match schema {
        Some(Ok(schema)) => schema
            .check(key)
            .map_err(|finding| format!("invalid configuration: {finding}")),
        // vars_combinations: any text.
        _ => Ok(()),
    }
}

fn check_semantic(config: &Value) -> Result<(), String> {
    let Some(embeddings) = read::at(config, &["semantic_opts", "embeddings"]) else {
        return Err(
            "must configure `semantic_opts.embeddings` when balancer algorithm is semantic".into(),
        );
    };
    let endpoint = read::text(embeddings, &["endpoint"]);
    if endpoint.is_some_and(|endpoint| path_of(endpoint).is_none()) {
        return Err("invalid `semantic_opts.embeddings.endpoint`".into());
    }
    if read::text(embeddings, &["provider"]) == Some("azure-openai") {
        let Some(endpoint) = endpoint else {
            return Err("must configure `semantic_opts.embeddings.endpoint` when embeddings provider is azure-openai".into());
        };
        let path = path_of(endpoint).unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        if path.is_empty() || path == "/" {
            return Err("`semantic_opts.embeddings.endpoint` for azure-openai must include the full deployment path, e.g. https://{resource}.openai.azure.com/openai/deployments/{deployment}/embeddings?api-version=...".into());
        }
    }
    let fallback = read::text(config, &["semantic_opts", "fallback"]);
    let mut has_fallback = false;
    for instance in read::items(config, &["instances"]) {
        let name = read::text(instance, &["name"]);
        has_fallback |= fallback.is_some() && fallback == name;
        if !read::texts(instance, &["examples"]).any(|example| !example.is_empty()) {
            let name = name.unwrap_or("?");
            return Err(format!(
                "instance '{name}': must configure non-empty `examples` for the semantic algorithm"
            ));
        }
    }
    match fallback {
        Some(name) if !has_fallback => Err(format!(
            "`semantic_opts.fallback` names unknown instance '{name}'"
        )),
        _ => Ok(()),
    }
}
