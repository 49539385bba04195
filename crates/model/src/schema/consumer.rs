//! Consumers and groups of them.

use serde_json::{Value, json};

use super::part;

/// A consumer: who sends requests.
pub(super) fn consumer() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "group_id": part::id(),
            "id": part::id(),
            "labels": part::labels(),
            "plugins": part::plugins(),
            "update_time": part::timestamp(),
            "username": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "pattern": r"^[a-zA-Z0-9_\-]+$",
            },
        },
        "required": ["username"],
        "additionalProperties": false,
    })
}

/// A group: plugins that several consumers have in common.
pub(super) fn group() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "id": part::id(),
            "labels": part::labels(),
            "name": part::name(),
            "plugins": part::plugins(),
            "update_time": part::timestamp(),
        },
        "required": ["id", "plugins"],
        "additionalProperties": false,
    })
}
