//! Connections: kept, pipelined, slow, and what survives a failure.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{gateway::Gateway, memory::Trouble, wire::Wire};

const GET: &str = "GET /apisix/admin/routes HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn keeps_connections_and_answers_pipelined_requests_in_order() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address).await;
    let put = "PUT /apisix/admin/upstreams/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n{\"nodes\":{}}";
    wire.send([put, GET, put].concat()).await;
    for status in [201, 200, 200] {
        assert_eq!(wire.reply("GET").await.unwrap().status, status);
    }
    wire.send(GET).await;
    assert_eq!(wire.reply("GET").await.unwrap().status, 200);
}

#[tokio::test]
async fn keeps_a_connection_whose_body_nobody_wanted() {
    let gateway = Gateway::start_with(crate::gateway::keyed_options()).await;
    let mut wire = Wire::open(gateway.address).await;
    let body = "x".repeat(300_000);
    for _ in 0..2 {
        wire.send(format!(
            "PUT /apisix/admin/routes/1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        assert_eq!(wire.reply("PUT").await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn refuses_what_is_no_request() {
    let gateway = Gateway::start().await;
    for bytes in [
        "\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut wire = Wire::open(gateway.address).await;
        wire.send(bytes).await;
        if let Some(reply) = wire.reply("GET").await {
            assert_eq!(reply.status, 400, "{bytes:?}");
        }
        assert!(wire.is_closed().await, "{bytes:?}");
    }
    assert_eq!(
        gateway.ask("GET /apisix/admin/routes", "").await.status,
        200
    );
}

/// From here on, time passes as soon as nobody has anything to do. Called when the API is known to wait.
fn let_time_fly() -> Instant {
    tokio::time::pause();
    Instant::now()
}

/// Asks for a go-ahead to send a body of 12 bytes, and gets it.
async fn begin_put(gateway: &Gateway) -> Wire {
    let mut wire = Wire::open(gateway.address).await;
    let head = "PUT /apisix/admin/upstreams/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n";
    wire.send(format!("{head}Expect: 100-continue\r\n\r\n"))
        .await;
    assert_eq!(wire.reply("PUT").await.unwrap().status, 100);
    wire
}

#[tokio::test]
async fn closes_a_connection_that_says_nothing_more() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address).await;
    wire.send(GET).await;
    assert_eq!(wire.reply("GET").await.unwrap().status, 200);
    let begin = let_time_fly();
    assert!(wire.is_closed().await);
    assert!((58..=60).contains(&begin.elapsed().as_secs()));
}

#[tokio::test]
async fn closes_a_connection_that_never_finishes_a_head() {
    let gateway = Gateway::start().await;
    for sent in ["", "GET /apisix/admin/routes HTTP/1.1\r\nHo"] {
        let mut wire = Wire::open(gateway.address).await;
        wire.send(sent).await;
        let begin = let_time_fly();
        assert!(wire.is_closed().await, "{sent:?}");
        tokio::time::resume();
        assert!((58..=60).contains(&begin.elapsed().as_secs()), "{sent:?}");
    }
}

#[tokio::test]
async fn gives_up_on_a_body_that_does_not_come() {
    let gateway = Gateway::start().await;
    let mut wire = begin_put(&gateway).await;
    let begin = let_time_fly();
    let reply = wire.reply("PUT").await.unwrap();
    assert_eq!(reply.status, 408);
    assert!(reply.body.contains("<h1>408 Request Time-out</h1>"));
    assert!(wire.is_closed().await);
    assert!((58..=60).contains(&begin.elapsed().as_secs()));
    assert!(gateway.store.puts().is_empty());
}

#[tokio::test]
async fn drops_a_write_whose_body_breaks_off() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address).await;
    wire.send("PUT /apisix/admin/routes/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
        .await;
    drop(wire);
    let mut wire = Wire::open(gateway.address).await;
    wire.send("PUT /apisix/admin/routes/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    assert_eq!(wire.reply("PUT").await.unwrap().status, 400);
    assert!(gateway.store.puts().is_empty());
}

#[tokio::test]
async fn says_that_the_store_failed() {
    let gateway = Gateway::start().await;
    gateway.store.seed("upstreams/1", r#"{"nodes": {}}"#);
    gateway.store.trouble(Trouble::Unavailable);
    let failed = |action: &str| json!({"error_msg": format!("{action} failed: the disk is gone")});
    let nodes = json!({"nodes": {}});
    gateway
        .check(&[
            (
                "GET upstreams",
                json!(""),
                503,
                failed("listing upstreams/"),
            ),
            (
                "GET upstreams/1",
                json!(""),
                503,
                failed("reading upstreams/1"),
            ),
            (
                "PUT upstreams/1",
                nodes.clone(),
                503,
                failed("reading upstreams/1"),
            ),
            (
                "PATCH upstreams/1",
                nodes.clone(),
                503,
                failed("reading upstreams/1"),
            ),
            ("POST upstreams", nodes, 503, failed("writing gen_id")),
            (
                "DELETE upstreams/1",
                json!(""),
                503,
                failed("listing routes/"),
            ),
            (
                "DELETE upstreams/1?force=true",
                json!(""),
                503,
                failed("removing upstreams/1"),
            ),
        ])
        .await;
    let message = "failed to fetch upstream info by upstream id [1]: reading upstreams/1 failed: the disk is gone";
    gateway
        .check_refusals(&[("PUT services/1", json!({"upstream_id": 1}), message)])
        .await;
    gateway.store.trouble(Trouble::None);
    assert_eq!(
        gateway
            .ask("GET /apisix/admin/upstreams/1", "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn survives_a_panic() {
    let gateway = Gateway::start().await;
    gateway.store.trouble(Trouble::Panic);
    for request in [
        "GET /apisix/admin/routes/1",
        "PUT /apisix/admin/upstreams/1",
        "DELETE /apisix/admin/upstreams/1",
    ] {
        let reply = gateway.ask(request, r#"{"nodes": {}}"#).await;
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            (reply.status, body),
            (500, json!({"error_msg": "internal error"})),
            "{request}"
        );
        assert_eq!(reply.field("connection"), Some("close"));
        assert_eq!(reply.field("server"), Some("APISIX/3.18.0"));
    }
    gateway.store.trouble(Trouble::None);
    assert_eq!(
        gateway.ask("GET /apisix/admin/routes", "").await.status,
        200
    );
}

#[tokio::test]
async fn answers_what_was_begun_before_the_stop() {
    let mut gateway = Gateway::start().await;
    let mut idle = Wire::open(gateway.address).await;
    idle.send(GET).await;
    assert_eq!(idle.reply("GET").await.unwrap().status, 200);
    let mut busy = begin_put(&gateway).await;
    gateway.stop();
    assert!(idle.is_closed().await);
    busy.send("{\"nodes\":{}}").await;
    assert_eq!(busy.reply("PUT").await.unwrap().status, 201);
    assert!(busy.is_closed().await);
    let store = gateway.store.clone();
    gateway.stopped().await;
    assert!(store.value("upstreams/1").is_some());
}

#[tokio::test]
async fn does_not_wait_for_ever_for_a_client_after_the_stop() {
    let mut gateway = Gateway::start().await;
    let _slow = begin_put(&gateway).await;
    let begin = let_time_fly();
    gateway.stop();
    gateway.stopped().await;
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn gives_up_on_a_client_that_does_not_read() {
    let gateway = Gateway::start().await;
    let value = json!({"uri": "/", "desc": "x".repeat(1 << 20)}).to_string();
    for id in 0..64 {
        gateway.store.seed(&format!("routes/{id}"), &value);
    }
    let mut wire = Wire::open(gateway.address).await;
    wire.send(GET).await;
    wire.begun().await;
    let begin = let_time_fly();
    // Nothing more is read; the server must hang up by itself, which a later write finds out.
    while wire.try_send(GET).await {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(begin.elapsed().as_secs() < 50, "it is still there");
    }
    assert!((28..=32).contains(&begin.elapsed().as_secs()));
}
