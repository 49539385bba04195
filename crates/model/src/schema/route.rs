//! The route: which requests, and what happens to them.

use serde_json::{Value, json};

use super::{part, upstream::upstream};

/// A route.
pub(super) fn route() -> Value {
    json!({
        "type": "object",
        "properties": {
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "enable_websocket": part::enable_websocket(),
            "filter_func": {"type": "string", "minLength": 10, "pattern": "^function"},
            "host": part::host(),
            "hosts": part::hosts(),
            "id": part::id(),
            "labels": part::labels(),
            "methods": {
                "type": "array",
                "items": {"type": "string", "description": "HTTP method", "enum": part::METHODS},
                "uniqueItems": true,
            },
            "name": part::name(),
            "plugin_config_id": part::id(),
            "plugins": part::plugins(),
            "priority": {"type": "integer", "default": 0},
            "remote_addr": part::address("client IP"),
            "remote_addrs": {
                "type": "array",
                "items": part::address("client IP"),
                "minItems": 1,
                "uniqueItems": true,
            },
            "script": part::script(),
            "script_id": part::id(),
            "service_id": part::id(),
            "status": part::status("route status, 1 to enable, 0 to disable"),
            "timeout": part::timeout(),
            "update_time": part::timestamp(),
            "upstream": upstream(),
            "upstream_id": part::id(),
            "uri": {"type": "string", "minLength": 1, "maxLength": 4096},
            "uris": {
                "type": "array",
                "items": {"type": "string", "description": "HTTP uri"},
                "minItems": 1,
                "uniqueItems": true,
            },
            "vars": {"type": "array"},
        },
        "allOf": [
            {"oneOf": [{"required": ["uri"]}, {"required": ["uris"]}]},
            {"oneOf": at_most_one("host", "hosts")},
            {"oneOf": at_most_one("remote_addr", "remote_addrs")},
        ],
        "anyOf": [
            {"required": ["plugins", "uri"]},
            {"required": ["upstream", "uri"]},
            {"required": ["upstream_id", "uri"]},
            {"required": ["service_id", "uri"]},
            {"required": ["plugins", "uris"]},
            {"required": ["upstream", "uris"]},
            {"required": ["upstream_id", "uris"]},
            {"required": ["service_id", "uris"]},
            {"required": ["script", "uri"]},
            {"required": ["script", "uris"]},
        ],
        "not": {"anyOf": [
            {"required": ["script", "plugins"]},
            {"required": ["script", "plugin_config_id"]},
        ]},
        "additionalProperties": false,
    })
}

/// Branches of which exactly one holds unless both properties are there.
fn at_most_one(one: &str, several: &str) -> Value {
    json!([
        {"not": {"anyOf": [{"required": [one]}, {"required": [several]}]}},
        {"required": [one]},
        {"required": [several]},
    ])
}
