//! `redirect`

use lockgate_schema::is_secret_reference;
use serde_json::Value;

use super::{Scope, read, regex};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    if let [Value::String(pattern), Value::String(replacement), ..] =
        read::items(config, &["regex_uri"])
        && !is_secret_reference(pattern)
    {
        regex::check(pattern)
            .and_then(|()| regex::check_replacement(replacement))
            .map_err(|why| format!("invalid regex_uri ({pattern}, {replacement}), err:{why}"))?;
    }
    if read::has(config, &["http_to_https"]) && read::has(config, &["append_query_string"]) {
        return Err(
            "only one of `http_to_https` and `append_query_string` can be configured.".into(),
        );
    }
    Ok(())
}
