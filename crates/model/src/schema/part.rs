//! What the schemas of several resources have in common.

use serde_json::{Value, json};

/// Methods that a route or a probe may name.
pub(super) const METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE",
];

/// Bytes of a script, at least and at most.
const SCRIPT_BYTES: (u32, u32) = (10, 102_400);

/// The pattern of a host name, with or without a leading wildcard.
const HOST: &str = r"^\*$|^\*?[0-9a-zA-Z-._\[\]:]+$";

/// An identifier: a short name or a positive number.
pub(super) fn id() -> Value {
    json!({"anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-_.]+$"},
        {"type": "integer", "minimum": 1},
    ]})
}

/// A name for people.
pub(super) fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 256})
}

/// A description for people.
pub(super) fn desc() -> Value {
    json!({"type": "string", "maxLength": 256})
}

/// Labels: words to find resources by.
pub(super) fn labels() -> Value {
    json!({
        "type": "object",
        "description": "key/value pairs to specify attributes",
        "patternProperties": {".*": {
            "type": "string",
            "description": "value of label",
            "pattern": r"^\S+$",
            "minLength": 1,
            "maxLength": 256,
        }},
    })
}

/// Seconds since the epoch.
pub(super) fn timestamp() -> Value {
    json!({"type": "integer"})
}

/// Plugins by name; each configuration has a schema of its own.
pub(super) fn plugins() -> Value {
    json!({"type": "object"})
}

/// A script that stands in for plugins.
pub(super) fn script() -> Value {
    let (least, most) = SCRIPT_BYTES;
    json!({"type": "string", "minLength": least, "maxLength": most})
}

/// Whether `Upgrade: websocket` is passed on.
pub(super) fn enable_websocket() -> Value {
    json!({"type": "boolean", "description": "enable websocket for request"})
}

/// 1 where the resource is in use, 0 where it is not.
pub(super) fn status(description: &str) -> Value {
    json!({"type": "integer", "description": description, "enum": [1, 0], "default": 1})
}

/// A host, with or without a wildcard.
pub(super) fn host() -> Value {
    json!({"type": "string", "pattern": HOST})
}

/// Several hosts, each once.
pub(super) fn hosts() -> Value {
    json!({"type": "array", "items": host(), "minItems": 1, "uniqueItems": true})
}

/// A name of a TLS server, which looks as a host does.
pub(super) fn sni() -> Value {
    host()
}

/// A TCP or UDP port.
pub(super) fn port(description: Option<&str>) -> Value {
    let mut schema = json!({"type": "integer", "minimum": 1, "maximum": 65535});
    if let (Some(schema), Some(description)) = (schema.as_object_mut(), description) {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

/// An address or a CIDR block, of either version.
pub(super) fn address(description: &str) -> Value {
    const SEGMENT: &str = "([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])";
    let v4 = [SEGMENT; 4].join(r"\.");
    // Lenient: `:/8` passes. The reference says as much.
    let v6 = "([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?";
    json!({"type": "string", "description": description, "anyOf": [
        {"title": "IPv4", "type": "string", "format": "ipv4"},
        {"title": "IPv4/CIDR", "type": "string", "pattern": format!("^{v4}/([12]?[0-9]|3[0-2])$")},
        {"title": "IPv6", "type": "string", "format": "ipv6"},
        {"title": "IPv6/CIDR", "type": "string", "pattern": format!("^{v6}/[0-9]{{1,3}}$")},
    ]})
}

/// Seconds to connect, to send and to read; all three or none.
pub(super) fn timeout() -> Value {
    let seconds = json!({"type": "number", "exclusiveMinimum": 0});
    json!({
        "type": "object",
        "properties": {"connect": seconds, "read": seconds, "send": seconds},
        "required": ["connect", "send", "read"],
    })
}

/// A certificate in PEM.
pub(super) fn certificate() -> Value {
    json!({"type": "string", "minLength": 128, "maxLength": 65536})
}

/// A private key in PEM.
pub(super) fn private_key() -> Value {
    json!({"type": "string", "minLength": 64, "maxLength": 65536})
}
