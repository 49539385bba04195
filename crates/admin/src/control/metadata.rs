//! Plugin metadata that this process knows, in the order of the list of plugins.

use http::StatusCode;
use lockgate_store::StoreError;
use serde_json::Value;

use super::list;
use crate::{options::ControlOptions, response::Answer};

/// Of every plugin that has any.
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

/// Of one plugin.
///
/// # Errors
/// The store failed.
pub(super) async fn one(options: &ControlOptions, name: &str) -> Result<Answer, StoreError> {
    let is_on = options.plugins.has(name);
    let found = if is_on {
        stored(options, name).await?
    } else {
        None
    };
    Ok(match found {
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
        Some(value)
    }))
}
