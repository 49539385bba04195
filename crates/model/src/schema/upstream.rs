//! The upstream: nodes, and how they are reached.

use serde_json::{Value, json};

use super::{health_checker::health_checker, part};

/// An upstream, in its own right or inside another resource.
pub(super) fn upstream() -> Value {
    json!({
        "type": "object",
        "properties": {
            "checks": health_checker(),
            "create_time": part::timestamp(),
            "desc": part::desc(),
            "discovery_args": {
                "type": "object",
                "properties": {
                    "group_name": {"type": "string", "description": "group name"},
                    "namespace_id": {"type": "string", "description": "namespace id"},
                },
            },
            "discovery_type": {"type": "string", "description": "discovery type"},
            "hash_on": {
                "type": "string",
                "enum": ["vars", "header", "cookie", "consumer", "vars_combinations"],
                "default": "vars",
            },
            "id": part::id(),
            "keepalive_pool": {
                "type": "object",
                "properties": {
                    "idle_timeout": {"type": "number", "minimum": 0, "default": 60},
                    "requests": {"type": "integer", "minimum": 1, "default": 1000},
                    "size": {"type": "integer", "minimum": 1, "default": 320},
                },
            },
            "key": {"type": "string", "description": "the key of chash for dynamic load balancing"},
            "labels": part::labels(),
            "name": part::name(),
            "nodes": nodes(),
            "pass_host": {
                "type": "string",
                "description": "mod of host passing",
                "enum": ["pass", "node", "rewrite"],
                "default": "pass",
            },
            "retries": {"type": "integer", "minimum": 0},
            "retry_timeout": {"type": "number", "minimum": 0},
            "scheme": {
                "description": "The scheme of the upstream. For L7 proxy, it can be one of grpc/grpcs/http/https. For L4 proxy, it can be one of tcp/tls/udp. For specific protocols, it can be kafka.",
                "enum": ["grpc", "grpcs", "http", "https", "tcp", "tls", "udp", "kafka"],
                "default": "http",
            },
            "service_name": {"type": "string", "minLength": 1, "maxLength": 256},
            "timeout": part::timeout(),
            "tls": tls(),
            "type": {
                "type": "string",
                "description": "algorithms of load balancing",
                "default": "roundrobin",
            },
            "update_time": part::timestamp(),
            "upstream_host": part::host(),
        },
        "oneOf": [{"required": ["nodes"]}, {"required": ["service_name", "discovery_type"]}],
        "additionalProperties": false,
    })
}

/// Nodes as a map from `host:port` to weight, or as a list.
fn nodes() -> Value {
    let weight = json!({"type": "integer", "description": "weight of node", "minimum": 0});
    json!({"anyOf": [
        {"type": "object", "patternProperties": {".*": weight}},
        {"type": "array", "items": {
            "type": "object",
            "properties": {
                "host": part::host(),
                "metadata": {"type": "object", "description": "metadata of node"},
                "port": part::port(Some("port of node")),
                "priority": {"type": "integer", "description": "priority of node", "default": 0},
                "weight": weight,
            },
            "required": ["host", "weight"],
        }},
    ]})
}

fn tls() -> Value {
    json!({
        "type": "object",
        "properties": {
            "client_cert": part::certificate(),
            "client_cert_id": part::id(),
            "client_key": part::private_key(),
            "verify": {
                "type": "boolean",
                "description": "Turn on server certificate verification, currently only kafka upstream is supported",
                "default": false,
            },
        },
        "dependencies": {
            "client_cert": {"required": ["client_key"]},
            "client_cert_id": {"not": {"required": ["client_cert", "client_key"]}},
            "client_key": {"required": ["client_cert"]},
        },
    })
}

/// The `key` of an upstream that hashes on a header or a cookie.
pub(super) fn hash_header() -> Value {
    json!({"type": "string", "pattern": "^[a-zA-Z0-9-_]+$"})
}

/// The `key` of an upstream that hashes on variables.
pub(super) fn hash_vars() -> Value {
    // `A-z` is the reference's.
    let pattern = "^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$";
    json!({"type": "string", "pattern": pattern})
}
