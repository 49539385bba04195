//! What the reference refuses by schema before it starts (`apisix/cli/schema.lua`), in its words.

use std::fmt::Write as _;

use lockgate_schema::Schema;
use serde_json::{Value, json};

use super::{discovery::Discovery, tree::Node};

/// Checks the merged file; the error is the reference's sentence and the path it speaks of. What `discovery` says is read
/// on the way, with the defaults of its schemas.
pub(super) fn check(tree: &Node) -> Result<Discovery, (String, String)> {
    let whole = tree.to_json();
    find(&whole_schema(), &whole)
        .map_err(|(finding, path)| (format!("failed to validate config: {finding}"), path))?;
    let discovery = Discovery::read(whole.get("discovery"))
        .map_err(|refusal| (refusal.message, format!("discovery.{}", refusal.kind)))?;
    let deployment = whole.get("deployment").cloned().unwrap_or_default();
    let role = deployment
        .get("role")
        .and_then(Value::as_str)
        .unwrap_or("traditional")
        .to_owned();
    find(&deployment_schema(&role), &deployment).map_err(|(finding, path)| {
        let message = format!("invalid deployment {role} configuration: {finding}");
        (message, format!("deployment.{path}"))
    })?;
    Ok(discovery)
}

fn find(schema: &Value, value: &Value) -> Result<(), (String, String)> {
    let schema =
        Schema::compile(schema.clone()).expect("invariant: the schemas of this module are schemas");
    schema.check(value).map_err(|finding| {
        let finding = finding.to_string();
        let path = path_of(&finding);
        (finding, path)
    })
}

/// The path that a finding speaks of, in the notation of [`Node::at`].
fn path_of(finding: &str) -> String {
    let mut path = String::new();
    let mut rest = finding;
    loop {
        if let Some((name, after)) = rest
            .strip_prefix("property \"")
            .and_then(|rest| rest.split_once('"'))
        {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            rest = after
                .strip_prefix(" validation failed: ")
                .unwrap_or_default();
        } else if let Some((number, after)) = rest
            .strip_prefix("failed to validate item ")
            .and_then(|rest| rest.split_once(": "))
        {
            let number = number.parse::<usize>().unwrap_or(1);
            let _infallible = write!(path, "[{}]", number.saturating_sub(1));
            rest = after;
        } else {
            return path;
        }
    }
}

fn integer() -> Value {
    json!({"type": "integer"})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// An object with these properties.
fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties})
}

/// A list of at least `least` items.
fn list(items: &Value, least: u32) -> Value {
    json!({"type": "array", "items": items, "minItems": least})
}

fn one_of_these(choices: &[Value]) -> Value {
    json!({"anyOf": choices})
}

fn whole_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "apisix": {"properties": apisix()},
            "nginx_config": object(&json!({
                "envs": list(&json!({"type": "string", "pattern": r"\A[^\x00-\x1f]*\z"}), 1),
            })),
            "http": object(&json!({"custom_lua_shared_dict": {"type": "object"}})),
            "etcd": etcd(),
            "plugins": list(&text(), 0),
            "stream_plugins": list(&text(), 0),
            "wasm": object(&json!({"plugins": list(&wasm_plugin(), 1)})),
            "deployment": object(&json!({
                "role": {"enum": ["traditional", "control_plane", "data_plane", "standalone"]},
            })),
        },
        "required": ["apisix", "deployment"],
    })
}

fn apisix() -> Value {
    json!({
        "lua_module_hook": {"pattern": "^[a-zA-Z._-]+$"},
        "proxy_protocol": object(&json!({
            "listen_http_port": integer(),
            "listen_https_port": integer(),
            "enable_tcp_pp": boolean(),
            "enable_tcp_pp_to_upstream": boolean(),
        })),
        "proxy_cache": object(&json!({"zones": distinct(list(&cache_zone(), 1))})),
        "proxy_mode": {"type": "string", "enum": ["http", "stream", "http&stream"]},
        "stream_proxy": object(&json!({
            "tcp": distinct(list(&one_of_these(&[integer(), text(), stream_listener()]), 1)),
            "udp": distinct(list(&one_of_these(&[integer(), text()]), 1)),
        })),
        "dns_resolver": list(&text(), 1),
        "dns_resolver_valid": integer(),
        "enable_http2": boolean(),
        "ssl": object(&json!({
            "ssl_trusted_certificate": text(),
            "listen": {"type": "array", "items": object(&json!({
                "ip": text(),
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                "enable_http3": boolean(),
            }))},
        })),
        "data_encryption": object(&json!({
            "keyring": one_of_these(&[list(&key(), 1), key()]),
        })),
        "disable_upstream_healthcheck": boolean(),
        "trusted_addresses": distinct(list(&one_of_these(&addresses()), 1)),
        "max_post_args_readable_size": {"type": "integer", "minimum": 0},
    })
}

