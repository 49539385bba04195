//! `serverless-pre-function` and `serverless-post-function`. The chunks are not run: what a call or a variable returns is not known.

use serde_json::Value;

use super::{Scope, read};
use crate::lua_syntax::{self, Returned};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for source in read::texts(config, &["functions"]) {
        let returned =
            lua_syntax::check(source).map_err(|why| format!("failed to loadstring: {why}"))?;
        let kind = match returned {
            Returned::Function | Returned::Unknown => continue,
            Returned::Table => "table",
            Returned::Other(kind) => kind,
        };
        return Err(format!(
            "only accept Lua function, the input code type is {kind}"
        ));
    }
    Ok(())
}
