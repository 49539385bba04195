//! Schemas and plugins for clients, and the recorded answers of the reference.

use serde_json::{Value, json};

use crate::gateway::Gateway;

#[tokio::test]
async fn shows_schemas() {
    let gateway = Gateway::start().await;
    for name in ["route", "service", "upstream"] {
        let schema = lockgate_model::schema::of(name).unwrap();
        gateway
            .check(&[(&format!("GET schema/{name}"), json!(""), 200, schema)])
            .await;
    }
    gateway
        .check_refusals(&[
            ("GET schema/noexits", json!(""), "not found schema: noexits"),
            (
                "GET schema/validate/routes",
                json!(""),
                "not found schema: validate",
            ),
            ("GET schema", json!(""), "not found schema: "),
        ])
        .await;
}

#[tokio::test]
async fn validates_without_storing() {
    let gateway = Gateway::start().await;
    let valid = json!({"uri": "/", "upstream": {"nodes": {"a": 1}}});
    gateway
        .check(&[
            ("POST schema/validate/routes", valid, 200, Value::Null),
            ("POST schema/validate/services", json!({}), 200, Value::Null),
        ])
        .await;
    gateway
        .check_refusals(&[
            (
                "POST schema/validate/routes",
                json!(""),
                "wrong type: expected object, got nil",
            ),
            (
                "POST schema/validate/routes",
                json!("null"),
                "wrong type: expected object, got userdata",
            ),
            (
                "POST schema/validate/routes",
                json!([1]),
                "wrong type: expected object, got table",
            ),
            (
                "POST schema/validate/routes",
                json!({"plugins": {}}),
                "allOf 1 failed: value should match only one schema, but matches none",
            ),
            (
                "POST schema/validate/upstreams",
                json!({"nodes": {}, "x": 1}),
                "additional properties forbidden, found x",
            ),
        ])
        .await;
    assert!(gateway.store.puts().is_empty());
}

#[tokio::test]
async fn knows_its_plugins() {
    let gateway = Gateway::start().await;
    let missing = |subsystem: &str| json!({"error_msg": format!("plugin not found in subsystem {subsystem}")});
    let unsupported = json!({"error_msg": "unsupported subsystem: no"});
    let stream = json!([
        "ip-restriction",
        "limit-conn",
        "mqtt-proxy",
        "traffic-split",
        "syslog"
    ]);
    let consumer = json!({
        "type": "object",
        "properties": {"key": {"type": "string"}},
        "required": ["key"],
        "encrypt_fields": ["key"],
    });
    let invalid = json!("invalid subsystem passed");
    gateway
        .check(&[
            ("GET plugins/list?subsystem=stream", json!(""), 200, stream),
            ("GET plugins/list?subsystem=no", json!(""), 400, invalid),
            ("GET plugins/none", json!(""), 404, missing("http")),
            ("GET plugins", json!(""), 404, missing("http")),
            (
                "GET plugins/none?subsystem=stream",
                json!(""),
                404,
                missing("stream"),
            ),
            (
                "GET plugins/cors?subsystem=stream",
                json!(""),
                404,
                missing("stream"),
            ),
            ("GET plugins/none?subsystem=no", json!(""), 400, unsupported),
            ("GET schema/plugins/none", json!(""), 404, missing("http")),
            (
                "GET plugins/key-auth?schema_type=consumer",
                json!(""),
                200,
                consumer.clone(),
            ),
            (
                "GET schema/plugins/key-auth?schema_type=consumer",
                json!(""),
                200,
                consumer,
            ),
            (
                "GET plugins/cors?schema_type=consumer",
                json!(""),
                400,
                json!({"error_msg": "not found schema"}),
            ),
            ("PUT plugins/reload", json!(""), 200, json!("done")),
        ])
        .await;
    for method in ["GET", "POST", "DELETE", "PATCH"] {
        let message =
            format!("please use PUT method to reload the plugins, {method} method is not allowed.");
        let request = format!("{method} plugins/reload");
        gateway
            .check(&[(&request, json!(""), 405, json!({"error_msg": message}))])
            .await;
    }
}

#[tokio::test]
async fn shows_plugins_with_their_schemas() {
    let gateway = Gateway::start().await;
    let show = async |path: &str| -> Value {
        let reply = gateway.ask(&format!("GET /apisix/admin/{path}"), "").await;
        assert_eq!(reply.status, 200, "{path}");
        serde_json::from_str(&reply.body).unwrap()
    };
    let names = show("plugins/list").await;
    let names = names.as_array().unwrap();
    assert_eq!(names.len(), 107);
    let first: Vec<&str> = names
        .iter()
        .take(3)
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(first, ["real-ip", "ai", "client-control"]);
    let all = show("plugins?all=true").await;
    assert_eq!(all.as_object().unwrap().len(), 107);
    let about = |name: &str, field: &str| all[name][field].clone();
    for (name, field, expected) in [
        ("key-auth", "version", json!(0.1)),
        ("key-auth", "priority", json!(2500)),
        ("key-auth", "type", json!("auth")),
        ("ai", "scope", json!("global")),
        ("cors", "type", Value::Null),
        ("cors", "consumer_schema", Value::Null),
    ] {
        assert_eq!(about(name, field), expected, "{name} {field}");
    }
    for name in names.iter().filter_map(Value::as_str) {
        let schema = show(&format!("plugins/{name}")).await;
        assert_eq!(about(name, "schema"), schema, "{name}");
        assert_eq!(
            schema["properties"]["_meta"]["properties"]["disable"],
            json!({"type": "boolean"}),
            "{name}"
        );
    }
    let stream = show("plugins?all=true&subsystem=stream").await;
    assert_eq!(stream.as_object().unwrap().len(), 5);
}

