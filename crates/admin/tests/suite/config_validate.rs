//! A whole configuration, checked without storing it.

use serde_json::{Value, json};

use crate::gateway::Gateway;

const VALIDATE: &str = "POST /apisix/admin/configs/validate";

#[tokio::test]
async fn finds_every_error_of_a_configuration() {
    let gateway = Gateway::start().await;
    let error = |list: &str, id: Value, index: usize, error: &str| json!({"resource_type": list, "resource_id": id, "index": index, "error": error});
    let route = |id: &str| json!({"id": id, "uri": "/", "upstream_id": "none"});
    for (configuration, expected) in [
        (json!({}), vec![]),
        (json!({"routes": []}), vec![]),
        (
            json!({"routes": [route("1"), route("2")], "routes_conf_version": 1}),
            vec![],
        ),
        (
            json!({"routes": [route("1"), {"id": "3"}, route("1")]}),
            vec![
                error(
                    "routes",
                    json!("3"),
                    1,
                    "invalid configuration: allOf 1 failed: value should match only one schema, but matches none",
                ),
                error("routes", json!("1"), 2, "found duplicate id 1 in routes"),
            ],
        ),
        (
            json!({"upstreams_conf_version": "1"}),
            vec![
                json!({"resource_type": "upstreams", "error": "upstreams_conf_version must be a number, got string"}),
            ],
        ),
        (
            json!({"consumers": [
                {"username": "a"},
                {"username": "a"},
                {"id": "a/credentials/b", "plugins": {"cors": {}}},
            ]}),
            vec![
                error(
                    "consumers",
                    json!("a"),
                    1,
                    "found duplicate username a in consumers",
                ),
                error(
                    "consumers",
                    json!("a/credentials/b"),
                    2,
                    "only supports auth type plugins in consumer credential",
                ),
            ],
        ),
        (
            json!({"secrets": [{"id": "1"}, {"id": "vault/1"}]}),
            vec![
                error("secrets", json!("1"), 0, "invalid secret id: 1"),
                error(
                    "secrets",
                    json!("vault/1"),
                    1,
                    "invalid configuration: property \"prefix\" is required",
                ),
            ],
        ),
        (
            json!({"plugin_metadata": [{"id": "none"}, {}], "plugins": [{"name": "cors"}], "stream_routes": [{"id": 1}]}),
            vec![
                error("plugin_metadata", json!("none"), 0, "invalid plugin name"),
                error("plugin_metadata", json!(""), 1, "missing plugin name"),
            ],
        ),
        (
            json!({"routes": [7]}),
            vec![error(
                "routes",
                json!(""),
                0,
                "invalid configuration: wrong type: expected object, got number",
            )],
        ),
    ] {
        let reply = gateway.ask(VALIDATE, &configuration.to_string()).await;
        let found: Value = serde_json::from_str(&reply.body).unwrap();
        let expected = if expected.is_empty() {
            (200, json!({}))
        } else {
            (
                400,
                json!({"error_msg": "Configuration validation failed", "errors": expected}),
            )
        };
        assert_eq!((reply.status, found), expected, "{configuration}");
    }
    assert!(gateway.store.puts().is_empty());
}

#[tokio::test]
async fn reads_json_and_yaml() {
    let gateway = Gateway::start().await;
    let yaml = "Content-Type: application/yaml\r\n";
    let invalid = |why: &str| json!({"error_msg": format!("invalid request body: {why}")});
    for (fields, body, status, expected) in [
        ("", "", 400, invalid("empty request body")),
        (
            "",
            "{",
            400,
            invalid("Expected object key string but found T_END at character 2"),
        ),
        (
            yaml,
            "routes:\n  - id: 1\n    uri: /a\n    plugins: {}\n",
            200,
            json!({}),
        ),
        (yaml, "just text", 400, invalid("invalid yaml request body")),
        (yaml, "a: [", 400, invalid("invalid yaml request body")),
        (
            yaml,
            "a: 1\n---\nb: 2\n",
            400,
            invalid("invalid yaml request body"),
        ),
    ] {
        let reply = gateway.ask_with(VALIDATE, fields, body).await;
        let found: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((reply.status, found), (status, expected), "{body:?}");
    }
    let deep = format!("a: {}{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(gateway.ask_with(VALIDATE, yaml, deep).await.status, 400);
}
