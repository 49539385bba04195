//! A credential of a consumer.

use serde_json::{Value, json};

use super::part;

/// A credential: one plugin that authenticates.
pub(super) fn credential() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "id": {"oneOf": [
                part::id(),
                {
                    "type": "string",
                    "minLength": 15,
                    "maxLength": 128,
                    "pattern": "^[a-zA-Z0-9-_]+/credentials/[a-zA-Z0-9-_.]+$",
                },
            ]},
            "labels": part::labels(),
            "name": part::name(),
            "plugins": {"type": "object", "maxProperties": 1},
            "update_time": part::timestamp(),
        },
        "additionalProperties": false,
    })
}
