//! `ip-restriction`

use serde_json::Value;

use super::{Scope, address, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    read::texts(config, &["whitelist"])
        .chain(read::texts(config, &["blacklist"]))
        .try_for_each(address)
}
