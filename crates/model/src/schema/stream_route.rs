//! The stream route: which connections, and what happens to them.

use serde_json::{Value, json};

use super::{part, upstream::upstream};

/// A stream route.
pub(super) fn stream_route() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "id": part::id(),
            "labels": part::labels(),
            "name": part::name(),
            "plugins": part::plugins(),
            "protocol": protocol(),
            "remote_addr": part::address("client IP"),
            "server_addr": part::address("server IP"),
            "server_port": part::port(Some("server port")),
            "service_id": part::id(),
            "sni": sni(),
            "update_time": part::timestamp(),
            "upstream": upstream(),
            "upstream_id": part::id(),
        },
        "additionalProperties": false,
    })
}

fn sni() -> Value {
    let mut schema = part::sni();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), "server name indication".into());
    }
    schema
}

/// The protocol that is spoken on the connection.
fn protocol() -> Value {
    json!({
        "type": "object",
        "properties": {
            "conf": {"type": "object", "description": "protocol-specific configuration"},
            "logger": {"type": "array", "items": {
                "properties": {
                    "conf": {"type": "object", "description": "logger plugin configuration"},
                    "filter": {"type": "array", "description": "logger filter rules"},
                    "name": {"type": "string"},
                },
                "dependencies": {"name": ["conf"]},
                "additionalProperties": false,
            }},
            "name": {"type": "string"},
            "superior_id": part::id(),
        },
        "required": ["name"],
    })
}
