//! Bodies that are not JSON, too large, or strange.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::{gateway::Gateway, wire::Wire};

#[tokio::test]
async fn says_why_a_body_is_no_json() {
    let gateway = Gateway::start().await;
    for (body, why) in [
        (&b" "[..], "Expected value but found T_END at character 2"),
        (
            b"{",
            "Expected object key string but found T_END at character 2",
        ),
        (
            b"{\"a\":1,}",
            "Expected object key string but found T_OBJ_END at character 8",
        ),
        (
            b"\"a\0b\"",
            "Expected value but found unexpected end of string at character 3",
        ),
        (
            b"\xff\xfe",
            "Expected value but found invalid token at character 1",
        ),
        (
            b"{\"a\":\"\xff\"}",
            "Expected value but found invalid UTF-8 in a string at character 6",
        ),
    ] {
        let expected = json!({
            "error_msg": format!("invalid request body: {why}"),
            "req_body": String::from_utf8_lossy(body),
        });
        for request in [
            "PUT /apisix/admin/routes/1",
            "GET /apisix/admin/routes",
            "DELETE /apisix/admin/routes/1",
            "POST /apisix/admin/schema/validate/routes",
        ] {
            let reply = gateway.ask_with(request, "", body).await;
            let found: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!((reply.status, &found), (400, &expected), "{request}");
        }
    }
    let deep = "[".repeat(100_000);
    let reply = gateway.ask("PUT /apisix/admin/routes/1", &deep).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply
            .body
            .contains("Found too many nested data structures (101) at character 101")
    );
}

#[tokio::test]
async fn says_what_a_body_should_have_been() {
    let gateway = Gateway::start().await;
    let wrong =
        |kind: &str| format!("invalid configuration: wrong type: expected object, got {kind}");
    for (body, message) in [
        ("", "missing configurations".to_owned()),
        ("false", "missing configurations".to_owned()),
        ("null", wrong("userdata")),
        ("true", wrong("boolean")),
        ("5", wrong("number")),
        ("\"text\"", wrong("string")),
        ("[1]", wrong("table")),
    ] {
        for request in ["PUT routes/1", "POST routes"] {
            gateway
                .check_refusals(&[(request, json!(body), &message)])
                .await;
        }
    }
}

#[tokio::test]
async fn takes_what_lua_cjson_takes() {
    let gateway = Gateway::start().await;
    for (body, expected) in [
        (
            r#"{"nodes":{},"retries":1,"retries":2}"#,
            r#"{"nodes":{},"retries":2,"id":"1","create_time":1000,"update_time":1000}"#,
        ),
        (
            r#"{"nodes":{},"retries":0x10}"#,
            r#"{"nodes":{},"retries":16,"id":"1","create_time":1000,"update_time":1000}"#,
        ),
        (
            r#"{"nodes":{"a:80":9007199254740993}}"#,
            r#"{"nodes":{"a:80":9007199254740993},"id":"1","create_time":1000,"update_time":1000}"#,
        ),
        (
            "{\"nodes\":{}}\0garbage",
            r#"{"nodes":{},"id":"1","create_time":1000,"update_time":1000}"#,
        ),
        (
            "{\"nodes\":{},\"desc\":\"tab\t\"}",
            r#"{"nodes":{},"desc":"tab\t","id":"1","create_time":1000,"update_time":1000}"#,
        ),
        (
            r#"{"nodes":{},"desc":"\u4f60\/"}"#,
            r#"{"nodes":{},"desc":"你/","id":"1","create_time":1000,"update_time":1000}"#,
        ),
    ] {
        let reply = gateway.ask("PUT /apisix/admin/upstreams/1", body).await;
        assert!(reply.status < 300, "{body}: {}", reply.body);
        assert_eq!(gateway.store.value("upstreams/1").unwrap(), expected);
    }
}

fn too_large(bytes: usize) -> Value {
    json!({"error_msg": format!(
        "invalid request body: request size {bytes} is greater than the maximum size 1572864 allowed"
    )})
}

#[tokio::test]
async fn bounds_the_size() {
    let gateway = Gateway::start().await;
    let body = |bytes: usize| {
        let frame = r#"{"nodes":{"":1}}"#.len();
        format!(r#"{{"nodes":{{"{}":1}}}}"#, "a".repeat(bytes - frame))
    };
    let reply = gateway
        .ask("PUT /apisix/admin/upstreams/1", &body(1_572_864))
        .await;
    assert_eq!(reply.status, 201);
    for bytes in [1_572_865, 1_678_025] {
        gateway
            .check(&[("PUT upstreams/1", json!(body(bytes)), 400, too_large(bytes))])
            .await;
    }
}

#[tokio::test]
async fn bounds_the_size_of_a_body_without_a_length() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address).await;
    wire.send(
        "PUT /apisix/admin/upstreams/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    for _ in 0..25 {
        wire.send(&chunk).await;
    }
    wire.send("0\r\n\r\n").await;
    let reply = wire.reply("PUT").await.unwrap();
    assert_eq!(reply.status, 400);
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    let message = body["error_msg"].as_str().unwrap();
    assert!(
        message.starts_with("invalid request body: request size "),
        "{message}"
    );
    // What was sent behind the bound was read away: the connection goes on.
    wire.send("GET /apisix/admin/routes HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(wire.reply("GET").await.unwrap().status, 200);
}

