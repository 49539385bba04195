//! The shape of answers over the life of an object.

use lockgate_admin::AdminOptions;
use serde_json::{Value, json};

use crate::gateway::{Gateway, open_options};

fn upstream(id: &str) -> Value {
    json!({"nodes": {"a.b:80": 1}, "id": id, "create_time": 1000, "update_time": 1000})
}

#[tokio::test]
async fn version_3_over_the_life_of_an_object() {
    let gateway = Gateway::start().await;
    let body = json!({"nodes": {"a.b:80": 1}});
    let written = json!({"key": "/apisix/upstreams/1", "value": upstream("1")});
    let missing = json!({"message": "Key not found"});
    let mut patched = upstream("1");
    patched["desc"] = json!("x");
    gateway
        .check(&[
            ("GET upstreams", json!(""), 200, json!({"total": 0, "list": []})),
            ("GET upstreams/1", json!(""), 404, missing.clone()),
            ("PATCH upstreams/1", json!({}), 404, missing.clone()),
            ("DELETE upstreams/1", json!(""), 404, missing.clone()),
            ("PUT upstreams/1", body.clone(), 201, written.clone()),
            ("PUT upstreams/1", body.clone(), 200, written.clone()),
            (
                "GET upstreams/1",
                json!(""),
                200,
                json!({"key": "/apisix/upstreams/1", "value": upstream("1"), "createdIndex": 1, "modifiedIndex": 2}),
            ),
            (
                "PATCH upstreams/1",
                json!({"desc": "x"}),
                200,
                json!({"key": "/apisix/upstreams/1", "value": patched}),
            ),
            (
                "POST upstreams",
                body,
                201,
                json!({"key": "/apisix/upstreams/00000000000000000004", "value": upstream("00000000000000000004")}),
            ),
            (
                "GET upstreams",
                json!(""),
                200,
                json!({"total": 2, "list": [
                    {"key": "/apisix/upstreams/00000000000000000004", "value": upstream("00000000000000000004"), "createdIndex": 5, "modifiedIndex": 5},
                    {"key": "/apisix/upstreams/1", "value": patched, "createdIndex": 1, "modifiedIndex": 3},
                ]}),
            ),
            ("DELETE upstreams/1", json!(""), 200, json!({"key": "/apisix/upstreams/1", "deleted": "1"})),
            ("GET upstreams/1", json!(""), 404, missing),
        ])
        .await;
}

#[tokio::test]
async fn the_older_version_over_the_life_of_an_object() {
    let gateway = Gateway::start_with(AdminOptions {
        is_v3: false,
        prefix: "/gate/way".into(),
        ..open_options()
    })
    .await;
    let body = json!({"nodes": {"a.b:80": 1}});
    let node =
        |id: &str| json!({"key": format!("/gate/way/upstreams/{id}"), "value": upstream(id)});
    let list = |nodes: Value| json!({"action": "get", "node": {"key": "/gate/way/upstreams", "dir": true, "nodes": nodes}});
    let mut indexed = node("00000000000000000003");
    indexed["createdIndex"] = json!(4);
    indexed["modifiedIndex"] = json!(4);
    gateway
        .check(&[
            ("GET upstreams", json!(""), 200, list(json!([]))),
            ("GET upstreams/1", json!(""), 404, json!({"message": "Key not found"})),
            ("PUT upstreams/1", body.clone(), 201, json!({"action": "set", "node": node("1")})),
            ("GET upstreams/1", json!(""), 200, json!({"action": "get", "node": node("1")})),
            ("PATCH upstreams/1", json!({}), 200, json!({"action": "compareAndSwap", "node": node("1")})),
            (
                "POST upstreams",
                body,
                201,
                json!({"action": "create", "node": node("00000000000000000003")}),
            ),
            (
                "DELETE upstreams/1",
                json!(""),
                200,
                json!({"action": "delete", "key": "/gate/way/upstreams/1", "deleted": "1", "node": {}}),
            ),
            // Filters and pages came with version 3.
            ("GET upstreams?name=^x&page=1&page_size=1", json!(""), 200, list(json!([indexed]))),
        ])
        .await;
    let reply = gateway.ask("GET /apisix/admin/upstreams", "").await;
    assert_eq!(reply.field("x-api-version"), Some("v2"));
}

