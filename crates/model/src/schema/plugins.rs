//! The list of plugins that are switched on.

use serde_json::{Value, json};

/// A list of plugins.
pub(super) fn list() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                // A property of that name, which is forbidden: in the reference, the keyword slipped in here.
                "additionalProperties": false,
                "name": {"type": "string", "minLength": 1},
                "stream": {"type": "boolean"},
            },
            "required": ["name"],
        },
    })
}
