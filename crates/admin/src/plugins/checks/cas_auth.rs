//! `cas-auth`

use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    let is_insecure = config.pointer("/cookie/secure") == Some(&Value::Bool(false));
    if is_insecure && read::text(config, &["cookie", "samesite"]) == Some("None") {
        return Err("cookie.secure must be true when cookie.samesite is \"None\"".into());
    }
    Ok(())
}
