//! Routes of TCP and UDP connections (`apisix/admin/stream_routes.lua`, `stream_route_checker` in `apisix/stream/router/ip_port.lua`).

use http::Method;
use lockgate_expr::IpSet;
use lockgate_store::{BoxFuture, Store, StoreError};
use serde_json::Value;

use crate::lua_value::{is_given, text_of};

use super::{Kind, Rules, Sealed, Subject, reference};

/// The kind.
pub(super) const KIND: Kind = Kind {
    unsupported: &[Method::PATCH],
    find_user: Some(|store, id| -> BoxFuture<'_, _> { Box::pin(find_user(store, id)) }),
    filters: &["service_id", "upstream_id"],
    sealed: Sealed::keys(&["/upstream/tls/client_key"]),
    ..Kind::plain(
        "stream_routes",
        "stream route",
        "stream_route",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject)) },
    )
};

async fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    let conf = subject.conf;
    rules.schema("stream_route", conf)?;
    reference::follow(rules, conf, "upstream_id", "upstreams", "upstream").await?;
    reference::follow(rules, conf, "service_id", "services", "service").await?;
    if let Some(protocol) = conf.get("protocol") {
        check_superior(rules, subject.id, protocol).await?;
    }
    check_meaning(rules, conf)
}

/// Checks what the schema cannot say and what does not depend on other objects.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_meaning(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    if let Some(plugins) = conf.get("plugins").and_then(Value::as_object) {
        rules.plugins.check_stream(plugins, rules)?;
    }
    for field in ["remote_addr", "server_addr"] {
        if let Some(address) = conf.get(field).and_then(Value::as_str)
            && IpSet::parse([address]).is_err()
        {
            return Err(format!("invalid {field}: {address}"));
        }
    }
    match conf.pointer("/protocol/name").and_then(Value::as_str) {
        // Protocols are switched on in config.yaml, and none is built in.
        Some(name) => Err(format!("unknown protocol [{name}]")),
        None => Ok(()),
    }
}

/// Checks that the route that a route belongs to is there and speaks the same protocol.
async fn check_superior(
    rules: &Rules<'_>,
    id: Option<&str>,
    protocol: &Value,
) -> Result<(), String> {
    let superior = protocol.get("superior_id");
    let Some(superior) = superior.filter(|id| is_given(Some(id)) && !rules.skips_references) else {
        return Ok(());
    };
    let superior = text_of(superior);
    if id == Some(&*superior) {
        return Err("stream route can not set itself as superior_id".into());
    }
    let failed = format!("failed to fetch stream routes[{superior}]");
    let entry = match rules.store.get(&format!("stream_routes/{superior}")).await {
        Ok(Some(entry)) => entry,
        Ok(None) => return Err(format!("{failed}, response code: 404")),
        Err(error) => return Err(format!("{failed}: {error}")),
    };
    let name = |protocol: &Value| {
        let name = protocol.get("name").and_then(Value::as_str);
        name.unwrap_or_default().to_owned()
    };
    let route: Value = serde_json::from_slice(&entry.value).unwrap_or_default();
    match route.get("protocol") {
        Some(theirs) if name(theirs) != name(protocol) => Err(format!(
            "protocol mismatch: subordinate protocol [{}] does not match superior protocol [{}]",
            name(protocol),
            name(theirs)
        )),
        _ => Ok(()),
    }
}

async fn find_user(store: &dyn Store, id: &str) -> Result<Option<String>, StoreError> {
    let uses = reference::uses(store, "stream_routes").await?;
    let user = uses.iter().find(|(_, uses)| uses.superior(id));
    Ok(user.map(|(user, _)| {
        format!("can not delete this stream route directly, stream route [{user}] is still using it as superior_id")
    }))
}
