//! The access log, as nginx writes it.

use lockgate_proxy::Escape;
use lockgate_testkit::{Gateway, Origin, Setup};

use crate::{OK, route};

fn logging(origin: &Origin, format: &str, escape: Escape) -> Gateway {
    Setup::new()
        .put("routes/r1", &route("/known*", origin))
        .with(|setup| {
            setup.log_format = format.into();
            setup.log_escape = escape;
        })
        .start()
}

#[test]
fn the_default_format_is_that_of_the_reference() {
    let origin = Origin::answering(OK);
    let gateway = Setup::new()
        .put("routes/1", &route("/known*", &origin))
        .start();
    gateway.ask(
        "POST /known?a=b HTTP/1.1\r\nHost: A.test:81\r\nAuthorization: Basic am9lOng=\r\nReferer: http://r/\r\n\
         User-Agent: \"agent\"\r\nX-Request-Id: own\r\nContent-Length: 2\r\n\r\nhi",
    );
    let line = gateway.log_line();
    let node = origin.node();
    // The times and the random id differ from run to run.
    let (before, after) = line.split_once(" [").expect("a time");
    assert_eq!(before, "127.0.0.1 - joe");
    let (time, after) = after.split_once("] ").expect("a time");
    assert_eq!(time.len(), "23/Nov/2026:20:00:00 +0000".len());
    let words: Vec<&str> = after.split(' ').collect();
    let [host, method, target, version, status, sent, took, rest @ ..] = words.as_slice() else {
        panic!("{line}");
    };
    assert_eq!(
        [*host, method, target, version, status, sent],
        [
            "A.test:81",
            "\"POST",
            "/known?a=b",
            "HTTP/1.1\"",
            "200",
            "2"
        ]
    );
    assert!(took.starts_with("0.0") && took.len() == 5, "{took}");
    let [
        referer,
        agent,
        address,
        upstream_status,
        upstream_took,
        host,
        id,
    ] = rest
    else {
        panic!("{line}");
    };
    assert_eq!(
        [*referer, agent, address, upstream_status, host],
        [
            "\"http://r/\"",
            "\"\\x22agent\\x22\"",
            &node,
            "200",
            "\"http://A.test:81\""
        ]
    );
    assert!(upstream_took.starts_with("0.0"), "{upstream_took}");
    assert_eq!(id.trim_matches('"').len(), 32, "{id}");
}

#[test]
fn values_are_escaped_as_asked() {
    let request = "GET /known?a=\"b\\c\" HTTP/1.1\r\nHost: a\r\nX-Text: tab\there \u{e9}\r\n\r\n";
    for (escape, line) in [
        (
            Escape::Default,
            r"/known?a=\x22b\x5Cc\x22|tab\x09here \xC3\xA9|-|",
        ),
        (Escape::Json, r#"/known?a=\"b\\c\"|tab\there é||"#),
        (Escape::None, "/known?a=\"b\\c\"|tab\there é||"),
    ] {
        let origin = Origin::answering(OK);
        let gateway = logging(&origin, "$request_uri|$http_x_text|$http_none|", escape);
        gateway.ask(request);
        assert_eq!(gateway.log_line(), line, "{escape:?}");
    }
}

#[test]
fn facts_of_each_request_are_its_own() {
    let origin =
        Origin::answering("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Out: y\r\n\r\nhello");
    let format = "$status $request_length $bytes_sent $body_bytes_sent $connection_requests $route_id $sent_http_x_out \
        $uri $args $request_method $upstream_status";
    let gateway = logging(&origin, format, Escape::Default);
    let mut client = gateway.client();
    let head = "PUT /known/%61?q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    let answer = client.ask(format!("{head}abc"));
    let (request, response) = (head.len() + 3, answer.head.len() + 5);
    assert_eq!(
        gateway.log_line(),
        format!("201 {request} {response} 5 1 r1 y /known/a q PUT 201")
    );
    let answer = client.get("/none");
    let response = answer.head.len() + answer.body.len();
    let request = "GET /none HTTP/1.1\r\nHost: a.test\r\n\r\n".len();
    assert_eq!(
        gateway.log_line(),
        format!("404 {request} {response} 36 2 - - /none - GET -")
    );
    let answer = client.ask("nonsense\r\n\r\n");
    let response = answer.head.len() + answer.body.len();
    assert_eq!(
        gateway.log_line(),
        format!("400 0 {response} {} 2 - - - - - -", answer.body.len())
    );
}

#[test]
fn a_line_does_not_wait_for_a_full_buffer() {
    let origin = Origin::answering(OK);
    let gateway = Setup::new()
        .put("routes/1", &route("/*", &origin))
        .with(|setup| {
            setup.log_format = "$status".into();
            setup.log_buffer_bytes = 16 * 1024;
        })
        .start();
    assert_eq!(gateway.get("/").status(), 200);
    assert_eq!(gateway.log_line(), "200");
}
