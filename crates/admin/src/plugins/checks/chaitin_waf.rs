//! `chaitin-waf`

use serde_json::Value;

use super::{Scope, expression, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    read::items(config, &["match"])
        .iter()
        .try_for_each(|matched| expression(matched.get("vars"), "vars"))
}
