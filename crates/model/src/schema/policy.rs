//! What an upstream can do beyond the reference. Not part of the upstream's schema, which is published as the reference has it.

use serde_json::{Value, json};

/// The field `lockgate` of an upstream.
pub(super) fn policy() -> Value {
    json!({
        "type": "object",
        "properties": {
            "limits": limits(),
            "outlier": outlier(),
            "retry": retry(),
            "slow_start": {"type": "number", "minimum": 0, "maximum": 3600},
            "sticky": sticky(),
        },
        "additionalProperties": false,
    })
}

fn limits() -> Value {
    json!({
        "type": "object",
        "properties": {
            "max_pending": {"type": "integer", "minimum": 0, "maximum": 1_000_000, "default": 0},
            "max_requests": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "max_requests_per_node": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "pending_timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600, "default": 1},
        },
        "anyOf": [{"required": ["max_requests"]}, {"required": ["max_requests_per_node"]}],
        "additionalProperties": false,
    })
}

fn outlier() -> Value {
    json!({
        "type": "object",
        "properties": {
            "base_ejection": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400, "default": 30},
            "consecutive_failures": {"type": "integer", "minimum": 1, "maximum": 254, "default": 5},
            "http_statuses": statuses(),
            "max_ejected_percent": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
            "max_ejection": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400, "default": 300},
        },
        "additionalProperties": false,
    })
}

fn retry() -> Value {
    json!({
        "type": "object",
        "properties": {
            "backoff": {
                "type": "object",
                "properties": {
                    "base": {"type": "number", "minimum": 0, "maximum": 60, "default": 0.025},
                    "max": {"type": "number", "minimum": 0, "maximum": 60, "default": 0.25},
                },
                "additionalProperties": false,
            },
            "budget": {
                "type": "object",
                "properties": {
                    "min_per_second": {"type": "integer", "minimum": 0, "maximum": 1_000_000, "default": 10},
                    "ratio": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.2},
                },
                "additionalProperties": false,
            },
            "http_statuses": statuses(),
            "non_idempotent": {"type": "boolean", "default": false},
            "per_try_timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
        },
        "additionalProperties": false,
    })
}

fn sticky() -> Value {
    json!({
        "type": "object",
        "properties": {
            "cookie": {"type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "maxLength": 128, "default": "lockgate_node"},
            "http_only": {"type": "boolean", "default": true},
            "max_age": {"type": "integer", "minimum": 1, "maximum": 2_147_483_647},
            "path": {"type": "string", "pattern": "^/[ -:<-~]*$", "maxLength": 1024, "default": "/"},
            "same_site": {"type": "string", "enum": ["Strict", "Lax", "None"]},
            "secure": {"type": "boolean", "default": false},
        },
        "additionalProperties": false,
    })
}

fn statuses() -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "uniqueItems": true,
        "items": {"type": "integer", "minimum": 400, "maximum": 599},
    })
}
