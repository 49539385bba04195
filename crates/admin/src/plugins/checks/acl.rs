//! `acl`

use lockgate_expr::JsonPath;
use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    match read::text(config, &["external_user_label_field"]) {
        None => Ok(()),
        Some(path) => JsonPath::parse(path)
            .map(|_| ())
            .map_err(|why| format!("invalid external_user_label_field: {why}")),
    }
}
