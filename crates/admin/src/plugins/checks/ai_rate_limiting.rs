//! `ai-rate-limiting`

use serde_json::Value;

use super::{Scope, read};
use crate::lua_syntax;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    if read::text(config, &["limit_strategy"]) != Some("expression") {
        return Ok(());
    }
    let source = read::text(config, &["cost_expr"]).unwrap_or_default();
    if source.is_empty() {
        return Err("cost_expr is required when limit_strategy is 'expression'".into());
    }
    lua_syntax::check_named(&format!("return {source}"), "cost_expr")
        .map(drop)
        .map_err(|why| format!("invalid cost_expr: {why}"))
}
