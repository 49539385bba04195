//! Connections of clients: kept, pipelined, ended.

use std::time::Duration;

use lockgate_proxy::Phase;
use lockgate_testkit::{Gateway, Origin, Setup, eventually};

use crate::{GET, OK, gate, route};

#[test]
fn keeps_connections_on_both_sides() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let answer = client.get("/a?b=1");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"));
        assert_eq!(answer.field("connection"), Some("keep-alive"));
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests().len(), 3);
    assert_eq!(origin.last().start, "GET /a?b=1 HTTP/1.1");
}

#[test]
fn answers_pipelined_requests_in_order() {
    let origin = Origin::start(|connection| {
        while let Some(request) = connection.request() {
            let body = [request.start.as_bytes(), b"|", &request.body].concat();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            connection.send([head.as_bytes(), &body].concat());
        }
    });
    let gateway = Gateway::to(&origin);
    let text = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
        POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
        GET /3 HTTP/1.1\r\nHost: a\r\n\r\n\
        HEAD /none HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";
    let expected = [
        "POST /1 HTTP/1.1|abc",
        "POST /2 HTTP/1.1|def",
        "GET /3 HTTP/1.1|",
    ];
    // At once, byte by byte, and in pieces that end within heads and bodies.
    for size in [text.len(), 1, 7, 50] {
        let mut client = gateway.client();
        for piece in text.as_bytes().chunks(size) {
            client.send(piece);
        }
        for body in expected {
            assert_eq!(client.response().text(), body, "pieces of {size}");
        }
        let head = client.response_to_head();
        assert_eq!(
            (head.status(), head.field("connection")),
            (200, Some("close"))
        );
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn old_clients_keep_the_connection_only_if_they_ask() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    let answer = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(answer.field("connection"), Some("keep-alive"));
    assert_eq!(origin.last().field("host"), Some(origin.node().as_str()));
    let answer = client.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(answer.start, "HTTP/1.1 200 OK");
    assert_eq!(client.rest(), b"");
    assert_eq!(origin.last().start, "GET / HTTP/1.1");
}

#[test]
fn closes_when_the_client_says_so() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(client.rest(), b"");
}

#[test]
fn what_follows_a_last_request_does_not_cost_the_answer() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{GET}{}",
        "x".repeat(4000)
    ));
    assert_eq!(client.response().text(), "hello");
    assert!(client.ends_cleanly());
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn absolute_targets_name_the_host() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    for (target, path, host) in [
        ("http://b.test/x?y", "/x?y", "b.test"),
        ("HTTP://B.test:81", "/", "B.test:81"),
        ("http://b.test?y", "/?y", "b.test"),
    ] {
        let answer = gateway.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(answer.status(), 200);
        let seen = origin.last();
        assert_eq!(seen.start, format!("GET {path} HTTP/1.1"));
        assert_eq!(seen.field("host"), Some(host));
        assert_eq!(seen.field("x-forwarded-host"), Some(host));
    }
}

#[test]
fn a_client_that_leaves_within_a_head_gets_nothing() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    for text in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = gateway.client();
        client.send(text).finish();
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(origin.connections(), 0);
    eventually("all connections closed", || gateway.counts().open == 0);
}

#[test]
fn a_client_that_leaves_while_waiting_is_logged_as_499() {
    let origin = Origin::start(|connection| {
        connection.request();
        connection.rest();
    });
    let gateway = Setup::new()
        .put("routes/1", &route("/*", &origin))
        .with(|setup| setup.log_format = "$status $upstream_status".into())
        .start();
    let mut client = gateway.client();
    client.send(GET);
    eventually("the request arrived", || origin.requests().len() == 1);
    drop(client);
    assert_eq!(gateway.log_line(), "499 -");
}

#[test]
fn draining_ends_idle_connections_and_finishes_requests() {
    let (release, released) = gate();
    let origin = Origin::start(move |connection| {
        while connection.request().is_some() {
            released();
            connection.send(OK);
        }
    });
    let gateway = Gateway::to(&origin);
    let (mut idle, mut used, mut busy) = (gateway.client(), gateway.client(), gateway.client());
    release();
    assert_eq!(used.get("/").status(), 200);
    busy.send(GET);
    eventually("the request arrived", || origin.requests().len() == 2);
    eventually("all accepted", || gateway.counts().open == 3);
    gateway.enter(Phase::Drain);
    assert_eq!(idle.rest(), b"");
    assert_eq!(used.rest(), b"");
    assert!(!gateway.is_done());
    release();
    assert_eq!(busy.response().field("connection"), Some("close"));
    assert_eq!(busy.rest(), b"");
    eventually("the workers have ended", || gateway.is_done());
}

#[test]
fn handing_over_answers_what_comes_on_open_connections_once_more() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    let (mut new, mut used, mut idle) = (gateway.client(), gateway.client(), gateway.client());
    assert_eq!(used.get("/").field("connection"), Some("keep-alive"));
    eventually("all accepted", || gateway.counts().open == 3);
    gateway.enter(Phase::HandOver);
    // Until every worker knows, a connection may be kept once more.
    for client in [&mut new, &mut used] {
        eventually("the end is announced", || {
            client.get("/").field("connection") == Some("close")
        });
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(idle.rest(), b"");
    eventually("the workers have ended", || gateway.is_done());
}

#[test]
fn draining_takes_no_longer_than_its_time() {
    let origin = Origin::start(|connection| {
        connection.request();
        connection.rest();
    });
    let gateway = Setup::new()
        .put("routes/1", &route("/*", &origin))
        .with(|setup| setup.options.drain_timeout = Duration::from_millis(100))
        .start();
    let mut client = gateway.client();
    client.send(GET);
    eventually("the request arrived", || origin.requests().len() == 1);
    gateway.enter(Phase::Drain);
    assert_eq!(client.rest(), b"");
    eventually("the workers have ended", || gateway.is_done());
}

#[test]
fn many_connections_at_once_are_all_served() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    for _ in 0..3 {
        let mut clients: Vec<_> = (0..300).map(|_| gateway.client()).collect();
        for client in &mut clients {
            client.send(GET);
        }
        for client in &mut clients {
            assert_eq!(client.response().text(), "hello");
        }
    }
    eventually("all connections closed", || gateway.counts().open == 0);
    assert_eq!(gateway.counts().requests, 900);
}
