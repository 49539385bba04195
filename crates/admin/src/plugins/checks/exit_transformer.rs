//! `exit-transformer`: its functions are Lua chunks.

use serde_json::Value;

use super::{Scope, read};
use crate::lua_syntax;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for source in read::texts(config, &["functions"]) {
        lua_syntax::check(source)?;
    }
    Ok(())
}
