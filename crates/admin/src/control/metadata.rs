//! Plugin metadata as the data plane sees it: secrets decrypted. Listed by falling priority of the plugins that are on.

use http::StatusCode;
use lockgate_keyring::Part;
use lockgate_store::StoreError;
use serde_json::Value;

use super::list;
use crate::{options::ControlOptions, response::Answer};

/// Of every plugin that is on and has any.
///
/// # Errors
/// The store failed.
pub(super) async fn all(options: &ControlOptions) -> Result<Answer, StoreError> {
    let mut found = Vec::new();
    for name in options.plugins.names() {
        found.extend(stored(options, name).await?);
    }
    Ok(Answer::json(StatusCode::OK, &list(found)))
}

/// Of one plugin, on or off (`dump_plugin_metadata` in `apisix/control/v1.lua`).
///
/// # Errors
/// The store failed.
pub(super) async fn one(options: &ControlOptions, name: &str) -> Result<Answer, StoreError> {
    Ok(match stored(options, name).await? {
        Some(metadata) => Answer::json(StatusCode::OK, &metadata),
        None => Answer::error(
            StatusCode::NOT_FOUND,
            format!("plugin metadata[{name}] not found"),
        ),
    })
}

async fn stored(options: &ControlOptions, name: &str) -> Result<Option<Value>, StoreError> {
    let entry = options
        .store
        .get(&format!("plugin_metadata/{name}"))
        .await?;
    Ok(entry.and_then(|entry| {
        let mut value: Value = serde_json::from_slice(&entry.value).ok()?;
        let id = Value::String(name.to_owned());
        value.as_object_mut()?.insert("id".into(), id);
        // As in the reference, what belongs to a plugin that is off is shown as it is stored, and so is what no key opens.
        if options.plugins.has(name) {
            let _unread = options.secrets.decrypt(name, Part::Metadata, &mut value);
        }
        Some(value)
    }))
}
