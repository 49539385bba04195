//! The status API.

use std::sync::{Arc, Mutex};

use crate::gateway::Gateway;

#[tokio::test]
async fn tells_whether_the_process_lives_and_is_ready() {
    let waiting = Arc::new(Mutex::new(Some(
        "worker id: 0 has not received configuration".to_owned(),
    )));
    let told = waiting.clone();
    let gateway = Gateway::start_status(Arc::new(move || {
        told.lock().unwrap().clone().map_or(Ok(()), Err)
    }))
    .await;
    let ok = r#"{"status":"ok"}"#;
    let not_yet = r#"{"status":"error","error":"worker id: 0 has not received configuration"}"#;
    let check = async |path: &str, status: u16, body: Option<&str>| {
        let reply = gateway.ask(path, "").await;
        assert_eq!(reply.status, status, "{path}");
        if let Some(body) = body {
            assert_eq!(reply.body, body, "{path}");
            let kind = reply.field("content-type");
            assert_eq!(kind, Some("text/plain; charset=utf-8"), "{path}");
        }
    };
    check("GET /status", 200, Some(ok)).await;
    check("POST /status", 200, Some(ok)).await;
    check("GET /status/ready", 503, Some(not_yet)).await;
    *waiting.lock().unwrap() = None;
    check("GET /status/ready", 200, Some(ok)).await;
    // nginx's locations are prefixes.
    check("GET /status/other", 200, Some(ok)).await;
    check("GET /", 404, None).await;
    check("GET /v1/schema", 404, None).await;
    check("GET /%zz", 400, None).await;
}