/// Both answers were compared with those recorded of the reference, which are too large to be kept beside the same facts in `schemas/` and
/// `lockgate-model`: these are the digests of what was found equal.
#[tokio::test]
async fn publishes_what_the_reference_publishes() {
    let admin = Gateway::start().await;
    let control = Gateway::start_control(&[]).await;
    let show = async |gateway: &Gateway, path: &str| -> Value {
        let reply = gateway.ask(&format!("GET {path}"), "").await;
        assert_eq!(reply.status, 200, "{path}");
        serde_json::from_str(&reply.body).unwrap()
    };
    let plugins = show(&admin, "/apisix/admin/plugins?all=true").await;
    let whole = show(&control, "/v1/schema").await;
    assert_eq!(whole["plugins"], plugins);
    let digests = ["main", "plugins", "stream_plugins"].map(|part| digest(&whole[part]));
    assert_eq!(
        digests,
        [
            0x2a3a_d98d_30dd_b407,
            0x6187_fadd_5250_fb6b,
            0x5277_9447_e9ee_023f
        ]
    );
}

/// FNV-1a of a value written with sorted keys.
fn digest(value: &Value) -> u64 {
    let mut text = String::new();
    write(value, &mut text);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            for (name, member) in members {
                text.push_str(name);
                text.push(':');
                write(member, text);
                text.push(';');
            }
        }
        Value::Array(items) => {
            for item in items {
                write(item, text);
                text.push(',');
            }
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Every recorded answer about plugins, in the order in which they were recorded: some checks look at stored metadata. `err` is what follows
/// the sentence that all refusals of a kind begin with; a line without a refusal was accepted.
#[tokio::test]
async fn checks_plugins_as_recorded() {
    let gateway = Gateway::start().await;
    let mut compared = 0;
    for line in include_str!("../reference/plugins.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        let (kind, rest) = id.split_once('/').unwrap();
        let name = rest.split(':').next().unwrap();
        let failed = format!("failed to check the configuration of plugin {name} err: ");
        let plugins = json!({name: case["body"]});
        let (path, body, begin) = match kind {
            "plugin" => (
                "routes/golden".to_owned(),
                json!({"uri": "/x", "plugins": plugins}),
                failed,
            ),
            "consumer" => (
                "consumers".to_owned(),
                json!({"username": "jack", "plugins": plugins}),
                format!("invalid plugins configuration: {failed}"),
            ),
            "metadata" => (
                format!("plugin_metadata/{name}"),
                case["body"].clone(),
                "invalid configuration: ".to_owned(),
            ),
            other => panic!("{other} is no kind of line"),
        };
        let request = format!("PUT /apisix/admin/{path}");
        let reply = gateway.ask(&request, &body.to_string()).await;
        compared += 1;
        let refusal = case["err"].as_str().map(|why| format!("{begin}{why}"));
        let refusal = refusal.or_else(|| Some(case["error_msg"].as_str()?.to_owned()));
        let Some(refusal) = refusal else {
            assert!(matches!(reply.status, 200 | 201), "{id}: {}", reply.body);
            continue;
        };
        let found: Value = serde_json::from_str(&reply.body).unwrap();
        let expected = json!({"error_msg": refusal});
        assert_eq!((reply.status, found), (400, expected), "{id}");
    }
    assert_eq!(compared, 3288 + 247 + 53);
}

/// Every recorded answer about the objects themselves. A line without a response was accepted; the reference's sentence about a proto names
/// its own source files, so that only its status counts.
#[tokio::test]
async fn answers_as_recorded() {
    let gateway = Gateway::start().await;
    let recorded = include_str!("../reference/admin-validation.jsonl");
    let mut compared = 0;
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let request = format!(
            "{} {}",
            case["method"].as_str().unwrap(),
            case["path"].as_str().unwrap()
        );
        let reply = gateway.ask(&request, &case["body"].to_string()).await;
        let id = &case["id"];
        compared += 1;
        let Some(expected) = case["response"].as_str() else {
            assert!(matches!(reply.status, 200 | 201), "{id}: {}", reply.body);
            continue;
        };
        assert_eq!(u64::from(reply.status), case["status"], "{id}");
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        if case["status_only"] != true {
            assert_eq!(json(&reply.body), json(expected), "{id}");
        }
    }
    assert_eq!(compared, 585 + 440);
}
