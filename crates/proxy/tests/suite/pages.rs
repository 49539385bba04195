//! The gateway's own answers: nginx's pages, the reference's JSON, sizes that are too large.

use lockgate_testkit::{Gateway, Origin, Setup};
use serde_json::json;

use crate::{OK, route};

/// nginx's page with the reference's footer (docs/en/latest/plugins/forward-auth.md of the reference shows one whole).
fn page(title: &str) -> String {
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>openresty</center>\r\n\
         <p><em>Powered by <a href=\"https://apisix.apache.org/\">APISIX</a>.</em></p></body>\r\n</html>\r\n"
    )
}

fn limited(origin: &Origin) -> Gateway {
    Setup::new()
        .put("routes/1", &route("/*", origin))
        .with(|setup| {
            setup.options.max_body_bytes = 10;
            setup.log_format = "$status \"$request\"".into();
        })
        .start()
}

#[test]
fn requests_that_are_too_large_or_none_get_nginx_pages() {
    let origin = Origin::answering(OK);
    let gateway = limited(&origin);
    let long = |count| "x".repeat(count);
    for (request, start, title) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n".to_owned(),
            "HTTP/1.1 413 Request Entity Too Large",
            "413 Request Entity Too Large",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n".to_owned(),
            "HTTP/1.1 413 Request Entity Too Large",
            "413 Request Entity Too Large",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(9000)),
            "HTTP/1.1 414 Request-URI Too Large",
            "414 Request-URI Too Large",
        ),
        (
            "nonsense\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request",
            "400 Bad Request",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "HTTP/1.1 405 Not Allowed",
            "405 Not Allowed",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n".to_owned(),
            "HTTP/1.1 501 Not Implemented",
            "501 Not Implemented",
        ),
        (
            "GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(),
            "HTTP/1.1 505 HTTP Version Not Supported",
            "505 HTTP Version Not Supported",
        ),
    ] {
        let mut client = gateway.client();
        let answer = client.ask(&request);
        assert_eq!(answer.start, start);
        assert_eq!(answer.text(), page(title));
        assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.field("server"), Some("APISIX/3.18.0"));
        assert!(answer.field("date").is_some_and(|date| date.ends_with(" GMT")));
        assert!(answer.closes());
        assert!(client.ends_cleanly());
        let line = request.split("\r\n").next().expect("a line");
        let status = &title[..3];
        assert_eq!(gateway.log_line(), format!("{status} \"{line}\""));
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_head_that_is_too_large_gets_nginx_own_page() {
    let gateway = Setup::new().start();
    let field = format!("X: {}\r\n", "y".repeat(8000));
    for fields in [
        format!("X: {}\r\n", "y".repeat(8200)),
        field.repeat(5),
        "X: y\r\n".repeat(300),
    ] {
        let answer = gateway.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(answer.start, "HTTP/1.1 400 Bad Request");
        let text = answer.text();
        assert!(
            text.contains("<title>400 Request Header Or Cookie Too Large</title>"),
            "{text}"
        );
        assert!(text.contains("<h1>400 Bad Request</h1></center>\r\n<center>Request Header Or Cookie Too Large</center>\r\n"));
    }
    // What still fits is served.
    let answer = gateway.ask(format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        field.repeat(4)
    ));
    assert_eq!(answer.status(), 404);
}

#[test]
fn a_chunked_body_that_grows_too_large_is_a_413() {
    let origin = Origin::start(|connection| {
        connection.head();
        connection.rest();
    });
    let gateway = limited(&origin);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.send("6\r\nworld!\r\n");
    let answer = client.response();
    assert_eq!((answer.status(), answer.closes()), (413, true));
    assert_eq!(answer.field("x-apisix-upstream-status"), None);
    assert!(client.ends_cleanly());
}

#[test]
fn bodies_at_the_limit_pass() {
    let origin = Origin::answering(OK);
    let gateway = limited(&origin);
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
    ] {
        assert_eq!(gateway.ask(request).status(), 200);
        assert_eq!(origin.last().text(), "0123456789");
    }
}

#[test]
fn a_request_without_a_route_gets_the_json_of_the_reference() {
    let gateway = Setup::new().start();
    let mut client = gateway.client();
    for _ in 0..2 {
        let answer = client.get("/x");
        assert_eq!((answer.status(), answer.closes()), (404, false));
        assert_eq!(answer.text(), "{\"error_msg\":\"404 Route Not Found\"}\n");
        assert_eq!(
            answer.field("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
    client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        client.response_to_head().field("content-length"),
        Some("36")
    );
    assert_eq!(client.get("/x").status(), 404);
    // The method of one request is not the method of the next, which is none.
    client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n");
    assert_eq!(client.response_to_head().status(), 404);
    assert!(client.response().text().contains("400 Bad Request"));
}

#[test]
fn references_that_lead_nowhere_have_their_own_answers() {
    let origin = Origin::answering(OK);
    let plain = route("/*", &origin)["upstream"].clone();
    let no_nodes = json!({"nodes": {}});
    let weightless =
        json!({"type": "chash", "key": "uri", "nodes": {origin.node(): 0, "127.0.0.1:1": 0}});
    for (object, status, text) in [
        (
            json!({"uri": "/", "service_id": "none"}),
            404,
            "404 Not Found",
        ),
        (
            json!({"uri": "/", "upstream_id": "none"}),
            502,
            "502 Bad Gateway",
        ),
        (
            json!({"uri": "/", "upstream": plain, "plugin_config_id": "none"}),
            503,
            "503 Service Temporarily Unavailable",
        ),
        (
            json!({"uri": "/", "upstream": no_nodes}),
            503,
            "503 Service Temporarily Unavailable",
        ),
        (
            json!({"uri": "/", "upstream": weightless}),
            502,
            "502 Bad Gateway",
        ),
        (
            json!({"uri": "/", "service_id": "bare"}),
            503,
            "503 Service Temporarily Unavailable",
        ),
        (
            json!({"uri": "/", "upstream_id": "empty"}),
            503,
            "503 Service Temporarily Unavailable",
        ),
        (
            json!({"uri": "/", "status": 0, "upstream": plain}),
            404,
            "404 Route Not Found",
        ),
    ] {
        let gateway = Setup::new()
            .put("services/bare", &json!({"name": "bare"}))
            .put("upstreams/empty", &no_nodes)
            .put("routes/1", &object)
            .start();
        let answer = gateway.get("/");
        assert_eq!(answer.status(), status, "{object}");
        assert!(answer.text().contains(text), "{object}");
        // Once what was missing is there, requests are served.
        gateway.put("services/none", &json!({"upstream": plain}));
        gateway.put("services/bare", &json!({"upstream_id": "empty"}));
        gateway.put("upstreams/none", &plain);
        gateway.put("upstreams/empty", &plain);
        gateway.put("plugin_configs/none", &json!({"plugins": {}}));
        let served = gateway.get("/").status();
        let is_fixed = object["upstream"] == plain && object["status"] != 0
            || object.get("upstream").is_none();
        assert_eq!(served == 200, is_fixed, "{object}: {served}");
    }
}