#[tokio::test]
async fn does_not_ask_for_a_body_that_is_too_large() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address).await;
    let head = "PUT /apisix/admin/upstreams/1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length:";
    wire.send(format!("{head} 2000000\r\n\r\n")).await;
    let reply = wire.reply("PUT").await.unwrap();
    let found: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, found), (400, too_large(2_000_000)));
    assert!(wire.is_closed().await);

    let mut wire = Wire::open(gateway.address).await;
    wire.send(format!("{head} 12\r\n\r\n")).await;
    assert_eq!(wire.reply("PUT").await.unwrap().status, 100);
    wire.send(r#"{"nodes":{}}"#).await;
    assert_eq!(wire.reply("PUT").await.unwrap().status, 201);
}

#[tokio::test]
async fn reads_chunked_bodies() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address).await;
    wire.send(
        "PUT /apisix/admin/upstreams/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    for chunk in ["5\r\n{\"nod\r\n", "7\r\nes\":{}}\r\n", "0\r\n\r\n"] {
        wire.send(chunk).await;
    }
    assert_eq!(wire.reply("PUT").await.unwrap().status, 201);
    assert!(
        gateway
            .store
            .value("upstreams/1")
            .unwrap()
            .starts_with("{\"nodes\":{}")
    );
}

/// Requests that are almost right: a verb, a path and a body, each with something arbitrary in it.
fn any_request() -> impl Strategy<Value = (String, Vec<u8>)> {
    let method = prop::sample::select(vec![
        "GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X",
    ]);
    let kind = prop::sample::select(vec![
        "routes",
        "services",
        "upstreams",
        "schema",
        "plugins",
        "schema/validate/routes",
        "stream_routes",
        "consumers",
        "consumers/a/credentials",
        "consumer_groups",
        "global_rules",
        "plugin_configs",
        "plugin_metadata",
        "protos",
        "secrets",
        "secrets/vault",
        "services/a/graphql_cost_decorations",
        "ssls",
        "configs/validate",
    ]);
    let tail = "(/[a-z0-9%*.]{0,4}){0,3}(\\?[a-z=&%0-9_]{0,20})?";
    let field = prop::sample::select(vec![
        "uri",
        "uris",
        "host",
        "hosts",
        "plugins",
        "upstream",
        "upstream_id",
        "service_id",
        "vars",
        "filter_func",
        "script",
        "id",
        "labels",
        "nodes",
        "type",
        "key",
        "tls",
        "pass_host",
        "create_time",
        "timeout",
        "checks",
        "remote_addr",
        "methods",
        "username",
        "content",
        "field_path",
        "cert",
        "routes",
    ]);
    let value = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "1.5",
        "1e30",
        "\"\"",
        "\"a\"",
        "\"/\"",
        "\"function() end\"",
        "\"return {} --\"",
        "[]",
        "[1]",
        "[\"a\"]",
        "[[\"a\",\"==\",1]]",
        "[[\"post_arg.a[\",\"==\",1]]",
        "{}",
        "{\"a\":1}",
        "{\"nodes\":{\"a:80\":1}}",
        "{\"nodes\":[{\"host\":\"::1\"}]}",
        "{\"client_cert\":\"x\"}",
        "\"chash\"",
        "{\"x\":{}}",
    ]);
    let object = prop::collection::vec((field, value), 0..6).prop_map(|fields| {
        let fields: Vec<String> = fields
            .iter()
            .map(|(field, value)| format!("\"{field}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    });
    let body = prop_oneof![prop::collection::vec(any::<u8>(), 0..80), object];
    (method, kind, tail, body).prop_map(|(method, kind, tail, body)| {
        (format!("{method} /apisix/admin/{kind}{tail}"), body)
    })
}

#[test]
fn never_fails_whatever_is_sent() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let gateway = runtime.block_on(async {
        let gateway = Gateway::start().await;
        gateway
            .store
            .seed("routes/1", r#"{"uri": "/", "plugins": {}}"#);
        gateway
    });
    let mut runner = TestRunner::new(Config::with_cases(500));
    let outcome = runner.run(&any_request(), |(request, body)| {
        let reply = runtime.block_on(gateway.ask_with(&request, "", &body));
        prop_assert!(reply.status < 500, "{} {}", reply.status, reply.body);
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
}
