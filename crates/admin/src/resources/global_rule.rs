//! Plugins that run for every request (`apisix/admin/global_rules.lua`).

use http::Method;
use lockgate_keyring::Part;
use lockgate_store::BoxFuture;
use serde_json::Value;

use crate::{lua_value::text_of, plugins::Purpose};

use super::{Kind, Rules, Sealed, Subject};

/// The kind.
pub(super) const KIND: Kind = Kind {
    unsupported: &[Method::POST],
    sealed: Sealed::plugins(Part::Plugin),
    ..Kind::plain(
        "global_rules",
        "global rule",
        "global_rule",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject)) },
    )
};

async fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    rules.schema("global_rule", subject.conf)?;
    rules.plugins(subject.conf, Purpose::Plugin).await?;
    let plugins = subject.conf.get("plugins").and_then(Value::as_object);
    let Some(plugins) = plugins.filter(|plugins| !plugins.is_empty()) else {
        return Ok(());
    };
    let listing = rules.store.list("global_rules/").await;
    let listing = listing.map_err(|error| error.to_string())?;
    for entry in &listing.entries {
        let Ok(other) = serde_json::from_slice::<Value>(&entry.value) else {
            continue;
        };
        let id = other.get("id").map(text_of).unwrap_or_default();
        if Some(&*id) == subject.id {
            continue;
        }
        let others = other.get("plugins");
        let taken = plugins
            .keys()
            .find(|name| others.is_some_and(|others| others.get(name).is_some()));
        if let Some(name) = taken {
            return Err(format!(
                "plugin '{name}' already exists in global rule with id '{id}'"
            ));
        }
    }
    Ok(())
}
