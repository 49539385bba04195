//! Why an answer is the gateway's own: in the log always, in the answer where that is asked for.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use lockgate_testkit::{Gateway, Message, Origin, Setup, eventually};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::{GET, gate, upstream};

/// Short, and longer than a loopback takes.
const SHORT: Duration = Duration::from_millis(150);

/// A gateway that logs reasons, with this route.
fn with(route: &Value) -> Setup {
    Setup::new().put("routes/1", route).with(|setup| {
        setup.log_format = "$status $lockgate_reason".into();
        setup.options.reason_header = true;
        setup.options.header_timeout = SHORT;
        setup.options.body_timeout = SHORT;
        setup.options.max_body_bytes = 10;
    })
}

/// Sends a request; answer and log must say so.
fn check(gateway: &Gateway, request: &str, status: u16, reason: &str) {
    let answer = gateway.ask(request);
    assert_eq!(told(&answer), (status, Some(reason)), "{request}");
    assert_eq!(gateway.log_line(), format!("{status} {reason}"));
}

fn told(answer: &Message) -> (u16, Option<&str>) {
    (answer.status(), answer.field("x-lockgate-reason"))
}

/// A route to one node with other fields in its upstream.
fn to(node: SocketAddr, more: &Value) -> Value {
    let mut upstream = json!({"nodes": {node.to_string(): 1}});
    if let Some(fields) = upstream.as_object_mut() {
        fields.extend(more.as_object().cloned().unwrap_or_default());
    }
    json!({"uri": "/*", "upstream": upstream})
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound")
}

#[test]
fn a_request_without_a_way_is_told_what_is_missing() {
    for (route, status, reason) in [
        (json!({"uri": "/else"}), 404, "no route"),
        (
            json!({"uri": "/", "service_id": "x"}),
            404,
            "no such service",
        ),
        (
            json!({"uri": "/", "upstream_id": "x"}),
            502,
            "no such upstream",
        ),
        (
            json!({"uri": "/", "plugin_config_id": "x", "upstream": {"nodes": {"127.0.0.1:1": 1}}}),
            503,
            "no such plugin config",
        ),
        (json!({"uri": "/"}), 503, "no upstream"),
        (
            json!({"uri": "/", "upstream": {"nodes": []}}),
            503,
            "no nodes",
        ),
    ] {
        check(&with(&route).start(), GET, status, reason);
    }
}

#[test]
fn an_upstream_that_cannot_be_used_is_not_replaced_by_another() {
    let origin = Origin::saying("the service's");
    let https = |tls: Value| json!({"scheme": "https", "nodes": {"127.0.0.1:1": 1}, "tls": tls});
    let lost = https(json!({"client_cert_id": "x"}));
    let wrong = https(json!({"client_cert": "x", "client_key": "x"}));
    let fine = json!({"uri": "/", "service_id": "1"});
    for (broken, status, reason) in [
        (lost, 502, "no such client certificate"),
        (wrong, 503, "the upstream cannot be used"),
    ] {
        for (route, service) in [
            (json!({"uri": "/", "upstream": broken}), json!({})),
            (
                json!({"uri": "/", "upstream": broken, "service_id": "1"}),
                json!({"upstream": upstream(&[&origin])}),
            ),
            (fine.clone(), json!({"upstream": broken})),
        ] {
            let gateway = with(&route).put("services/1", &service).start();
            check(&gateway, GET, status, reason);
            gateway.put("services/1", &json!({"upstream": upstream(&[&origin])}));
            gateway.put("routes/1", &fine);
            assert_eq!(gateway.get("/").status(), 200);
        }
    }
}

#[test]
fn what_is_no_request_is_told_why() {
    let origin = Origin::saying("hello");
    let gateway = with(&to(origin.address(), &json!({}))).start();
    let long = |count| "x".repeat(count);
    let post = |rest: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}");
    for (request, status, reason) in [
        (
            "nonsense\r\n\r\n".to_owned(),
            400,
            "malformed request: the start line is malformed",
        ),
        (
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            400,
            "malformed request: no Host",
        ),
        (
            "GET /../ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "malformed request: the path has no normal form",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(9000)),
            414,
            "malformed request: the request line is longer than 8192 bytes",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(70_000)),
            400,
            "request header too large",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            405,
            "malformed request: the method is not allowed",
        ),
        (
            post("Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            400,
            "malformed request: the chunked body is malformed",
        ),
        (
            post("Content-Length: 11\r\n\r\n"),
            413,
            "request body too large",
        ),
        ("GET / HT".to_owned(), 408, "request timeout"),
        (
            post("Content-Length: 9\r\n\r\nx"),
            408,
            "request body timeout",
        ),
    ] {
        check(&gateway, &request, status, reason);
    }
}

