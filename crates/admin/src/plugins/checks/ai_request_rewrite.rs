//! `ai-request-rewrite`

use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    if read::text(config, &["provider"]) == Some("openai-compatible")
        && !read::has(config, &["override", "endpoint"])
    {
        return Err("override.endpoint is required for openai-compatible provider".into());
    }
    scope.schema(config)
}
