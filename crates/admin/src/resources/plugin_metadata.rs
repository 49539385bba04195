//! What a plugin knows of its own, whichever object names it (`apisix/admin/plugin_metadata.lua`).

use http::Method;
use lockgate_keyring::Part;
use lockgate_store::BoxFuture;

use super::{Identity, Kind, Rules, Sealed, Subject};

/// The kind.
pub(super) const KIND: Kind = Kind {
    schema: None,
    identity: Identity::Path,
    unsupported: &[Method::POST, Method::PATCH],
    sealed: Sealed::plugins(Part::Metadata),
    ..Kind::plain(
        "plugin_metadata",
        "plugin_metadata",
        "",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(async move { check(rules, subject) }) },
    )
};

fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    match subject.id {
        Some(name) => rules.plugins.check_metadata(name, subject.conf),
        None => Err("missing plugin name".into()),
    }
}
