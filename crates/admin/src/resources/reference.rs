//! References between objects: that they lead somewhere, and that nothing is removed from under them.

use lockgate_store::{Entry, Store, StoreError};
use serde::Deserialize;
use serde_json::Value;

use crate::lua_value::{is_given, text_of};

use super::Rules;

/// Gets the object that `field` of `conf` names, where it names one.
///
/// `words` is how messages call it, such as `plugin config`.
///
/// # Errors
/// It is not there, or the store failed.
pub(super) async fn follow(
    rules: &Rules<'_>,
    conf: &Value,
    field: &str,
    kind: &str,
    words: &str,
) -> Result<Option<Entry>, String> {
    if rules.skips_references {
        return Ok(None);
    }
    find(rules, conf, field, kind, words).await
}

/// As [`follow`], also where references need not lead anywhere.
///
/// # Errors
/// As [`follow`].
pub(super) async fn find(
    rules: &Rules<'_>,
    conf: &Value,
    field: &str,
    kind: &str,
    words: &str,
) -> Result<Option<Entry>, String> {
    let Some(id) = conf.get(field).filter(|id| is_given(Some(id))) else {
        return Ok(None);
    };
    let id = text_of(id);
    let failed = format!("failed to fetch {words} info by {words} id [{id}]");
    match rules.store.get(&format!("{kind}/{id}")).await {
        Ok(Some(entry)) => Ok(Some(entry)),
        Ok(None) => Err(format!("{failed}, response code: 404")),
        Err(error) => Err(format!("{failed}: {error}")),
    }
}

/// What an object refers to. Everything else in it is skipped without being built.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Uses {
    upstream_id: Value,
    service_id: Value,
    plugin_config_id: Value,
    group_id: Value,
    protocol: Value,
    plugins: Value,
}

impl Uses {
    /// Whether `upstream_id` names this upstream.
    pub(super) fn upstream(&self, id: &str) -> bool {
        names(&self.upstream_id, id)
    }

    /// Whether `service_id` names this service.
    pub(super) fn service(&self, id: &str) -> bool {
        names(&self.service_id, id)
    }

    /// Whether `plugin_config_id` names this plugin configuration.
    pub(super) fn plugin_config(&self, id: &str) -> bool {
        names(&self.plugin_config_id, id)
    }

    /// Whether `group_id` names this group of consumers.
    pub(super) fn consumer_group(&self, id: &str) -> bool {
        names(&self.group_id, id)
    }

    /// Whether `protocol.superior_id` names this stream route.
    pub(super) fn superior(&self, id: &str) -> bool {
        let superior = self.protocol.get("superior_id");
        superior.is_some_and(|superior| names(superior, id))
    }

    /// Whether the plugin grpc-transcode names this proto.
    pub(super) fn proto_in_plugins(&self, id: &str) -> bool {
        let proto = self.plugins.pointer("/grpc-transcode/proto_id");
        proto.is_some_and(|proto| names(proto, id))
    }

    /// Whether a rule of the plugin traffic-split names this upstream.
    pub(super) fn upstream_in_plugins(&self, id: &str) -> bool {
        let list = |value: &Value, field: &str| -> Vec<Value> {
            let found = value.get(field).and_then(Value::as_array);
            found.cloned().unwrap_or_default()
        };
        let Some(split) = self.plugins.get("traffic-split") else {
            return false;
        };
        list(split, "rules")
            .iter()
            .flat_map(|rule| list(rule, "weighted_upstreams"))
            .any(|target| {
                target
                    .get("upstream_id")
                    .is_some_and(|named| names(named, id))
            })
    }
}

fn names(reference: &Value, id: &str) -> bool {
    !reference.is_null() && text_of(reference) == id
}

/// The objects of one kind and what they refer to, in the order in which they were made: id and references. What cannot be read refers to
/// nothing.
pub(super) async fn uses(store: &dyn Store, kind: &str) -> Result<Vec<(String, Uses)>, StoreError> {
    let prefix = format!("{kind}/");
    let listing = store.list(&prefix).await?;
    let uses = listing.entries.iter().filter_map(|entry| {
        let id = id_of(&prefix, entry)?;
        let uses = serde_json::from_slice(&entry.value).ok()?;
        Some((id.to_owned(), uses))
    });
    Ok(uses.collect())
}

/// The id in a key; `None` where the key is of an object inside another one, such as a credential of a consumer.
pub(crate) fn id_of<'a>(prefix: &str, entry: &'a Entry) -> Option<&'a str> {
    let id = entry.key.strip_prefix(prefix)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}
