//! `file-logger`: the path may come from the metadata instead.

use serde_json::Value;

use super::{Scope, expression, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    if let Some(rules) = read::at(config, &["match"]) {
        expression(Some(rules), "match")?;
    }
    scope.schema(config)?;
    let has_path = |config: &Value| read::has(config, &["path"]);
    if has_path(config) || scope.metadata.is_some_and(has_path) {
        return Ok(());
    }
    Err("property \"path\" is not set in either the plugin conf or the metadata".into())
}
