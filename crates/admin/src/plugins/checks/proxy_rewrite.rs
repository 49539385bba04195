//! `proxy-rewrite`

use lockgate_schema::is_secret_reference;
use serde_json::Value;

use super::{Scope, read, regex};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    let rules = read::items(config, &["regex_uri"]);
    if !rules.len().is_multiple_of(2) {
        return Err("The length of regex_uri should be an even number".into());
    }
    for rule in rules.chunks_exact(2) {
        let [Value::String(pattern), Value::String(replacement)] = rule else {
            continue;
        };
        if !is_secret_reference(pattern) {
            regex::check(pattern)
                .and_then(|()| regex::check_replacement(replacement))
                .map_err(|why| format!("invalid regex_uri({pattern}, {replacement}): {why}"))?;
        }
    }
    match read::at(config, &["headers"]) {
        Some(headers) => check_headers(headers, true),
        None => Ok(()),
    }
}

/// Checks headers that are written as names and values. Those written as `add`, `set` and `remove` are settled by the schema.
///
/// # Errors
/// One that cannot be sent; its characters count where `has_strict_characters`.
pub(super) fn check_headers(headers: &Value, has_strict_characters: bool) -> Result<(), String> {
    let is_action = |action: &&str| {
        headers
            .get(*action)
            .is_some_and(|fields| fields.is_object() || fields.is_array())
    };
    if ["add", "set", "remove"].iter().any(is_action) {
        return Ok(());
    }
    if headers.as_array().is_some_and(|items| !items.is_empty()) {
        return Err("invalid type as header field".into());
    }
    for (name, value) in headers.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) => "",
            _ => return Err("invalid type as header value".into()),
        };
        if name.is_empty() {
            return Err("invalid field length in header".into());
        }
        if !has_strict_characters {
            continue;
        }
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
        {
            return Err("invalid field character in header".into());
        }
        if !text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        {
            return Err("invalid value character in header".into());
        }
    }
    Ok(())
}
