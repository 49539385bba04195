//! Plugins that several routes share (`apisix/admin/plugin_config.lua`).

use http::Method;
use lockgate_keyring::Part;
use lockgate_store::{BoxFuture, Store, StoreError};

use crate::plugins::Purpose;

use super::{Kind, Rules, Sealed, Subject, reference};

/// The kind.
pub(super) const KIND: Kind = Kind {
    unsupported: &[Method::POST],
    find_user: Some(|store, id| -> BoxFuture<'_, _> { Box::pin(find_user(store, id)) }),
    sealed: Sealed::plugins(Part::Plugin),
    ..Kind::plain(
        "plugin_configs",
        "plugin config",
        "plugin_config",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject)) },
    )
};

async fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    rules.schema("plugin_config", subject.conf)?;
    rules.plugins(subject.conf, Purpose::Plugin).await
}

async fn find_user(store: &dyn Store, id: &str) -> Result<Option<String>, StoreError> {
    let uses = reference::uses(store, "routes").await?;
    let user = uses.iter().find(|(_, uses)| uses.plugin_config(id));
    Ok(user.map(|(user, _)| {
        format!("can not delete this plugin config, route [{user}] is still using it now")
    }))
}
