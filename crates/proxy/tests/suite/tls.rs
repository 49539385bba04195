//! TLS towards origins.

use lockgate_testkit::{Certificate, Connection, Gateway, Origin, Setup};
use serde_json::{Value, json};

use crate::OK;

fn answer(connection: &mut Connection) {
    while connection.request().is_some() {
        connection.send(OK);
    }
}

/// An https upstream with these further settings.
fn upstream(origin: &Origin, further: &Value) -> Value {
    let mut stored = json!({"scheme": "https", "nodes": {origin.node(): 1}, "timeout": {"connect": 5, "send": 5, "read": 5}});
    for (key, value) in further.as_object().expect("an object") {
        stored[key] = value.clone();
    }
    json!({"uri": "/*", "upstream": stored})
}

fn gateway(origin: &Origin, further: &Value, trusted: Option<&str>) -> Gateway {
    Setup::new()
        .put("routes/1", &upstream(origin, further))
        .with(|setup| setup.trusted = trusted.map(str::to_owned))
        .start()
}

#[test]
fn speaks_tls_keeps_connections_and_names_the_host() {
    let certificate = Certificate::of(&["other.test"]);
    for (further, host, name) in [
        (json!({}), "a.test:81", Some("a.test")),
        (
            json!({"pass_host": "rewrite", "upstream_host": "b.test"}),
            "b.test",
            Some("b.test"),
        ),
        // An address is no name to ask for.
        (json!({"pass_host": "node"}), "", None),
    ] {
        let origin = Origin::start_tls(&certificate, answer);
        let gateway = gateway(&origin, &further, None);
        let mut client = gateway.client();
        for _ in 0..3 {
            let answer = client.ask("GET / HTTP/1.1\r\nHost: a.test:81\r\n\r\n");
            assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        }
        assert_eq!(origin.connections(), 1, "{further}");
        assert_eq!(origin.names(), [name.map(str::to_owned)]);
        let node = origin.node();
        let host = if host.is_empty() { &node } else { host };
        assert_eq!(origin.last().field("host"), Some(host));
    }
}

#[test]
fn connections_for_one_name_do_not_serve_another() {
    let origin = Origin::start_tls(&Certificate::of(&["a.test"]), answer);
    let gateway = gateway(&origin, &json!({}), None);
    let mut client = gateway.client();
    for host in ["a.test", "b.test", "a.test", "A.TEST", "b.test:80"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(client.ask(request).status(), 200);
    }
    let mut names: Vec<String> = origin.names().into_iter().flatten().collect();
    names.sort_unstable();
    assert_eq!(names, ["a.test", "b.test"]);
}

#[test]
fn certificates_are_verified_only_if_asked() {
    let certificate = Certificate::of(&["a.test"]);
    let verify = json!({"tls": {"verify": true}});
    for (further, trusted, host, status) in [
        (json!({}), None, "a.test", 200),
        (json!({"tls": {"verify": false}}), None, "b.test", 200),
        (
            verify.clone(),
            Some(certificate.pem.as_str()),
            "a.test",
            200,
        ),
        (
            verify.clone(),
            Some(certificate.pem.as_str()),
            "b.test",
            502,
        ),
        (
            verify,
            Some(Certificate::of(&["a.test"]).pem.as_str()),
            "a.test",
            502,
        ),
    ] {
        let origin = Origin::start_tls(&certificate, answer);
        let gateway = gateway(&origin, &further, trusted);
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(gateway.ask(request).status(), status, "{further} {host}");
        assert_eq!(origin.requests().len(), usize::from(status == 200));
    }
}

#[test]
fn bodies_pass_both_ways() {
    let body = vec![b'x'; 3_000_000];
    let origin = Origin::start_tls(&Certificate::of(&["a.test"]), |connection| {
        while let Some(request) = connection.request() {
            let size = request.body.len();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
            connection.send(request.body);
        }
    });
    let gateway = gateway(&origin, &json!({}), None);
    let mut client = gateway.client();
    for size in [10, 20_000, 3_000_000] {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n"
        ));
        client.send(&body[..size]);
        assert_eq!(client.response().body.len(), size);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn tunnels_pass_too() {
    let origin = Origin::start_tls(&Certificate::of(&["a.test"]), |connection| {
        connection.request();
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nearly",
        );
        let bytes = connection.bytes(100_000);
        connection.send(bytes);
        connection.finish();
    });
    let mut route = upstream(&origin, &json!({}));
    route["enable_websocket"] = json!(true);
    let gateway = Setup::new().put("routes/1", &route).start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.head().status(), 101);
    assert_eq!(client.bytes(5), b"early");
    client.send(vec![b'x'; 100_000]);
    assert_eq!(client.rest(), vec![b'x'; 100_000]);
}

#[test]
fn an_origin_without_tls_is_a_502() {
    for script in [
        (|connection| {
            connection.bytes(1);
            connection.send("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
        }) as fn(&mut Connection),
        |_| {},
    ] {
        let origin = Origin::start(script);
        let answer = gateway(&origin, &json!({}), None).get("/");
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.field("x-apisix-upstream-status"), Some("502"));
    }
}

#[test]
fn a_handshake_that_does_not_end_is_a_504() {
    let origin = Origin::start(|connection| {
        connection.rest();
    });
    let timeout = json!({"timeout": {"connect": 0.15, "send": 5, "read": 5}});
    assert_eq!(gateway(&origin, &timeout, None).get("/").status(), 504);
}
