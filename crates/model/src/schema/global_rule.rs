//! The global rule: plugins that run for every request.

use serde_json::{Value, json};

use super::part;

/// A global rule.
pub(super) fn global_rule() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "id": part::id(),
            "plugins": part::plugins(),
            "update_time": part::timestamp(),
        },
        "required": ["id", "plugins"],
        "additionalProperties": false,
    })
}
