//! `fault-injection`

use lockgate_expr::Expr;
use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for fault in ["abort", "delay"] {
        for rules in read::items(config, &[fault, "vars"]) {
            Expr::compile(rules).map_err(|why| why.to_string())?;
        }
    }
    Ok(())
}
