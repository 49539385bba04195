//! Upgraded connections: whom they are allowed, and bytes both ways.

use lockgate_testkit::{Client, Gateway, Origin, Setup, eventually};
use serde_json::json;

use crate::{OK, gate, upstream};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn to(origin: &Origin, on_route: Option<bool>, on_service: Option<bool>) -> Setup {
    let mut route = json!({"uri": "/*", "service_id": "1"});
    let mut service = json!({"upstream": upstream(&[origin])});
    for (object, setting) in [(&mut route, on_route), (&mut service, on_service)] {
        if let Some(setting) = setting {
            object["enable_websocket"] = json!(setting);
        }
    }
    Setup::new()
        .put("services/1", &service)
        .put("routes/1", &route)
        .with(|setup| setup.log_format = "$status $body_bytes_sent".into())
}

fn switched(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    let head = client.send(UPGRADE).head();
    assert_eq!(
        (head.status(), head.field("upgrade")),
        (101, Some("websocket"))
    );
    assert_eq!(head.field("connection"), Some("upgrade"));
    assert_eq!(
        head.field("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    client
}

#[test]
fn upgrades_are_passed_where_route_or_service_allows_them() {
    for (on_route, on_service, is_allowed) in [
        (None, None, false),
        (Some(true), None, true),
        (None, Some(true), true),
        (Some(false), Some(true), false),
        (Some(true), Some(false), true),
    ] {
        let origin = Origin::start(|connection| {
            while let Some(request) = connection.request() {
                if request.field("upgrade").is_some() {
                    connection.send(SWITCHED);
                    let greeting = connection.bytes(5);
                    connection.send(greeting);
                    return;
                }
                connection.send(OK);
            }
        });
        let gateway = to(&origin, on_route, on_service).start();
        if is_allowed {
            let mut client = switched(&gateway);
            assert_eq!(client.send("hello").bytes(5), b"hello");
            assert_eq!(origin.last().field("connection"), Some("upgrade"));
            assert!(client.ends_cleanly());
            drop(client);
            assert_eq!(gateway.log_line(), "101 5");
        } else {
            let mut client = gateway.client();
            assert_eq!(client.ask(UPGRADE).text(), "ok");
            assert_eq!(origin.last().field("connection"), None);
            assert_eq!(client.get("/").text(), "ok");
        }
    }
}

#[test]
fn an_upgrade_the_origin_declines_is_a_plain_exchange() {
    let origin = Origin::answering(OK);
    let gateway = to(&origin, Some(true), None).start();
    let mut client = gateway.client();
    for _ in 0..2 {
        assert_eq!(client.ask(UPGRADE).text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn bytes_sent_together_with_either_head_are_not_lost() {
    let origin = Origin::start(|connection| {
        connection.request();
        connection.send(format!("{SWITCHED}from the origin"));
        let early = connection.bytes(15);
        connection.send(early);
    });
    let gateway = to(&origin, Some(true), None).start();
    let mut client = gateway.client();
    client.send(format!("{UPGRADE}from the client"));
    assert_eq!(client.head().status(), 101);
    assert_eq!(client.rest(), b"from the originfrom the client");
}

#[test]
fn each_direction_ends_on_its_own() {
    // The client first: what the origin still sends arrives.
    let origin = Origin::start(|connection| {
        connection.request();
        connection.send(SWITCHED);
        let all = connection.rest();
        connection.send([b"got ", all.as_slice()].concat());
    });
    let gateway = to(&origin, Some(true), None).start();
    let mut client = switched(&gateway);
    client.send("everything").finish();
    assert_eq!(client.rest(), b"got everything");
    // The origin first: what the client still sends arrives.
    let origin = Origin::start(|connection| {
        connection.request();
        connection.send(SWITCHED);
        connection.send("bye");
        connection.finish();
        connection.request();
    });
    let gateway = to(&origin, Some(true), None).start();
    let mut client = switched(&gateway);
    assert_eq!(client.rest(), b"bye");
    client.send("GET /late HTTP/1.1\r\n\r\n").finish();
    eventually("it arrived", || origin.requests().len() == 2);
    eventually("the tunnel ended", || gateway.counts().open == 0);
}

#[test]
fn a_tunnel_that_is_silent_for_too_long_ends() {
    let (release, released) = gate();
    let origin = Origin::start(move |connection| {
        connection.request();
        connection.send(SWITCHED);
        connection.rest();
        released();
    });
    let mut stored = upstream(&[&origin]);
    stored["timeout"] = json!({"connect": 5, "send": 5, "read": 0.2});
    let gateway = Setup::new()
        .put(
            "routes/1",
            &json!({"uri": "/*", "enable_websocket": true, "upstream": stored}),
        )
        .start();
    let mut client = switched(&gateway);
    // Each piece of one direction keeps the tunnel alive.
    for _ in 0..8 {
        client.send("x");
        assert!(client.hears_nothing_for(std::time::Duration::from_millis(50)));
    }
    assert!(client.ends_cleanly());
    release();
}

#[test]
fn only_a_request_that_is_whole_can_upgrade() {
    let origin = Origin::answering(OK);
    let gateway = to(&origin, Some(true), None).start();
    let request = UPGRADE
        .replace("GET", "POST")
        .replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n");
    // The body comes later: the request is a plain one.
    let mut client = gateway.client();
    client.send(&request);
    eventually("the head was read", || gateway.counts().requests == 1);
    assert_eq!(client.ask("late").text(), "ok");
    assert_eq!(origin.last().field("upgrade"), None);
    assert_eq!(origin.last().text(), "late");
    assert_eq!(client.get("/").text(), "ok");
}
