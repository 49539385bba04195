//! `mocking`

use serde_json::Value;

use super::{Scope, read};

/// Types of content that it can make.
const TYPES: &[&str] = &[
    "application/json",
    "application/xml",
    "text/html",
    "text/plain",
    "text/xml",
];

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    let written = read::text(config, &["content_type"]).unwrap_or_default();
    // The reference's pattern is greedy: the parameters begin at the last semicolon.
    let kind = written.rsplit_once(';').map_or(written, |(kind, _)| kind);
    if TYPES.contains(&kind) {
        return Ok(());
    }
    Err("unsupported content type!".into())
}
