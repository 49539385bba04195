//! Definitions of gRPC services (`apisix/admin/proto.lua`).

use http::Method;
use lockgate_store::{BoxFuture, Store, StoreError};
use serde_json::Value;

use crate::protobuf;

use super::{Kind, Rules, Subject, reference};

/// The kind.
pub(super) const KIND: Kind = Kind {
    unsupported: &[Method::PATCH],
    find_user: Some(|store, id| -> BoxFuture<'_, _> { Box::pin(find_user(store, id)) }),
    ..Kind::plain(
        "protos",
        "proto",
        "proto",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(async move { check(rules, subject) }) },
    )
};

fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    rules.schema("proto", subject.conf)?;
    let content = subject.conf.get("content").and_then(Value::as_str);
    protobuf::check(content.unwrap_or_default()).map_err(|why| format!("invalid content: {why}"))
}

async fn find_user(store: &dyn Store, id: &str) -> Result<Option<String>, StoreError> {
    for (kind, words) in [("routes", "route"), ("services", "service")] {
        let uses = reference::uses(store, kind).await?;
        if let Some((user, _)) = uses.iter().find(|(_, uses)| uses.proto_in_plugins(id)) {
            return Ok(Some(format!(
                "can not delete this proto, {words} [{user}] is still using it now"
            )));
        }
    }
    Ok(None)
}
