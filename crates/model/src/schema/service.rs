//! The service: what several routes have in common.

use serde_json::{Value, json};

use super::{part, upstream::upstream};

/// A service.
pub(super) fn service() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "enable_websocket": part::enable_websocket(),
            "hosts": part::hosts(),
            "id": part::id(),
            "labels": part::labels(),
            "name": part::name(),
            "plugins": part::plugins(),
            "script": part::script(),
            "update_time": part::timestamp(),
            "upstream": upstream(),
            "upstream_id": part::id(),
        },
        "additionalProperties": false,
    })
}
