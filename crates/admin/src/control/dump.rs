//! Stored objects as the data plane sees them: defaults filled in, nodes as a list, secrets of plugins decrypted.

use std::net::IpAddr;

use http::StatusCode;
use lockgate_keyring::Part;
use lockgate_store::{Entry, StoreError};
use serde_json::{Map, Value, json};

use super::list;
use crate::{options::ControlOptions, response::Answer, schemas::Schemas};

/// A kind of object that can be shown.
pub(super) struct Kind {
    plural: &'static str,
    /// The name in messages and of the schema.
    pub(super) singular: &'static str,
    /// Where the upstream stands in it; `None` where the object is one.
    upstream: Option<&'static str>,
}

/// Every kind.
pub(super) static KINDS: &[&Kind] = &[&ROUTES, &SERVICES, &UPSTREAMS];

/// Routes.
pub(super) static ROUTES: Kind = Kind {
    plural: "routes",
    singular: "route",
    upstream: Some("upstream"),
};

/// Services.
pub(super) static SERVICES: Kind = Kind {
    plural: "services",
    singular: "service",
    upstream: Some("upstream"),
};

/// Upstreams.
pub(super) static UPSTREAMS: Kind = Kind {
    plural: "upstreams",
    singular: "upstream",
    upstream: None,
};

/// Shows one object, or all of a kind.
///
/// # Errors
/// The store failed.
pub(super) async fn answer(
    options: &ControlOptions,
    schemas: &Schemas,
    kind: &Kind,
    id: Option<&str>,
) -> Result<Answer, StoreError> {
    let mut not_in_force = (options.problems)();
    not_in_force.retain(|problem| !problem.is_in_force);
    let is_loaded = |entry: &Entry| {
        not_in_force
            .iter()
            .all(|problem| *problem.key != *entry.key)
    };
    let show = |entry: &Entry| kind.show(options, schemas, entry);
    let Some(id) = id else {
        let prefix = format!("{}/", kind.plural);
        let listing = options.store.list(&prefix).await?;
        let shown = listing.entries.iter().filter(|entry| is_loaded(entry));
        let shown: Vec<Value> = shown.filter_map(show).collect();
        return Ok(Answer::json(StatusCode::OK, &list(shown)));
    };
    let entry = options.store.get(&format!("{}/{id}", kind.plural)).await?;
    let shown = entry.filter(is_loaded).as_ref().and_then(show);
    Ok(match shown {
        Some(shown) => Answer::json(StatusCode::OK, &shown),
        None => Answer::error(
            StatusCode::NOT_FOUND,
            format!("{}[{id}] not found", kind.singular),
        ),
    })
}

impl Kind {
    /// An entry for people; `None` where it is none of this kind's objects.
    fn show(&self, options: &ControlOptions, schemas: &Schemas, entry: &Entry) -> Option<Value> {
        let id = entry.key.strip_prefix(self.plural)?.strip_prefix('/')?;
        if id.contains('/') {
            return None;
        }
        let mut value: Value = serde_json::from_slice(&entry.value).ok()?;
        schemas.fill(self.singular, &mut value);
        if let Some(configs) = value.get_mut("plugins").and_then(Value::as_object_mut) {
            // What no key opens is shown as it is stored, and is among the problems.
            let _unread = options.secrets.decrypt_all(configs, Part::Plugin);
            options.plugins.fill(configs);
        }
        value
            .as_object_mut()?
            .insert("id".into(), Value::String(id.to_owned()));
        let upstream = match self.upstream {
            Some(field) => value.get_mut(field),
            None => Some(&mut value),
        };
        let nodes = upstream.and_then(|upstream| upstream.get_mut("nodes"));
        let has_domain = nodes.is_some_and(|nodes| {
            list_nodes(nodes);
            nodes.as_array().into_iter().flatten().any(is_domain)
        });
        Some(json!({
            "key": format!("{}/{}", options.prefix, entry.key),
            "value": value,
            "createdIndex": entry.create_revision,
            "modifiedIndex": entry.mod_revision,
            "has_domain": has_domain,
        }))
    }
}

/// Makes a map of addresses to weights a list of nodes.
fn list_nodes(nodes: &mut Value) {
    let Value::Object(map) = nodes else { return };
    let list = map.iter().map(|(address, weight)| {
        let (host, port) = split_address(address);
        let mut node = Map::new();
        node.insert("host".into(), Value::String(host.to_owned()));
        if let Some(port) = port {
            node.insert("port".into(), Value::from(port));
        }
        node.insert("weight".into(), weight.clone());
        Value::Object(node)
    });
    *nodes = list.collect();
}

fn split_address(address: &str) -> (&str, Option<u16>) {
    let split = address.rsplit_once(':').filter(|(host, _)| {
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        is_bracketed || !host.contains(':')
    });
    match split {
        Some((host, port)) => (host, port.parse().ok()),
        None => (address, None),
    }
}

fn is_domain(node: &Value) -> bool {
    let host = node.get("host").and_then(Value::as_str).unwrap_or_default();
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    address.parse::<IpAddr>().is_err()
}