fn distinct(mut list: Value) -> Value {
    if let Some(list) = list.as_object_mut() {
        list.insert("uniqueItems".into(), true.into());
    }
    list
}

/// A key of AES: 16 bytes or 32.
fn key() -> Value {
    let of_length = |length: u32| json!({"minLength": length, "maxLength": length});
    json!({"type": "string", "anyOf": [of_length(16), of_length(32)]})
}

fn cache_zone() -> Value {
    let fields = [
        "name",
        "memory_size",
        "disk_size",
        "disk_path",
        "cache_levels",
    ];
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|name| ((*name).to_owned(), text()))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "oneOf": [
            {"required": ["name", "memory_size"], "maxProperties": 2},
            {"required": fields},
        ],
    })
}

fn stream_listener() -> Value {
    json!({
        "type": "object",
        "properties": {
            "addr": one_of_these(&[integer(), text()]),
            "tls": boolean(),
            "proxy_protocol": boolean(),
            "proxy_protocol_to_upstream": boolean(),
        },
        "required": ["addr"],
    })
}

fn wasm_plugin() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": text(),
            "file": text(),
            "priority": integer(),
            "http_request_phase": {"enum": ["access", "rewrite"]},
        },
        "required": ["name", "file", "priority"],
    })
}

/// An address or a network, as `apisix/schema_def.lua` has it.
fn addresses() -> [Value; 4] {
    let v4 = r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)";
    let v6 = "([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?";
    [
        json!({"type": "string", "format": "ipv4"}),
        json!({"type": "string", "pattern": format!("^{v4}/([12]?[0-9]|3[0-2])$")}),
        json!({"type": "string", "format": "ipv6"}),
        json!({"type": "string", "pattern": format!("^{v6}/[0-9]{{1,3}}$")}),
    ]
}

fn etcd() -> Value {
    json!({
        "type": "object",
        "properties": {
            "resync_delay": integer(),
            "user": text(),
            "password": text(),
            "tls": object(&json!({"cert": text(), "key": text()})),
            "prefix": text(),
            "host": list(&json!({"type": "string", "pattern": "^https?://"}), 1),
            "timeout": {"type": "integer", "minimum": 1},
        },
        "required": ["prefix", "host"],
    })
}

fn admin() -> Value {
    json!({"properties": {
        "admin_key": {"type": "array"},
        "admin_listen": {"properties": {"listen": text(), "port": integer()}},
        "https_admin": boolean(),
        "admin_key_required": boolean(),
    }})
}

/// `deployment` by its role. `embedded` is the one provider that the reference does not have.
fn deployment_schema(role: &str) -> Value {
    let provided = |providers: &[&str]| json!({"properties": {"config_provider": {"enum": providers}}, "required": ["config_provider"]});
    match role {
        "traditional" => json!({
            "properties": {
                "etcd": etcd(),
                "admin": admin(),
                "role_traditional": provided(&["etcd", "yaml", "embedded"]),
            },
            "required": ["etcd"],
        }),
        "control_plane" => json!({
            "properties": {"etcd": etcd(), "admin": admin(), "role_control_plane": provided(&["etcd"])},
            "required": ["etcd", "role_control_plane"],
        }),
        _ => json!({
            "properties": {"etcd": etcd(), "role_data_plane": provided(&["etcd", "yaml", "json", "xds"])},
            "required": ["role_data_plane"],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_path_in_a_finding() {
        let cases = [
            (
                "property \"apisix\" validation failed: property \"dns_resolver_valid\" validation failed: wrong type: x",
                "apisix.dns_resolver_valid",
            ),
            (
                "property \"apisix\" validation failed: property \"trusted_addresses\" validation failed: \
                 failed to validate item 2: object matches none of the required",
                "apisix.trusted_addresses[1]",
            ),
            ("property \"etcd\" is required", "etcd"),
            ("wrong type: expected object, got table", ""),
        ];
        for (finding, path) in cases {
            assert_eq!(path_of(finding), path, "{finding}");
        }
    }
}
