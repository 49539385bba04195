//! Certificates (`apisix/admin/ssl.lua`, `check_ssl_conf` in `apisix/ssl.lua`).

use lockgate_schema::is_secret_reference;
use lockgate_store::BoxFuture;
use serde_json::Value;

use crate::{key_pair, schemas::SSL_WITH_OCSP};

use super::{Kind, Rules, Sealed};

/// The kind.
pub(super) const KIND: Kind = Kind {
    schemas: &[SSL_WITH_OCSP],
    hidden: &["key", "keys"],
    sealed: Sealed::keys(&["/key", "/keys"]),
    ..Kind::plain("ssls", "ssl", "ssl", |rules, subject| -> BoxFuture<'_, _> {
        Box::pin(async move { check(rules, subject.conf) })
    })
};

fn check(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    rules.schema("ssl", conf)?;
    check_meaning(rules, conf)
}

/// Checks what the schema cannot say.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_meaning(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    let text = |field: &str| conf.get(field).and_then(Value::as_str).unwrap_or_default();
    check_pair(rules, text("cert"), text("key"))?;
    if text("type") == "client" {
        return Ok(());
    }
    let list = |field: &str| conf.get(field).and_then(Value::as_array);
    let certificates = list("certs").map_or(&[][..], Vec::as_slice);
    let keys = list("keys").map_or(&[][..], Vec::as_slice);
    if certificates.len() != keys.len() {
        return Err("mismatched number of certs and keys".into());
    }
    for (place, (certificate, key)) in (1..).zip(certificates.iter().zip(keys)) {
        let (certificate, key) = (certificate.as_str(), key.as_str());
        check_pair(
            rules,
            certificate.unwrap_or_default(),
            key.unwrap_or_default(),
        )
        .map_err(|why| format!("failed to handle cert-key pair[{place}]: {why}"))?;
    }
    match conf.pointer("/client/ca").and_then(Value::as_str) {
        Some(authority) if !is_secret_reference(authority) => {
            key_pair::check(rules.keyring(), authority, None)
                .map_err(|why| format!("failed to validate client_cert: {why}"))
        }
        _ => Ok(()),
    }
}

/// Checks a certificate and its key, unless one of them is a reference to a secret.
fn check_pair(rules: &Rules<'_>, certificate: &str, key: &str) -> Result<(), String> {
    if is_secret_reference(certificate) || is_secret_reference(key) {
        return Ok(());
    }
    key_pair::check(rules.keyring(), certificate, Some(key))
}
