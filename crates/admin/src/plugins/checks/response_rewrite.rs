//! `response-rewrite`

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_schema::is_secret_reference;
use serde_json::Value;

use super::{Scope, expression, proxy_rewrite, read, regex};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    if let Some(headers) = read::at(config, &["headers"]) {
        proxy_rewrite::check_headers(headers, false)?;
    }
    let body = read::text(config, &["body"]).unwrap_or_default();
    if read::has(config, &["body_base64"])
        && !is_secret_reference(body)
        && (body.is_empty() || STANDARD.decode(body).is_err())
    {
        return Err("invalid base64 content".into());
    }
    if let Some(rules) = read::at(config, &["vars"]) {
        expression(Some(rules), "vars")?;
    }
    for filter in read::items(config, &["filters"]) {
        let text = |field| read::text(filter, &[field]).unwrap_or_default();
        let pattern = text("regex");
        regex::check_options(text("options"))
            .map_err(|why| format!("regex \"{pattern}\" validation failed: {why}"))?;
    }
    Ok(())
}
