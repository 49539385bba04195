//! Where secrets are kept (`apisix/admin/secrets.lua`).

use http::Method;
use lockgate_store::BoxFuture;

use super::{Kind, Rules, Subject};

/// The kind.
pub(super) const KIND: Kind = Kind {
    schema: None,
    schemas: MANAGERS,
    unsupported: &[Method::POST],
    ..Kind::plain(
        "secrets",
        "secret",
        "",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(async move { check(rules, subject) }) },
    )
};

/// Managers, by the names of their schemas.
const MANAGERS: &[&str] = &["secrets/aws", "secrets/gcp", "secrets/vault"];

fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    let Some(manager) = subject.parent else {
        return Err("missing secret type".into());
    };
    let Some(schema) = schema_of(manager) else {
        return Err(format!("invalid secret manager: {manager}"));
    };
    rules.schema(schema, subject.conf)
}

/// Name of the schema of a manager's secrets; `None` where there is no such manager.
pub(super) fn schema_of(manager: &str) -> Option<&'static str> {
    let named = |schema: &&&str| schema.strip_prefix("secrets/") == Some(manager);
    MANAGERS.iter().find(named).copied()
}
