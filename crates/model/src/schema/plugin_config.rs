//! The plugin config: plugins that several routes have in common.

use serde_json::{Value, json};

use super::part;

/// A plugin config.
pub(super) fn plugin_config() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "id": part::id(),
            "labels": part::labels(),
            // Without bounds, unlike the names of other resources.
            "name": {"type": "string"},
            "plugins": part::plugins(),
            "update_time": part::timestamp(),
        },
        "required": ["id", "plugins"],
        "additionalProperties": false,
    })
}
