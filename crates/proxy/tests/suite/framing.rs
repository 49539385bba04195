//! Bodies in every framing, both ways.

use lockgate_testkit::{Gateway, Message, Origin, Setup};

use crate::{GET, OK, route};

/// What a client gets for a request when the origin answers so and closes, and whether it could go on.
fn relayed(request: &str, response: &'static str) -> (Message, bool) {
    let origin = Origin::start(move |connection| {
        if connection.request().is_some() {
            connection.send(response);
        }
    });
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    client.send(request);
    let answer = if request.starts_with("HEAD") {
        client.response_to_head()
    } else {
        client.response()
    };
    if answer.closes() {
        assert_eq!(client.rest(), b"");
        return (answer, false);
    }
    // The origin is gone or does not answer again: what matters is that the client is still heard.
    client.send("BAD\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    (answer, true)
}

#[test]
fn frames_responses_for_each_kind_of_client() {
    const OLD: &str = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (request, response, length, coding, body, lives) in [
        (
            GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 002\r\n\r\nok",
            Some("2"),
            None,
            "ok",
            true,
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Some("0"),
            None,
            "",
            true,
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
            None,
            Some("chunked"),
            "ok",
            true,
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            None,
            Some("chunked"),
            "",
            true,
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            None,
            Some("chunked"),
            "to the end",
            true,
        ),
        (
            GET,
            "HTTP/1.0 200 OK\r\n\r\nto the end",
            None,
            Some("chunked"),
            "to the end",
            true,
        ),
        (GET, "HTTP/1.1 204 No Content\r\n\r\n", None, None, "", true),
        (
            GET,
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            None,
            None,
            "",
            true,
        ),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            Some("7"),
            None,
            "",
            true,
        ),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
            None,
            None,
            "",
            true,
        ),
        (
            HEAD,
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
            Some("7"),
            None,
            "",
            true,
        ),
        (
            HEAD,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            None,
            None,
            "",
            true,
        ),
        (HEAD, "HTTP/1.1 200 OK\r\n\r\n", None, None, "", true),
        (
            OLD,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Some("2"),
            None,
            "ok",
            true,
        ),
        (
            OLD,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
            None,
            None,
            "ok",
            false,
        ),
        (
            OLD,
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            None,
            None,
            "to the end",
            false,
        ),
    ] {
        let (answer, is_alive) = relayed(request, response);
        let seen = (
            answer.field("content-length"),
            answer.field("transfer-encoding"),
            answer.text(),
            is_alive,
        );
        assert_eq!(
            seen,
            (length, coding, body.to_owned(), lives),
            "{request:?} {response:?}"
        );
    }
}

#[test]
fn forwards_request_bodies_and_their_framing() {
    let origin = Origin::answering(OK);
    let gateway = Gateway::to(&origin);
    for (head, sent, length, coding, body) in [
        ("Content-Length: 5\r\n", "hello", Some("5"), None, "hello"),
        ("Content-Length: 0\r\n", "", Some("0"), None, ""),
        ("", "", None, None, ""),
        (
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            None,
            Some("chunked"),
            "hello",
        ),
        (
            "Transfer-Encoding: CHUNKED\r\n",
            "0\r\n\r\n",
            None,
            Some("chunked"),
            "",
        ),
    ] {
        // Together with the head, and behind it.
        for pieces in [1, 2] {
            let mut client = gateway.client();
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n");
            if pieces == 1 {
                client.send(format!("{head}{sent}"));
            } else {
                client.send(head).send(sent);
            }
            assert_eq!(client.response().text(), "ok");
            let seen = origin.last();
            assert_eq!(
                (
                    seen.field("content-length"),
                    seen.field("transfer-encoding"),
                    seen.text()
                ),
                (length, coding, body.to_owned()),
            );
            assert_eq!(client.get("/next").status(), 200);
        }
    }
}