#[test]
fn a_node_that_fails_is_named() {
    let dead = nobody();
    let gateway = with(&to(dead, &json!({}))).start();
    check(&gateway, GET, 502, &format!("connection refused by {dead}"));

    let two = json!({"nodes": {dead.to_string(): 1, nobody().to_string(): 1}, "retries": 5});
    let gateway = with(&json!({"uri": "/*", "upstream": two})).start();
    check(&gateway, GET, 502, "every node has been tried");

    let gateway = with(&to(
        dead,
        &json!({"retries": 5, "retry_timeout": 0.000_001}),
    ))
    .start();
    check(&gateway, GET, 502, "retry timeout");

    let silent = Origin::start(|connection| {
        connection.head();
        connection.rest();
    });
    let node = silent.address();
    let timeout = json!({"timeout": {"connect": 5, "send": 5, "read": 0.15}});
    let gateway = with(&to(node, &timeout)).start();
    check(&gateway, GET, 504, &format!("read timeout from {node}"));

    for (text, reason) in [
        ("", "{node} closed the connection before it answered"),
        (
            "HTTP/1.1 abc\r\n\r\n",
            "invalid response from {node}: the status code is malformed",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "invalid response from {node}: its body is malformed",
        ),
    ] {
        let origin = Origin::start(move |connection| {
            connection.request();
            connection.send(text);
        });
        let node = origin.address();
        let gateway = with(&to(node, &json!({}))).start();
        let reason = reason.replace("{node}", &node.to_string());
        check(&gateway, GET, 502, &reason);
    }

    let plain = Origin::start(|connection| {
        connection.send("this is no TLS\r\n");
        connection.rest();
    });
    let node = plain.address();
    let gateway = with(&to(node, &json!({"scheme": "https"}))).start();
    let reason = format!("tls handshake with {node} failed");
    check(&gateway, GET, 502, &reason);
}

#[test]
fn a_node_that_lets_nobody_in_is_named() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    socket.bind(&any.into()).expect("free port");
    socket.listen(0).expect("listening");
    let address = socket.local_addr().expect("bound");
    let node = address.as_socket().expect("ip");
    // Nobody accepts: the queue is filled, and what comes then waits.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&node, SHORT) {
        waiting.push(stream);
        assert!(waiting.len() < 100);
    }
    let timeout = json!({"timeout": {"connect": 0.15, "send": 5, "read": 5}});
    let gateway = with(&to(node, &timeout)).start();
    check(&gateway, GET, 504, &format!("connect timeout to {node}"));
}

#[test]
fn a_full_upstream_says_so() {
    let (release, wait) = gate();
    let origin = Origin::start(move |connection| {
        while let Some(_request) = connection.request() {
            wait();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let limits = json!({"lockgate": {"limits": {"max_requests": 1, "max_pending": 0}}});
    let gateway = with(&to(origin.address(), &limits)).start();
    let mut first = gateway.client();
    first.send(GET);
    eventually("the first is under way", || origin.requests().len() == 1);
    let reason = "the upstream is full, and so is its queue";
    check(&gateway, GET, 503, reason);
    release();
    assert_eq!(told(&first.response()), (200, None));
    assert_eq!(gateway.log_line(), "200 ");
}

#[test]
fn a_client_that_left_is_the_reason() {
    let origin = Origin::start(|connection| {
        connection.request();
        connection.rest();
    });
    let gateway = with(&to(origin.address(), &json!({}))).start();
    let mut client = gateway.client();
    client.send(GET);
    eventually("the request arrived", || origin.requests().len() == 1);
    client.finish();
    assert_eq!(client.rest(), b"");
    let line = gateway.log_line();
    assert_eq!(line, "499 the client closed the connection");
}

#[test]
fn an_answer_of_the_upstream_has_no_reason_whatever_its_status() {
    let origin = Origin::answering("HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\nno");
    let gateway = with(&json!({"uri": "/*", "upstream": upstream(&[&origin])})).start();
    assert_eq!(told(&gateway.get("/")), (503, None));
    assert_eq!(gateway.log_line(), "503 ");
    // Nor does the reason of one request stay for the next on its connection.
    let mut client = gateway.client();
    let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(told(&answer), (413, Some("request body too large")));
    assert_eq!(gateway.log_line(), "413 request body too large");
    assert_eq!(told(&gateway.get("/")), (503, None));
    assert_eq!(gateway.log_line(), "503 ");
}

#[test]
fn nothing_tells_clients_by_default() {
    let dead = nobody();
    let setup = with(&to(dead, &json!({}))).put("routes/2", &json!({"uri": "/nowhere"}));
    let gateway = setup.with(|setup| setup.options.reason_header = false);
    let gateway = gateway.start();
    for request in [
        GET,
        "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET / HT",
    ] {
        let answer = gateway.ask(request);
        assert!(answer.status() >= 400);
        assert_eq!(answer.field("x-lockgate-reason"), None, "{request}");
        assert!(!answer.text().contains(&dead.to_string()));
        // While the log has it.
        assert!(gateway.log_line().len() > "502 ".len());
    }
}
