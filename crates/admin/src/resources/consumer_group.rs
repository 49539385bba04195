//! Groups of consumers (`apisix/admin/consumer_group.lua`).

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
        "consumer_groups",
        "consumer group",
        "consumer_group",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject)) },
    )
};

async fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    rules.schema("consumer_group", subject.conf)?;
    rules.plugins(subject.conf, Purpose::Plugin).await
}

async fn find_user(store: &dyn Store, id: &str) -> Result<Option<String>, StoreError> {
    let uses = reference::uses(store, "consumers").await?;
    let user = uses.iter().find(|(_, uses)| uses.consumer_group(id));
    Ok(user.map(|(user, _)| {
        format!("can not delete this consumer group, consumer [{user}] is still using it now")
    }))
}
