//! The certificate of a server, or of a client towards an upstream.

use serde_json::{Value, json};

use super::part;

/// An ssl where the plugin `ocsp-stapling` is switched on (`init` in `apisix/plugins/ocsp-stapling.lua`).
pub(super) fn with_ocsp_stapling() -> Value {
    let mut schema = ssl();
    if let Some(properties) = schema
        .pointer_mut("/properties")
        .and_then(Value::as_object_mut)
    {
        properties.insert(
            "ocsp_stapling".to_owned(),
            json!({
                "type": "object",
                "properties": {
                    "cache_ttl": {"type": "integer", "minimum": 60, "default": 3600},
                    "enabled": {"type": "boolean", "default": false},
                    "skip_verify": {"type": "boolean", "default": false},
                },
            }),
        );
    }
    schema
}

/// An ssl.
pub(super) fn ssl() -> Value {
    json!({
        "type": "object",
        "properties": {
            "cert": part::certificate(),
            "certs": {"type": "array", "items": part::certificate()},
            "client": {
                "type": "object",
                "properties": {
                    "ca": part::certificate(),
                    "depth": {"type": "integer", "minimum": 0, "default": 1},
                    "skip_mtls_uri_regex": {
                        "type": "array",
                        "items": {
                            "type": "string",
                            "description": "uri regular expression to skip mtls",
                        },
                        "minItems": 1,
                        "uniqueItems": true,
                    },
                },
                "required": ["ca"],
            },
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "id": part::id(),
            "key": part::private_key(),
            "keys": {"type": "array", "items": part::private_key()},
            "labels": part::labels(),
            "sni": part::sni(),
            "snis": {"type": "array", "items": part::sni(), "minItems": 1},
            "ssl_protocols": {
                "type": "array",
                "description": "set ssl protocols",
                "items": {"enum": ["TLSv1.1", "TLSv1.2", "TLSv1.3"]},
                "maxItems": 3,
                "uniqueItems": true,
            },
            "status": part::status("ssl status, 1 to enable, 0 to disable"),
            "type": {
                "type": "string",
                "description": "ssl certificate type, server to server certificate, client to client certificate for upstream",
                "enum": ["server", "client"],
                "default": "server",
            },
            "update_time": part::timestamp(),
        },
        "if": {"properties": {"type": {"enum": ["server"]}}},
        "then": {"oneOf": [
            {"required": ["sni", "key", "cert"]},
            {"required": ["snis", "key", "cert"]},
        ]},
        "else": {"required": ["key", "cert"]},
        "additionalProperties": false,
    })
}
