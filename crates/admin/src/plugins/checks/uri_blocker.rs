//! `uri-blocker`

use serde_json::Value;

use super::{Scope, read, regex};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    read::texts(config, &["block_rules"]).try_for_each(regex::check)
}
