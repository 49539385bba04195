//! Ids in paths and bodies.

use serde_json::json;

use crate::gateway::Gateway;

#[tokio::test]
async fn takes_ids_from_path_or_body() {
    let gateway = Gateway::start().await;
    for (request, id, key, stored) in [
        (
            "PUT upstreams/a-b_c.D",
            json!(null),
            "a-b_c.D",
            json!("a-b_c.D"),
        ),
        ("PUT upstreams/1", json!(1), "1", json!("1")),
        ("PUT upstreams/2", json!("2"), "2", json!("2")),
        ("PUT upstreams", json!(3), "3", json!(3)),
        ("PUT upstreams/", json!("four"), "four", json!("four")),
        (
            "PUT upstreams",
            json!(123_456_789_012_345_678_u64),
            "123456789012345678",
            json!(123_456_789_012_345_678_u64),
        ),
        ("PUT upstreams/5/more/of/it", json!(null), "5", json!("5")),
    ] {
        let mut body = json!({"nodes": {}});
        if !id.is_null() {
            body["id"] = id;
        }
        let mut value = json!({"nodes": {}, "create_time": 1000, "update_time": 1000});
        value["id"] = stored;
        let expected = json!({"key": format!("/apisix/upstreams/{key}"), "value": value});
        gateway.check(&[(request, body, 201, expected)]).await;
        assert!(gateway.store.value(&format!("upstreams/{key}")).is_some());
    }
}

#[tokio::test]
async fn says_what_is_wrong_with_an_id() {
    let gateway = Gateway::start().await;
    let invalid = "invalid configuration: property \"id\" validation failed: object matches none of the required";
    gateway
        .check_refusals(&[
            ("PUT routes", json!({"uri": "/"}), "missing route id"),
            ("PUT services", json!({"id": false}), "missing service id"),
            ("DELETE upstreams", json!(""), "missing upstream id"),
            ("PATCH routes", json!({}), "missing route id"),
            ("PUT routes/1", json!({"id": 2}), "wrong route id"),
            ("PUT upstreams/1", json!({"id": "01"}), "wrong upstream id"),
            ("PUT services/1", json!({"id": null}), "wrong service id"),
            ("POST routes/1", json!({}), "wrong route id, do not need it"),
            (
                "POST services",
                json!({"id": 1}),
                "wrong service id, do not need it",
            ),
            (
                "POST upstreams",
                json!({"id": null}),
                "wrong upstream id, do not need it",
            ),
            ("PUT upstreams/*invalid", json!({"nodes": {}}), invalid),
            ("PUT upstreams", json!({"nodes": {}, "id": 0}), invalid),
            ("PUT upstreams", json!({"nodes": {}, "id": 1.5}), invalid),
            ("PUT upstreams", json!({"nodes": {}, "id": {}}), invalid),
            ("PUT upstreams", json!({"nodes": {}, "id": "a/b"}), invalid),
            ("PUT upstreams", json!({"nodes": {}, "id": ""}), invalid),
        ])
        .await;
    let long = "a".repeat(65);
    let request = format!("PUT upstreams/{long}");
    gateway
        .check_refusals(&[(&request, json!({"nodes": {}}), invalid)])
        .await;
    assert!(gateway.store.puts().is_empty());
}

#[tokio::test]
async fn makes_ids_that_grow() {
    let gateway = Gateway::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let reply = gateway
            .ask(
                "POST /apisix/admin/upstreams",
                r#"{"nodes": {}, "id": false}"#,
            )
            .await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let reply: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let id = reply["value"]["id"].as_str().unwrap().to_owned();
        assert_eq!(reply["key"], format!("/apisix/upstreams/{id}"));
        ids.push(id);
    }
    assert_eq!(
        ids,
        [
            "00000000000000000001",
            "00000000000000000003",
            "00000000000000000005"
        ]
    );
    assert_eq!(gateway.store.value("gen_id").unwrap(), "1");
}
