//! `acl`

use serde_json::Value;

use super::{Scope, read};
use crate::jsonpath;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    match read::text(config, &["external_user_label_field"]) {
        None => Ok(()),
        Some(path) => {
            jsonpath::check(path).map_err(|why| format!("invalid external_user_label_field: {why}"))
        }
    }
}
