//! `jwt-auth`

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_schema::is_secret_reference;
use serde_json::Value;

use super::{Scope, read};
use crate::plugins::Purpose;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    if scope.purpose != Purpose::Consumer {
        return Ok(());
    }
    let is_shared = read::text(config, &["algorithm"]).is_some_and(|name| name.starts_with("HS"));
    let secret = read::text(config, &["secret"]);
    if is_shared && secret.is_none() {
        return Err("property \"secret\" is required when using HS based algorithms".into());
    }
    if let Some(secret) = secret
        && read::has(config, &["base64_secret"])
        && !is_secret_reference(secret)
        && STANDARD.decode(secret).is_err()
    {
        return Err("base64_secret required but the secret is not in base64 format".into());
    }
    if !is_shared && !read::has(config, &["public_key"]) {
        return Err("missing valid public key".into());
    }
    Ok(())
}
