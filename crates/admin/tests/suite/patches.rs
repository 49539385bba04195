//! PATCH: of whole objects and of what is inside them.

use serde_json::{Value, json};

use crate::{gateway::Gateway, memory::Trouble};

/// Patches a route and compares what it is then, without times.
async fn check(cases: &[(&str, Value, Value)]) {
    let gateway = Gateway::start().await;
    let first = json!({
        "uri": "/a", "methods": ["GET"], "labels": {"build": "16", "env": "x"},
        "upstream": {"type": "roundrobin", "nodes": {"a.b:80": 1}},
    });
    let reply = gateway
        .ask("PUT /apisix/admin/routes/1", &first.to_string())
        .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    for (path, change, expected) in cases {
        let reply = gateway
            .ask(
                &format!("PATCH /apisix/admin/routes/1{path}"),
                &change.to_string(),
            )
            .await;
        assert_eq!(reply.status, 200, "{path} {change}: {}", reply.body);
        let mut reply: Value = serde_json::from_str(&reply.body).unwrap();
        let value = reply["value"].as_object_mut().unwrap();
        for field in ["create_time", "update_time", "id"] {
            value.remove(field);
        }
        assert_eq!(
            &reply,
            &json!({"key": "/apisix/routes/1", "value": expected}),
            "{path} {change}"
        );
    }
}

#[tokio::test]
async fn merges_changes() {
    let nodes = |nodes: Value| json!({"type": "roundrobin", "nodes": nodes});
    check(&[
        (
            "",
            json!({"uri": "/b", "methods": null, "labels": {"build": "17", "env": null}}),
            json!({"uri": "/b", "labels": {"build": "17"}, "upstream": nodes(json!({"a.b:80": 1}))}),
        ),
        (
            "/",
            json!({"upstream": {"nodes": {"a.b:80": null, "c.d:80": 1}}}),
            json!({"uri": "/b", "labels": {"build": "17"}, "upstream": nodes(json!({"c.d:80": 1}))}),
        ),
        (
            "",
            json!({"methods": ["PUT", "GET"], "labels": null, "upstream": {"nodes": [{"host": "e", "weight": 1}]}}),
            json!({"uri": "/b", "methods": ["PUT", "GET"], "upstream": nodes(json!([{"host": "e", "weight": 1}]))}),
        ),
        (
            "",
            json!({"upstream": {"nodes": {}}}),
            json!({"uri": "/b", "methods": ["PUT", "GET"], "upstream": nodes(json!({}))}),
        ),
        ("", json!([]), json!({"uri": "/b", "methods": ["PUT", "GET"], "upstream": nodes(json!({}))})),
    ])
    .await;
}

#[tokio::test]
async fn puts_values_at_paths() {
    let base = |upstream: Value| json!({"uri": "/a", "methods": ["POST"], "labels": {"build": "16", "env": "x"}, "upstream": upstream});
    let upstream = json!({"type": "roundrobin", "nodes": {"a.b:80": 1}});
    let mut with_flag = base(upstream.clone());
    with_flag["enable_websocket"] = json!(false);
    let mut with_label = with_flag.clone();
    with_label["labels"]["new"] = json!("1");
    let mut with_nodes = with_label.clone();
    with_nodes["upstream"]["nodes"] = json!({"c.d:80": 1});
    check(&[
        ("/methods", json!(["POST"]), base(upstream)),
        ("/enable_websocket", json!(false), with_flag),
        ("/labels/new", json!("1"), with_label),
        ("/upstream/nodes", json!({"c.d:80": 1}), with_nodes),
    ])
    .await;
}

#[tokio::test]
async fn makes_the_id_the_paths() {
    let gateway = Gateway::start().await;
    gateway
        .ask("PUT /apisix/admin/upstreams", r#"{"id": 1, "nodes": {}}"#)
        .await;
    gateway
        .check(&[(
            "PATCH upstreams/1",
            json!({}),
            200,
            json!({"key": "/apisix/upstreams/1", "value": {"id": "1", "nodes": {}, "create_time": 1000, "update_time": 1000}}),
        )])
        .await;
    gateway
        .check_refusals(&[("PATCH upstreams/1", json!({"id": 2}), "wrong upstream id")])
        .await;
}

#[tokio::test]
async fn says_what_is_wrong_with_a_change() {
    let gateway = Gateway::start().await;
    let body = json!({"uri": "/a", "plugins": {}, "hosts": ["a"]});
    gateway
        .ask("PUT /apisix/admin/routes/1", &body.to_string())
        .await;
    let before = gateway.store.value("routes/1");
    gateway
        .check_refusals(&[
            ("PATCH routes/1", json!(""), "missing new configuration"),
            ("PATCH routes/1/uri", json!(""), "missing new configuration"),
            ("PATCH routes/1", json!(5), "invalid configuration"),
            ("PATCH routes/1", json!("\"text\""), "invalid configuration"),
            ("PATCH routes/1", json!("null"), "invalid configuration"),
            ("PATCH routes/1", json!("false"), "invalid configuration"),
        ])
        .await;
    gateway
        .check_refusals(&[
            ("PATCH routes/1/uri/x", json!(1), "invalid sub-path: /uri"),
            ("PATCH routes/1/uri/x/y", json!(1), "invalid sub-path: /uri"),
            ("PATCH routes/1/hosts/0", json!("\"b\""), "invalid sub-path: /hosts"),
            (
                "PATCH routes/1/uri",
                json!("null"),
                "invalid configuration: property \"uri\" validation failed: wrong type: expected string, got userdata",
            ),
            (
                "PATCH routes/1",
                json!({"uri": 1}),
                "invalid configuration: property \"uri\" validation failed: wrong type: expected string, got number",
            ),
            (
                "PATCH routes/1",
                json!(["x"]),
                "invalid configuration: additional properties forbidden, found 1",
            ),
            ("PATCH routes/1", json!({"host": "b"}), "only one of host or hosts is allowed"),
        ])
        .await;
    assert_eq!(gateway.store.value("routes/1"), before);
}

#[tokio::test]
async fn does_not_grow_an_object_deeper_than_a_body_may_be() {
    let gateway = Gateway::start().await;
    gateway
        .store
        .seed("services/1", &json!({"plugins": {}}).to_string());
    let deep = format!("{}{}", "[".repeat(99), "]".repeat(99));
    gateway
        .check_refusals(&[(
            "PATCH services/1/plugins/x/y",
            json!(deep),
            "invalid configuration: too many nested data structures",
        )])
        .await;
}

#[tokio::test]
async fn loses_a_race_openly() {
    let gateway = Gateway::start().await;
    gateway.store.seed("upstreams/1", r#"{"nodes": {}}"#);
    gateway.store.trouble(Trouble::Race);
    let conflict = json!({"error_msg": "value changed before overwritten"});
    gateway
        .check(&[
            (
                "PATCH upstreams/1",
                json!({"desc": "x"}),
                503,
                conflict.clone(),
            ),
            ("PATCH upstreams/1/desc", json!("\"x\""), 503, conflict),
        ])
        .await;
    let kept = gateway.store.value("upstreams/1").unwrap();
    assert_eq!(kept, r#"{"nodes": {}}"#, "the other writer's value stays");
    gateway.store.trouble(Trouble::None);
    let reply = gateway
        .ask("PATCH /apisix/admin/upstreams/1", r#"{"nodes": {}}"#)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}
