//! The proto: a protocol buffers definition.

use serde_json::{Value, json};

use super::part;

/// Characters of a definition, at most.
const CONTENT_MOST: u32 = 1 << 20;

/// A proto.
pub(super) fn proto() -> Value {
    json!({
        "type": "object",
        "properties": {
            "content": {"type": "string", "minLength": 1, "maxLength": CONTENT_MOST},
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "id": part::id(),
            "labels": part::labels(),
            "name": part::name(),
            "update_time": part::timestamp(),
        },
        "required": ["content"],
        "additionalProperties": false,
    })
}
