//! `traffic-label`

use serde_json::{Value, json};

use super::{Scope, proxy_rewrite, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for rule in read::items(config, &["rules"]) {
        let matched = rule.get("match").cloned().unwrap_or_else(|| json!([]));
        lockgate_expr::Expr::compile(&matched).map_err(|why| {
            format!("failed to validate the 'match' expression: {matched} err: {why}")
        })?;
        for action in read::items(rule, &["actions"]) {
            for (name, config) in action.as_object().into_iter().flatten() {
                match name.as_str() {
                    "weight" => {}
                    "set_headers" => check_headers(scope, config)?,
                    other => return Err(format!("not supported action: {other}")),
                }
            }
        }
    }
    Ok(())
}

/// Headers are checked as those of `proxy-rewrite`.
fn check_headers(scope: &Scope<'_>, headers: &Value) -> Result<(), String> {
    let Some(plugin) = scope.plugins.http.known("proxy-rewrite") else {
        return Ok(());
    };
    let inner = Scope { plugin, ..*scope };
    proxy_rewrite::check(&inner, &mut json!({ "headers": headers }))
        .map_err(|why| format!("failed to validate the 'set_headers' action: {why}"))
}
