//! Loggers that log bodies by expressions (`check_log_schema` in `apisix/utils/log-util.lua`).

use serde_json::Value;

use super::{Scope, expression, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for field in ["include_req_body_expr", "include_resp_body_expr"] {
        if let Some(rules) = read::at(config, &[field]) {
            expression(Some(rules), field)?;
        }
    }
    Ok(())
}
