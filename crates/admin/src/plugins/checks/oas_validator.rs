//! `oas-validator`

use lockgate_schema::is_secret_reference;
use serde_json::Value;

use super::{Scope, read};
use crate::json;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    match read::text(config, &["spec"]) {
        Some(spec) if !is_secret_reference(spec) => json::decode(spec.as_bytes())
            .map(drop)
            .map_err(|why| format!("invalid JSON string provided, err: {why}")),
        _ => Ok(()),
    }
}
