//! Credentials of consumers (`apisix/admin/credentials.lua`).

use http::Method;
use lockgate_keyring::Part;
use lockgate_store::BoxFuture;
use serde_json::Value;

use crate::plugins::Plugin;

use super::{Kind, Rules, Sealed, Subject, consumer};

/// The kind.
pub(super) const KIND: Kind = Kind {
    unsupported: &[Method::POST, Method::PATCH],
    sealed: Sealed::plugins(Part::Consumer),
    ..Kind::plain(
        "credentials",
        "credential",
        "credential",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject)) },
    )
};

async fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    let conf = subject.conf;
    rules.schema("credential", conf)?;
    consumer::check_plugins(rules, conf).await?;
    let plugins = conf.get("plugins").and_then(Value::as_object);
    for name in plugins.into_iter().flat_map(serde_json::Map::keys) {
        if !rules.plugins.get(name).is_some_and(Plugin::is_auth) {
            return Err("only supports auth type plugins in consumer credential".into());
        }
    }
    match subject.parent {
        Some(name) => consumer::check_keys(rules, conf, name, subject.id).await,
        None => Ok(()),
    }
}