#[test]
fn forwards_trailers_both_ways() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n",
    );
    let gateway = Gateway::to(&origin);
    let answer = gateway.ask(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Hash\r\nTE: trailers\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Hash: 5\r\nHost: evil\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let one = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.trailers, one("X-Sum", "7"));
    let seen = origin.last();
    assert_eq!(seen.text(), "abc");
    assert_eq!(seen.trailers, one("X-Hash", "5"));
    assert_eq!(
        (seen.field("trailer"), seen.field("te")),
        (Some("X-Hash"), None)
    );
}

#[test]
fn a_body_that_breaks_off_is_never_taken_for_whole() {
    for (response, status) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 200),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            200,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            200,
        ),
    ] {
        let origin = Origin::start(move |connection| {
            connection.request();
            connection.send(response);
        });
        let gateway = Gateway::to(&origin);
        let mut client = gateway.client();
        let head = client.send(GET).head();
        assert_eq!(head.status(), status, "{response:?}");
        let rest = client.rest();
        assert!(rest.len() < 10 + 5, "{response:?}");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{response:?}");
    }
}

#[test]
fn bytes_behind_a_response_end_the_connection() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let origin = Origin::start(move |connection| {
            while connection.request().is_some() {
                connection.send(if connection.number == 0 { response } else { OK });
            }
        });
        let gateway = Gateway::to(&origin);
        let mut client = gateway.client();
        assert!(client.get("/").status() < 300);
        assert_eq!(client.get("/").text(), "ok");
        assert_eq!(origin.connections(), 2, "{response:?}");
    }
}

#[test]
fn expected_continue_is_given_once_and_not_forwarded() {
    let origin = Origin::answering(OK);
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(
        client.send(head).head().head,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    assert_eq!(client.ask("hello").text(), "ok");
    let seen = origin.last();
    assert_eq!(
        (seen.text().as_str(), seen.field("expect")),
        ("hello", None)
    );
    // Who sends the body at once needs no leave.
    assert_eq!(client.ask(format!("{head}hello")).start, "HTTP/1.1 200 OK");
    assert_eq!(client.get("/").status(), 200);
}

#[test]
fn a_body_nobody_wants_is_no_request() {
    let origin = Origin::saying("ok");
    let gateway = Setup::new()
        .put("routes/1", &route("/known", &origin))
        .start();
    let hidden = "GET /known HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunk = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for (framing, body) in [
        (format!("Content-Length: {}", hidden.len()), hidden),
        ("Transfer-Encoding: chunked".to_owned(), chunk.as_str()),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let mut client = gateway.client();
        assert_eq!(client.ask(format!("{head}{body}")).status(), 404);
        // The answer does not wait for the body.
        let (start, end) = body.split_at(10);
        assert_eq!(client.ask(format!("{head}{start}")).status(), 404);
        client.send(end);
        assert_eq!(client.ask(format!("{head}{body}{hidden}")).status(), 404);
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_body_too_long_to_read_away_ends_the_connection() {
    let gateway = Setup::new().start();
    let mut client = gateway.client();
    let answer = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
    assert_eq!((answer.status(), answer.closes()), (404, true));
    assert!(client.send(vec![b'x'; 100_000]).ends_cleanly());
}

#[test]
fn an_early_answer_spares_the_body() {
    let gateway = Setup::new().start();
    let mut client = gateway.client();
    let answer = client
        .ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(
        (answer.status(), answer.field("connection")),
        (404, Some("close"))
    );
    assert_eq!(client.rest(), b"");
}

#[test]
fn an_origin_may_answer_before_the_body_has_ended() {
    let origin = Origin::start(|connection| {
        connection.head();
        connection.send("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno");
        connection.rest();
    });
    let gateway = Setup::new().put("routes/1", &route("/*", &origin)).start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
    let answer = client.response();
    assert_eq!(
        (answer.start.as_str(), answer.text().as_str()),
        ("HTTP/1.1 413 Too Much", "no")
    );
    assert!(answer.closes(), "the rest of the body is no request");
    // What the client still sends is thrown away until it has read the answer and leaves.
    client
        .send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        .finish();
    assert_eq!(client.rest(), b"");
}
