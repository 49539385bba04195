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
    gateway
        .check(&[
            ("GET plugins/list", json!(""), 200, json!([])),
            (
                "GET plugins/list?subsystem=stream",
                json!(""),
                200,
                json!([]),
            ),
            (
                "GET plugins/list?subsystem=no",
                json!(""),
                400,
                json!("invalid subsystem passed"),
            ),
            ("GET plugins?all=true", json!(""), 200, json!({})),
            ("GET plugins/none", json!(""), 404, missing("http")),
            (
                "GET plugins/none?subsystem=stream",
                json!(""),
                404,
                missing("stream"),
            ),
            (
                "GET plugins/none?subsystem=no",
                json!(""),
                400,
                json!({"error_msg": "unsupported subsystem: no"}),
            ),
            ("GET schema/plugins/none", json!(""), 404, missing("http")),
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

/// Every recorded answer about routes, services and upstreams. A line without a response was accepted.
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
        assert_eq!(json(&reply.body), json(expected), "{id}");
    }
    assert_eq!(compared, 686);
}
