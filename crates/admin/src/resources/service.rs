//! Services (`apisix/admin/services.lua`).

use lockgate_keyring::Part;
use lockgate_store::{BoxFuture, Store, StoreError};
use serde_json::Value;

use crate::plugins::Purpose;

use super::{Kind, Rules, Sealed, reference, route, upstream};

/// The kind.
pub(super) const KIND: Kind = Kind {
    find_user: Some(|store, id| -> BoxFuture<'_, _> { Box::pin(find_user(store, id)) }),
    owned: Some("graphql_cost_decorations"),
    sealed: Sealed {
        plugins: Some(Part::Plugin),
        keys: &["/upstream/tls/client_key"],
    },
    ..Kind::plain(
        "services",
        "service",
        "service",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject.conf)) },
    )
};

async fn check(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    rules.schema("service", conf)?;
    if let Some(inner) = conf.get("upstream") {
        upstream::check(rules, inner).await?;
    }
    reference::follow(rules, conf, "upstream_id", "upstreams", "upstream").await?;
    rules.plugins(conf, Purpose::Plugin).await?;
    if let Some(source) = conf.get("script").and_then(Value::as_str) {
        route::check_script(source)?;
    }
    Ok(())
}

async fn find_user(store: &dyn Store, id: &str) -> Result<Option<String>, StoreError> {
    for (kind, words) in [("routes", "route"), ("stream_routes", "stream_route")] {
        let uses = reference::uses(store, kind).await?;
        if let Some((user, _)) = uses.iter().find(|(_, uses)| uses.service(id)) {
            return Ok(Some(format!(
                "can not delete this service directly, {words} [{user}] is still using it now"
            )));
        }
    }
    Ok(None)
}
