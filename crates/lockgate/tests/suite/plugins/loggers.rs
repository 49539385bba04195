//! `http-logger` and `file-logger`.

use std::{fs, net::TcpListener};

use lockgate_testkit::{Origin, Reply, Sink};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    gateway::Gateway,
    support::{exchange, get},
};

/// A route to an origin, with plugins.
fn route(origin: &Origin, plugins: &Value) -> String {
    let node = origin.node();
    json!({
        "uri": "/hello",
        "upstream": {"type": "roundrobin", "nodes": {node: 1}},
        "plugins": plugins,
    })
    .to_string()
}

fn post(gateway: &Gateway, body: &str) -> String {
    let length = body.len();
    exchange(
        gateway.proxy,
        &format!(
            "POST /hello?a=1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

fn entry(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

#[test]
fn the_first_bytes_of_bodies_are_logged_and_all_of_them_are_sent_on() {
    let (sink, origin) = (Sink::start(), Origin::saying("hello world"));
    let gateway = Gateway::start("");
    let logger = json!({
        "uri": sink.url("/log"), "batch_max_size": 1,
        "include_req_body": true, "max_req_body_bytes": 70_000,
        "include_resp_body": true, "max_resp_body_bytes": 5,
    });
    gateway.put(&route(&origin, &json!({"http-logger": logger})));
    // With the head, behind it, and more than is kept for another attempt.
    for bytes in [1_usize, 50_000, 300_000] {
        let body = "0123456789".repeat(bytes.div_ceil(10));
        let answer = post(&gateway, &body);
        assert!(answer.ends_with("hello world"), "{answer}");
        assert_eq!(origin.last().body, body.as_bytes(), "{bytes}");
        let entry = entry(&sink.wait().body);
        let expected = body.get(..70_000).unwrap_or(&body);
        let logged = entry["request"]["body"].as_str().expect("a body");
        assert!(logged == expected, "{} of {bytes}", logged.len());
        assert_eq!(entry["response"]["body"], "hello");
        assert_eq!(entry["response"]["status"], 200);
        assert_eq!(entry["upstream"], origin.node());
        assert_eq!(entry["client_ip"], "127.0.0.1");
        assert_eq!(entry["request"]["querystring"], json!({"a": "1"}));
        let url = format!("http://test:{}/hello?a=1", gateway.proxy.port());
        assert_eq!(entry["request"]["url"], url);
        assert!(entry["upstream_latency"].as_f64() <= entry["latency"].as_f64());
    }
}

#[test]
fn answers_of_the_gateways_own_are_logged() {
    let (sink, origin) = (Sink::start(), Origin::saying("unheard"));
    let gateway = Gateway::start("");
    let logger = json!({"uri": sink.url("/"), "batch_max_size": 1, "include_req_body": true});
    gateway.put(&route(
        &origin,
        &json!({"http-logger": logger, "limit-count": {"count": 1, "time_window": 60, "key": "uri"}}),
    ));
    let body = "x".repeat(20_000);
    for status in [200, 503] {
        let answer = post(&gateway, &body);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let entry = entry(&sink.wait().body);
        assert_eq!(entry["response"]["status"], status);
        let has_upstream = entry.get("upstream").is_some();
        assert_eq!(has_upstream, status == 200);
    }
}

#[test]
fn what_waits_is_sent_before_the_gateway_ends() {
    for signal in [Signal::QUIT, Signal::TERM] {
        let (sink, origin) = (Sink::start(), Origin::saying(""));
        let mut gateway = Gateway::start("");
        let logger =
            json!({"uri": sink.url("/"), "log_format": {"path": "$uri"}, "inactive_timeout": 600});
        gateway.put(&route(&origin, &json!({"http-logger": logger})));
        for _ in 0..3 {
            get(gateway.proxy, "/hello");
        }
        assert!(sink.take().is_none());
        gateway.process.signal(signal);
        assert!(gateway.process.end().success(), "{}", gateway.process.said);
        let sent = entry(&sink.wait().body);
        let one = json!({"path": "/hello", "route_id": "1"});
        assert_eq!(sent, json!([one, one, one]), "{signal:?}");
    }
}

#[test]
fn a_sink_that_does_not_answer_keeps_no_gateway_from_its_end() {
    let (sink, origin) = (Sink::start(), Origin::saying(""));
    sink.replies([Reply::Silent]);
    let mut gateway = Gateway::start("");
    let logger = json!({"uri": sink.url("/"), "timeout": 600, "inactive_timeout": 600});
    gateway.put(&route(&origin, &json!({"http-logger": logger})));
    get(gateway.proxy, "/hello");
    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.end().success());
    let said = &gateway.process.said;
    assert!(
        said.contains("entries were not sent before the end"),
        "{said}"
    );
    assert!(sink.take().is_some());
}

#[test]
fn a_sink_that_is_gone_is_told_of_and_harms_no_request() {
    let origin = Origin::saying("hello");
    let mut gateway = Gateway::start("");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = nobody.local_addr().expect("bound").port();
    drop(nobody);
    let logger = json!({"uri": format!("http://127.0.0.1:{port}/"), "batch_max_size": 1});
    gateway.put(&route(&origin, &json!({"http-logger": logger})));
    assert!(get(gateway.proxy, "/hello").ends_with("hello"));
    for line in [
        format!(
            "Batch Processor[http logger] failed to process entries: failed to connect to host[127.0.0.1] port[{port}] connection refused"
        ),
        "Batch Processor[http logger] exceeded the max_retry_count[1] dropping the entries".into(),
    ] {
        assert!(gateway.process.says(&line), "{}", gateway.process.said);
    }
}

#[test]
fn files_are_opened_anew_by_a_signal() {
    let origin = Origin::saying("hello");
    let mut gateway = Gateway::start("");
    let path = gateway.prefix.path().join("file.log");
    let logger = json!({"path": path, "log_format": {"path": "$uri", "status": "$status"}});
    gateway.put(&route(&origin, &json!({"file-logger": logger})));
    let line = "{\"path\":\"/hello\",\"status\":200,\"route_id\":\"1\"}\n";
    let written = |expected: &str| {
        lockgate_testkit::eventually("a line in the file", || {
            fs::read_to_string(&path).is_ok_and(|text| text == expected)
        });
    };
    get(gateway.proxy, "/hello");
    written(line);
    fs::rename(&path, path.with_extension("1")).expect("moved");
    gateway.process.signal(Signal::USR1);
    assert!(gateway.process.says("the logs were opened anew"));
    get(gateway.proxy, "/hello");
    written(line);
}