#[tokio::test]
async fn keeps_what_the_user_wrote() {
    let gateway = Gateway::start().await;
    let body = r#"{"uri":"/a","upstream":{"type":"roundrobin","nodes":[{"host":"a","port":80,"weight":1}],"timeout":{"connect":0.5,"send":1.0,"read":3}},"labels":{"b":"1","a":"2"}}"#;
    let reply = gateway.ask("PUT /apisix/admin/routes/1", body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let (before, _) = body.rsplit_once('}').unwrap();
    let expected = format!(r#"{before},"id":"1","create_time":1000,"update_time":1000}}"#);
    assert_eq!(gateway.store.value("routes/1").unwrap(), expected);
    assert_eq!(
        reply.body,
        format!("{{\"key\":\"/apisix/routes/1\",\"value\":{expected}}}\n")
    );
}

#[tokio::test]
async fn shows_entries_whose_value_is_not_json() {
    let gateway = Gateway::start().await;
    gateway.store.seed("routes/1", "init_dir");
    let first = json!({"key": "/apisix/routes/1", "createdIndex": 1, "modifiedIndex": 1});
    let reply = gateway.ask("GET /apisix/admin/routes", "").await;
    assert_eq!(reply.status, 200);
    let list: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(list["list"][0], first);
    gateway
        .check(&[
            ("GET routes/1", json!(""), 200, first),
            (
                "GET routes?name=x",
                json!(""),
                200,
                json!({"total": 0, "list": []}),
            ),
            (
                "PATCH routes/1",
                json!({"uri": "/x"}),
                503,
                json!({"error_msg": "routes/1 is damaged: expected value at line 1 column 1"}),
            ),
        ])
        .await;
}

#[tokio::test]
async fn stamps_writes() {
    let gateway = Gateway::start().await;
    let times = |created: u64, updated: u64| json!({"key": "/apisix/upstreams/1", "value": {"nodes": {}, "id": "1", "create_time": created, "update_time": updated}});
    let nodes = json!({"nodes": {}});
    gateway
        .check(&[("PUT upstreams/1", nodes.clone(), 201, times(1000, 1000))])
        .await;
    gateway
        .seconds
        .store(1001, std::sync::atomic::Ordering::Relaxed);
    gateway
        .check(&[
            ("PUT upstreams/1", nodes.clone(), 200, times(1000, 1001)),
            (
                "PATCH upstreams/1",
                json!({"create_time": 5}),
                200,
                times(5, 1001),
            ),
            (
                "PATCH upstreams/1",
                json!({"update_time": 6}),
                200,
                times(5, 6),
            ),
            (
                "PATCH upstreams/1",
                json!({"update_time": null}),
                200,
                times(5, 1001),
            ),
            (
                "PATCH upstreams/1/update_time",
                json!(7),
                200,
                times(5, 1001),
            ),
            (
                "PATCH upstreams/1",
                json!({"create_time": null}),
                200,
                times(1001, 1001),
            ),
            (
                "DELETE upstreams/1",
                json!(""),
                200,
                json!({"key": "/apisix/upstreams/1", "deleted": "1"}),
            ),
        ])
        .await;
    gateway
        .seconds
        .store(1002, std::sync::atomic::Ordering::Relaxed);
    gateway
        .check(&[("PUT upstreams/1", nodes, 201, times(1002, 1002))])
        .await;
}

#[tokio::test]
async fn hands_the_time_to_live_to_the_store() {
    let gateway = Gateway::start().await;
    let body = r#"{"nodes": {}}"#;
    for (query, seconds) in [
        ("", None),
        ("?ttl=60", Some(60.0)),
        ("?ttl=1.5", Some(1.5)),
        ("?ttl=0x10", Some(16.0)),
        ("?ttl=0", Some(1.0)),
        ("?ttl=-5", Some(1.0)),
        ("?ttl=1e300", Some(9e9)),
    ] {
        for request in [
            "PUT /apisix/admin/upstreams/1",
            "PATCH /apisix/admin/upstreams/1",
            "POST /apisix/admin/upstreams",
        ] {
            let reply = gateway.ask(&format!("{request}{query}"), body).await;
            assert!(reply.status < 300, "{request}{query}: {}", reply.body);
            let put = gateway.store.puts().pop().unwrap();
            assert_eq!(
                put.ttl.map(|ttl| ttl.as_secs_f64()),
                seconds,
                "{request}{query}"
            );
        }
    }
    let puts = gateway.store.puts();
    assert!(
        puts.iter()
            .filter(|put| put.key == "gen_id")
            .all(|put| put.ttl.is_none())
    );
    for query in ["ttl=xxx", "ttl=", "ttl", "ttl=nan", "ttl=1&ttl=1"] {
        let request = format!("PUT upstreams?{query}");
        let message = "invalid argument ttl: should be a number";
        gateway
            .check_refusals(&[(&request, json!({}), message)])
            .await;
    }
    assert_eq!(
        gateway.store.puts().len(),
        puts.len(),
        "nothing more is written"
    );
}
