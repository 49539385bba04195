//! Origins whose answer is none, or none that may be passed on.

use lockgate_testkit::{Connection, Gateway, Origin, Setup};

use crate::{GET, OK, route};

/// An origin that ends its first connection in the given way and answers on all later ones.
fn once(end: impl Fn(&mut Connection) + Send + Sync + 'static) -> Origin {
    Origin::start(move |connection| {
        if connection.number == 0 {
            if connection.head().is_some() {
                end(connection);
            }
            return;
        }
        while connection.request().is_some() {
            connection.send(OK);
        }
    })
}

#[test]
fn heads_that_are_none_are_a_502_and_their_connection_is_not_used_again() {
    for response in [
        "garbage\r\n\r\n",
        "\r\n\r\n",
        "\0\x01\x02\r\n\r\n",
        "HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\nX: y\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\rY: b\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\0\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX : y\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        // Bodies that are none from their first byte on: nothing has been sent to the client yet.
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nno trailer\r\n\r\n",
    ] {
        let origin = once(move |connection| {
            connection.send(response);
            connection.rest();
        });
        let gateway = Gateway::to(&origin);
        let mut client = gateway.client();
        let answer = client.get("/");
        assert_eq!(
            (answer.status(), answer.closes()),
            (502, false),
            "{response:?}"
        );
        assert!(answer.text().contains("<title>502 Bad Gateway</title>"));
        assert_eq!(answer.field("x-apisix-upstream-status"), Some("502"));
        assert_eq!(client.get("/").text(), "ok", "{response:?}");
        assert_eq!(origin.connections(), 2, "{response:?}");
    }
}

#[test]
fn origins_that_leave_are_a_502() {
    type End = fn(&mut Connection);
    let ends: [(&str, End); 5] = [
        ("closes", |_| {}),
        ("resets", |connection| connection.reset()),
        ("half a head", |connection| {
            connection.send("HTTP/1.1 200 OK\r\nContent-");
        }),
        ("a head too large", |connection| {
            connection.send("HTTP/1.1 200 OK\r\n");
            connection.send(format!("X: {}\r\n", "y".repeat(4000)).repeat(10));
            connection.rest();
        }),
        ("half a head and a reset", |connection| {
            connection.send("HTTP/1.1 200 OK\r\n");
            connection.reset();
        }),
    ];
    for (name, end) in ends {
        let origin = once(end);
        let gateway = Gateway::to(&origin);
        let mut client = gateway.client();
        let answer = client.get("/");
        assert_eq!((answer.status(), answer.closes()), (502, false), "{name}");
        assert_eq!(client.get("/").text(), "ok", "{name}");
    }
}

#[test]
fn nobody_there_is_a_502() {
    let origin = Origin::saying("x");
    let node = route("/*", &origin);
    drop(origin);
    let gateway = Setup::new()
        .put("routes/1", &node)
        .with(|setup| setup.log_format = "$status $upstream_status $upstream_connect_time".into())
        .start();
    let mut client = gateway.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!((answer.status(), answer.closes()), (502, false));
        assert_eq!(gateway.log_line(), "502 502 -");
    }
}

#[test]
fn a_body_that_turns_bad_later_is_cut() {
    let origin = once(|connection| {
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        // Until the client has read this much.
        connection.bytes(4);
        connection.send("nonsense");
    });
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.head().status(), 200);
    assert_eq!(client.bytes(10), b"5\r\nhello\r\n");
    client.send("more");
    assert_eq!(client.rest(), b"");
    assert_eq!(gateway.get("/").text(), "ok");
}

#[test]
fn a_response_in_single_bytes_is_one_response() {
    let origin = Origin::start(|connection| {
        while connection.request().is_some() {
            let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n";
            for byte in text.as_bytes() {
                connection.send([*byte]);
            }
        }
    });
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    for _ in 0..2 {
        let answer = client.send(GET).response();
        assert_eq!((answer.text().as_str(), answer.trailers.len()), ("ok", 1));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_connection_the_origin_closes_is_not_used_again() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let origin = Origin::answering(response);
        let gateway = Setup::new().put("routes/1", &route("/*", &origin)).start();
        let mut client = gateway.client();
        for count in 1..=2 {
            let answer = client.get("/");
            assert_eq!((answer.text().as_str(), answer.closes()), ("ok", false));
            assert_eq!(origin.connections(), count);
        }
    }
}

#[test]
fn a_response_of_any_size_leaves_its_connection_for_the_next() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n";
    // As large as one read of the gateway, and one byte to either side.
    for total in [65_535, 65_536, 65_537, 131_072] {
        let size = total - HEAD.len();
        let head = HEAD.replace("12345", &format!("{size:05}"));
        let origin = Origin::answering([head.into_bytes(), vec![b'x'; size]].concat());
        let gateway = Gateway::to(&origin);
        let mut client = gateway.client();
        for _ in 0..5 {
            assert_eq!(client.get("/").body.len(), size);
        }
        assert_eq!(origin.connections(), 1, "{total}");
    }
}
