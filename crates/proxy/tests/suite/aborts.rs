//! Clients that leave: the node is let go at once, and the log says how far it got.

use std::sync::mpsc;

use lockgate_testkit::{Gateway, Origin, PATIENCE, Setup, eventually};

use crate::{GET, route};

fn started(origin: &Origin) -> Gateway {
    Setup::new()
        .put("routes/1", &route("/*", origin))
        .with(|setup| {
            setup.log_format =
                "$status $upstream_status $body_bytes_sent $request_completion".into();
        })
        .start()
}

/// An origin that says when its connection has ended.
fn watched(
    script: impl Fn(&mut lockgate_testkit::Connection) + Send + Sync + 'static,
) -> (Origin, mpsc::Receiver<()>) {
    let (ended, end) = mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let origin = Origin::start(move |connection| {
        script(connection);
        connection.rest();
        let _nobody = ended.lock().expect("no waiter panics").send(());
    });
    (origin, end)
}

#[test]
fn a_client_that_sends_no_more_while_it_waits_has_left() {
    // nginx sees an end of the stream and does not ask which half ended (`proxy_ignore_client_abort off`).
    let (origin, end) = watched(|connection| {
        connection.request();
    });
    let gateway = started(&origin);
    let mut client = gateway.client();
    client.send(GET);
    eventually("the request arrived", || origin.requests().len() == 1);
    client.finish();
    assert_eq!(client.rest(), b"");
    assert_eq!(gateway.log_line(), "499 - 0 ");
    end.recv_timeout(PATIENCE).expect("the node is let go");
}

#[test]
fn a_client_that_leaves_within_its_body_is_logged_as_499() {
    for framing in [
        "Content-Length: 9\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let (origin, end) = watched(|connection| {
            connection.head();
        });
        let gateway = started(&origin);
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"));
        eventually("the node is asked", || origin.connections() == 1);
        client.finish();
        assert_eq!(client.rest(), b"");
        assert_eq!(gateway.log_line(), "499 - 0 ");
        end.recv_timeout(PATIENCE).expect("the node is let go");
    }
}

#[test]
fn a_client_that_leaves_within_the_response_is_logged_with_what_it_took() {
    let (origin, end) = watched(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while connection.send([b'x'; 8 * 1024]) {}
    });
    let gateway = started(&origin);
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.head().status(), 200);
    client.skip(100_000);
    client.reset();
    let line = gateway.log_line();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[..2], ["200", "200"], "{line}");
    let sent: u64 = words[2].parse().expect("a number");
    assert!((100_000..1_000_000_000).contains(&sent), "{line}");
    end.recv_timeout(PATIENCE).expect("the node is let go");
}
