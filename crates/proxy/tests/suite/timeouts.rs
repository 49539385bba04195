//! Waits that end: for heads, bodies, readers and origins.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use lockgate_testkit::{Client, Gateway, Origin, Setup, eventually};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::{GET, gate, route};

/// Short, and longer than a loopback takes.
const SHORT: Duration = Duration::from_millis(150);

/// An origin that reads everything and never answers.
fn silent() -> Origin {
    Origin::start(|connection| {
        connection.head();
        connection.rest();
    })
}

fn started(origin: &Origin, change: impl FnOnce(&mut Setup)) -> Gateway {
    Setup::new()
        .put("routes/1", &route("/*", origin))
        .with(|setup| setup.log_format = "$status $upstream_status".into())
        .with(change)
        .start()
}

#[test]
fn a_head_has_its_time_however_it_comes() {
    let origin = Origin::saying("hello");
    let gateway = started(&origin, |setup| setup.options.header_timeout = SHORT);
    // At once and no further.
    let mut client = gateway.client();
    let answer = client.ask("GET / HT");
    assert_eq!((answer.status(), answer.closes()), (408, true));
    assert!(client.ends_cleanly());
    assert_eq!(gateway.log_line(), "408 -");
    // Byte by byte, each well within the time.
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nX: ");
    for _ in 0..100 {
        client.send("x");
        if !client.hears_nothing_for(SHORT / 5) {
            break;
        }
    }
    assert_eq!(client.response().status(), 408);
    // Behind another request, and begun together with it.
    let mut client = gateway.client();
    client.send(format!("{GET}GET /"));
    assert_eq!(client.response().status(), 200);
    assert_eq!(client.response().status(), 408);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn idle_connections_are_closed_without_a_word() {
    let origin = Origin::saying("hello");
    let gateway = started(&origin, |setup| {
        setup.options.header_timeout = SHORT;
        setup.options.keepalive_timeout = SHORT;
    });
    assert!(gateway.client().ends_cleanly(), "before the first request");
    let mut client = gateway.client();
    assert_eq!(client.get("/").status(), 200);
    assert!(client.ends_cleanly(), "behind a request");
}

#[test]
fn no_time_to_keep_means_to_close() {
    let origin = Origin::saying("hello");
    let gateway = started(&origin, |setup| {
        setup.options.keepalive_timeout = Duration::ZERO;
    });
    let mut client = gateway.client();
    assert!(client.get("/").closes());
    assert!(client.ends_cleanly());
}

#[test]
fn a_slow_body_is_answered_408() {
    let origin = silent();
    let gateway = started(&origin, |setup| setup.options.body_timeout = SHORT);
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let mut client = gateway.client();
        let answer = client.ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n5\r\nab"
        ));
        assert_eq!((answer.status(), answer.closes()), (408, true));
        assert_eq!(answer.field("x-apisix-upstream-status"), None);
        assert!(client.ends_cleanly());
        assert_eq!(gateway.log_line(), "408 -");
    }
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let origin = Origin::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        while connection.send(vec![b'x'; 64 * 1024]) {}
    });
    let gateway = started(&origin, |setup| setup.options.send_timeout = SHORT);
    let mut client = Client::connect_narrow(gateway.address, 4096);
    client.send(GET);
    assert_eq!(gateway.log_line(), "200 200");
    eventually("the connection is closed", || gateway.counts().open == 0);
}

/// A route whose upstream has the given timeouts, short where not given.
fn timed(address: SocketAddr, which: &str) -> Value {
    let mut timeout = json!({"connect": 10, "send": 10, "read": 10});
    timeout[which] = json!(SHORT.as_secs_f64());
    json!({"uri": "/*", "upstream": {"nodes": {address.to_string(): 1}, "timeout": timeout}})
}

#[test]
fn a_node_that_does_not_answer_is_a_504() {
    let origin = silent();
    let gateway = Setup::new()
        .put("routes/1", &timed(origin.address(), "read"))
        .with(|setup| setup.log_format = "$status $upstream_status".into())
        .start();
    let mut client = gateway.client();
    let answer = client.get("/");
    assert_eq!((answer.status(), answer.closes()), (504, false));
    assert!(
        answer
            .text()
            .contains("<title>504 Gateway Time-out</title>")
    );
    assert_eq!(answer.field("x-apisix-upstream-status"), Some("504"));
    assert_eq!(gateway.log_line(), "504 504");
    // Half a head is no answer either.
    let origin = Origin::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\nContent-");
        connection.rest();
    });
    gateway.put("routes/1", &timed(origin.address(), "read"));
    assert_eq!(client.get("/").status(), 504);
    // A body that stops cannot be answered any more: it is cut.
    let origin = Origin::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.rest();
    });
    gateway.put("routes/1", &timed(origin.address(), "read"));
    assert_eq!(client.send(GET).head().status(), 200);
    assert_eq!(client.rest(), b"half");
}

#[test]
fn a_node_that_does_not_read_is_a_504() {
    let (release, released) = gate();
    let origin = Origin::start(move |connection| {
        connection.head();
        released();
    });
    let gateway = Setup::new()
        .put("routes/1", &timed(origin.address(), "send"))
        .start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let mut sender = client.copy();
    std::thread::scope(|scope| {
        scope.spawn(move || while sender.try_send(vec![b'x'; 64 * 1024]).is_ok() {});
        assert_eq!(client.response().status(), 504);
        client.close();
        release();
    });
}

#[test]
fn a_node_that_does_not_accept_is_a_504() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    socket.bind(&any.into()).expect("free port");
    socket.listen(0).expect("listening");
    let address = socket.local_addr().expect("bound");
    let address = address.as_socket().expect("ip");
    // Nobody accepts: the queue is filled, and what comes then waits.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
        waiting.push(stream);
        assert!(waiting.len() < 100);
    }
    let gateway = Setup::new()
        .put("routes/1", &timed(address, "connect"))
        .start();
    let answer = gateway.get("/");
    assert_eq!(
        (answer.status(), answer.field("x-apisix-upstream-status")),
        (504, Some("504"))
    );
}
