//! `cors`

use serde_json::Value;

use super::{Scope, read, regex};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    let is_open = [
        "allow_origins",
        "allow_methods",
        "allow_headers",
        "expose_headers",
        "timing_allow_origins",
    ]
    .iter()
    .any(|field| read::text(config, &[field]) == Some("*"));
    if is_open && read::has(config, &["allow_credential"]) {
        return Err("you can not set '*' for other option when 'allow_credential' is true".into());
    }
    read::texts(config, &["allow_origins_by_regex"])
        .chain(read::texts(config, &["timing_allow_origins_by_regex"]))
        .try_for_each(regex::check)
}
