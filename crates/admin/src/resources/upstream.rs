//! Upstreams, alone and inside routes and services (`apisix/admin/upstreams.lua`, `check_upstream_conf` in `apisix/upstream.lua`).

use std::net::Ipv6Addr;

use lockgate_store::{BoxFuture, Store, StoreError};
use serde_json::Value;

use crate::{
    key_pair,
    lua_value::{is_given, to_number},
};

use super::{Kind, Rules, Sealed, reference};

/// The kind.
pub(super) const KIND: Kind = Kind {
    schemas: &[HASH_VARS, HASH_HEADER],
    sealed: Sealed::keys(&["/tls/client_key"]),
    find_user: Some(|store, id| -> BoxFuture<'_, _> { Box::pin(find_user(store, id)) }),
    ..Kind::plain(
        "upstreams",
        "upstream",
        "upstream",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject.conf)) },
    )
};

/// Schema of `key` where a variable is hashed.
const HASH_VARS: &str = "upstream_hash_vars_schema";
/// Schema of `key` where a header or cookie is hashed.
const HASH_HEADER: &str = "upstream_hash_header_schema";

/// Checks an upstream, wherever it stands.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn check(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    if has_bare_ipv6_node(conf) {
        return Err("invalid configuration: IPv6 address must be enclosed with '[' and ']'".into());
    }
    rules.schema("upstream", conf)?;
    check_ports(conf)?;
    let tls = conf.get("tls").unwrap_or(&Value::Null);
    check_certificate_reference(rules, tls).await?;
    check_meaning(rules, conf)
}

/// Checks what the schema cannot say and what does not depend on other objects.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_meaning(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    let tls = conf.get("tls").unwrap_or(&Value::Null);
    let text = |field: &str| conf.get(field).and_then(Value::as_str);
    if text("pass_host") == Some("rewrite") && text("upstream_host").unwrap_or_default().is_empty()
    {
        return Err("`upstream_host` can't be empty when `pass_host` is `rewrite`".into());
    }
    if let Some(certificate) = tls.get("client_cert").and_then(Value::as_str) {
        key_pair::check(
            rules.keyring(),
            certificate,
            tls.get("client_key").and_then(Value::as_str),
        )?;
    }
    if is_given(conf.get("checks")) && conf.pointer("/lockgate/outlier").is_some() {
        return Err(
            "lockgate.outlier is for upstreams without checks: passive checks do the same".into(),
        );
    }
    check_hash_key(rules, conf)
}

fn has_bare_ipv6_node(conf: &Value) -> bool {
    let nodes = conf.get("nodes").and_then(Value::as_array);
    nodes.into_iter().flatten().any(|node| {
        let host = node.get("host").and_then(Value::as_str);
        host.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
    })
}

/// Ports inside the keys of a map of nodes, which the schema cannot see.
fn check_ports(conf: &Value) -> Result<(), String> {
    let nodes = conf.get("nodes").and_then(Value::as_object);
    for port in nodes
        .into_iter()
        .flatten()
        .filter_map(|(address, _)| port_of(address))
    {
        if !(1.0..=65_535.0).contains(&port) {
            return Err(format!("invalid port {port}"));
        }
    }
    Ok(())
}

/// The port in `host:port` or `[address]:port`; an address with more than one colon has none.
fn port_of(address: &str) -> Option<f64> {
    let (host, port) = address.rsplit_once(':')?;
    let has_host = if host.starts_with('[') {
        host.ends_with(']')
    } else {
        !host.contains(':')
    };
    has_host.then(|| to_number(port)).flatten()
}

async fn check_certificate_reference(rules: &Rules<'_>, tls: &Value) -> Result<(), String> {
    let Some(entry) = reference::find(rules, tls, "client_cert_id", "ssls", "ssl").await? else {
        return Ok(());
    };
    let is_client = serde_json::from_slice::<Value>(&entry.value)
        .is_ok_and(|ssl| ssl.get("type").and_then(Value::as_str) == Some("client"));
    if is_client {
        return Ok(());
    }
    let id = entry.key.rsplit('/').next().unwrap_or_default();
    Err(format!(
        "failed to fetch ssl info by ssl id [{id}], wrong ssl type"
    ))
}

fn check_hash_key(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    if conf.get("type").and_then(Value::as_str) != Some("chash") {
        return Ok(());
    }
    let hash_on = conf
        .get("hash_on")
        .and_then(Value::as_str)
        .unwrap_or("vars");
    let key = conf.get("key").filter(|key| is_given(Some(key)));
    if hash_on == "consumer" {
        return Ok(());
    }
    let Some(key) = key else {
        return Err("missing key".into());
    };
    match hash_on {
        "vars" => rules.schema(HASH_VARS, key),
        "header" | "cookie" => rules.schema(HASH_HEADER, key),
        // vars_combinations: any text.
        _ => Ok(()),
    }
}

async fn find_user(store: &dyn Store, id: &str) -> Result<Option<String>, StoreError> {
    for (kind, words) in [
        ("routes", "route"),
        ("services", "service"),
        ("plugin_configs", "plugin_config"),
        ("consumers", "consumer"),
        ("consumer_groups", "consumer_group"),
        ("global_rules", "global_rules"),
    ] {
        for (user, uses) in reference::uses(store, kind).await? {
            let place = if uses.upstream_in_plugins(id) {
                "plugin in "
            } else if uses.upstream(id) {
                ""
            } else {
                continue;
            };
            return Ok(Some(format!(
                "can not delete this upstream, {place}{words} [{user}] is still using it now"
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_ports_in_addresses() {
        for (address, expected) in [
            ("127.0.0.1:80", Some(80.0)),
            ("a.b:0", Some(0.0)),
            ("a.b:70000", Some(70_000.0)),
            ("[::1]:8080", Some(8080.0)),
            ("[::1]", None),
            ("::1", None),
            ("a.b", None),
            ("a.b:", None),
            ("a.b:x", None),
            ("[::1:80", None),
        ] {
            assert_eq!(port_of(address), expected, "{address}");
        }
    }
}
