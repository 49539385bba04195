//! `ai-prompt-guard`

use serde_json::Value;

use super::{Scope, read, regex};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for (list, word) in [("allow_patterns", "allow"), ("deny_patterns", "deny")] {
        for pattern in read::texts(config, &[list]) {
            regex::check(pattern).map_err(|_why| format!("invalid {word}_pattern: {pattern}"))?;
        }
    }
    Ok(())
}
