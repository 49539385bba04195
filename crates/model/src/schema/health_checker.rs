//! The health checker of an upstream.

use serde_json::{Value, json};

use super::part;

/// Active probes, passive observation, or both.
pub(super) fn health_checker() -> Value {
    json!({
        "type": "object",
        "properties": {"active": active(), "passive": passive()},
        "anyOf": [{"required": ["active"]}, {"required": ["active", "passive"]}],
    })
}

fn active() -> Value {
    json!({
        "type": "object",
        "properties": {
            "concurrency": {"type": "integer", "default": 10},
            "healthy": {
                "type": "object",
                "properties": {
                    "http_statuses": statuses(&[200, 302]),
                    "interval": interval(),
                    "successes": count(1, 2),
                },
            },
            "host": part::host(),
            "http_method": {"type": "string", "enum": part::METHODS, "default": "GET"},
            "http_path": {"type": "string", "default": "/"},
            "http_req_body": {"type": "string", "default": ""},
            "https_verify_certificate": {"type": "boolean", "default": true},
            "port": part::port(None),
            "req_headers": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "uniqueItems": true},
            },
            "timeout": {"type": "number", "default": 1},
            "type": kind(),
            "unhealthy": {
                "type": "object",
                "properties": {
                    "http_failures": count(1, 5),
                    "http_statuses": statuses(&[429, 404, 500, 501, 502, 503, 504, 505]),
                    "interval": interval(),
                    "tcp_failures": count(1, 2),
                    "timeouts": count(1, 3),
                },
            },
        },
    })
}

fn passive() -> Value {
    let healthy = [
        200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307,
        308,
    ];
    json!({
        "type": "object",
        "properties": {
            "healthy": {
                "type": "object",
                "properties": {"http_statuses": statuses(&healthy), "successes": count(0, 5)},
            },
            "type": kind(),
            "unhealthy": {
                "type": "object",
                "properties": {
                    "http_failures": count(0, 5),
                    "http_statuses": statuses(&[429, 500, 503]),
                    "tcp_failures": count(0, 2),
                    "timeouts": count(0, 7),
                },
            },
        },
    })
}

fn kind() -> Value {
    json!({"type": "string", "enum": ["http", "https", "tcp"], "default": "http"})
}

/// Seconds between probes.
fn interval() -> Value {
    json!({"type": "integer", "minimum": 1, "default": 1})
}

/// How many results in a row change the verdict.
fn count(least: u8, default: u8) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": 254, "default": default})
}

fn statuses(default: &[u16]) -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "items": {"type": "integer", "minimum": 200, "maximum": 599},
        "uniqueItems": true,
        "default": default,
    })
}
