//! Plugins that change requests and responses, those that answer themselves, and how they meet.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use lockgate_testkit::{Client, Gateway, Message, Origin, Setup};
use serde_json::{Value, json};

/// A gateway whose requests all go to an origin, through these plugins.
fn gateway(origin: &Origin, plugins: &Value) -> Gateway {
    let route = json!({"uri": "/*", "plugins": plugins, "upstream": {"nodes": {origin.node(): 1}}});
    Setup::new()
        .with(|setup| setup.plugins = lockgate_plugins::all().collect())
        .put("routes/1", &route)
        .start()
}

/// What the origin gets of a request.
fn sent(plugins: &Value, request: &str) -> Message {
    let origin = Origin::saying("hello");
    let gateway = gateway(&origin, plugins);
    assert_eq!(gateway.client().ask(request).status(), 200, "{plugins}");
    origin.last()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .expect("gzip");
    text
}

/// The head of a response whose body ends with the connection.
const UNFRAMED: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

/// A response with a body of this length.
fn response(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn the_rewritten_target_is_what_the_upstream_gets() {
    let escaped = "/hello%3f0z=700%26a=c%20HTTP/1.1%0D%0AHost:google.com%0d%0a%0d%0a";
    for (rewrite, asked, expected) in [
        (json!({"uri": "/new"}), "/old?a=b", "/new?a=b"),
        (json!({"uri": "/new?x=1"}), "/old?a=b", "/new?x=1&a=b"),
        (
            json!({"host": "b.test"}),
            escaped,
            "/hello%3F0z=700&a=c%20HTTP/1.1%0D%0AHost:google.com%0D%0A%0D%0A",
        ),
        (
            json!({"uri": "/$uri/x"}),
            escaped,
            "//hello%253F0z=700&a=c%20HTTP/1.1%0D%0AHost:google.com%0D%0A%0D%0A/x",
        ),
        (
            json!({"regex_uri": ["^/a/(.*)", "/b/$1"]}),
            "/a/%20?%20",
            "/b/%20?%20",
        ),
        (
            json!({"use_real_request_uri_unsafe": true}),
            "/print%5Furi?a=%20",
            "/print%5Furi?a=%20",
        ),
    ] {
        let got = sent(&json!({"proxy-rewrite": rewrite}), &get(asked));
        assert_eq!(got.target(), expected, "{rewrite} on {asked}");
    }
}

#[test]
fn the_rewritten_method_and_host_are_what_the_upstream_gets() {
    let rewrite = json!({"proxy-rewrite": {"method": "POST", "host": "b.test:81"}});
    let got = sent(&rewrite, &get("/"));
    assert_eq!(
        (got.method(), got.field("host")),
        ("POST", Some("b.test:81"))
    );
}

#[test]
fn fields_of_forwarding_are_what_plugins_make_of_them() {
    let own = "X-Forwarded-Host: own\r\nX-Forwarded-Proto: own\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: own";
    let request = format!("GET / HTTP/1.1\r\nHost: a.test:81\r\n{own}\r\n\r\n");
    for (headers, expected) in [
        (
            json!({"x": "y"}),
            [
                Some("http"),
                Some("a.test:81"),
                Some("81"),
                Some("1.2.3.4, 127.0.0.1"),
                None,
            ],
        ),
        (
            json!({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "c.test", "X-Forwarded-Port": 82, "X-Forwarded-For": "5.6.7.8", "Forwarded": "new"}),
            [
                Some("https"),
                Some("c.test"),
                Some("82"),
                Some("5.6.7.8, 127.0.0.1"),
                Some("new"),
            ],
        ),
        (
            json!({"remove": ["X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-For"]}),
            [None, None, None, Some("127.0.0.1"), None],
        ),
        (
            json!({"set": {"x-proto": "$http_x_forwarded_proto", "X-Forwarded-Host": "$http_x_forwarded_host"}}),
            [
                Some("http"),
                Some("a.test:81"),
                Some("81"),
                Some("1.2.3.4, 127.0.0.1"),
                None,
            ],
        ),
    ] {
        let got = sent(&json!({"proxy-rewrite": {"headers": headers}}), &request);
        let fields = [
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-for",
            "forwarded",
        ];
        let fields = fields.map(|name| {
            let values: Vec<_> = got.all(name).collect();
            assert!(values.len() <= 1, "{name}: {values:?}");
            values.first().copied()
        });
        assert_eq!(fields, expected, "{headers}");
    }
}

#[test]
fn a_body_is_replaced_however_the_upstream_framed_its_own() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n";
    for upstreams in [
        response("ETag: \"a\"\r\n", b"old body"),
        response("", b""),
        chunked.into(),
        [UNFRAMED, b"old"].concat(),
        response("Content-Encoding: gzip\r\n", &gzip("old body")),
    ] {
        let sent = upstreams.clone();
        let ends = upstreams.starts_with(UNFRAMED);
        let origin = Origin::start(move |connection| {
            while connection.request().is_some() && connection.send(&sent) && !ends {}
        });
        let gateway = gateway(&origin, &json!({"response-rewrite": {"body": "new"}}));
        let mut client = gateway.client();
        for _ in 0..2 {
            let got = client.get("/");
            assert_eq!(got.text(), "new", "{}", upstreams.escape_ascii());
            assert_eq!(
                (got.field("content-encoding"), got.field("etag")),
                (None, None)
            );
        }
        let old = "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n";
        assert_eq!(gateway.client().ask(old).text(), "new");
    }
}

#[test]
fn a_response_without_a_body_stays_without() {
    for (request, upstreams) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
    ] {
        let origin = Origin::answering(upstreams);
        let gateway = gateway(&origin, &json!({"response-rewrite": {"body": "new"}}));
        let mut client = gateway.client();
        client.send(format!("{request} / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let got = client.response_to_head();
        assert!(got.start.contains(' '), "{}", got.start);
        // What follows on the connection is the next response, and not a body.
        client.send(format!("{request} / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(client.response_to_head().start, got.start);
    }
}

#[test]
fn bodies_are_filtered_in_pieces_and_compressed() {
    let filters = json!({"response-rewrite": {"filters": [{"regex": "hello", "replace": "bye", "scope": "global"}]}});
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n9\r\nlo, hello\r\n0\r\n\r\n";
    for upstreams in [
        chunked.into(),
        response("", b"hello, hello"),
        response("Content-Encoding: gzip\r\n", &gzip("hello, hello")),
    ] {
        let origin = Origin::answering(upstreams);
        let got = gateway(&origin, &filters).client().get("/");
        assert_eq!(
            (&*got.text(), got.field("content-encoding")),
            ("bye, bye", None)
        );
    }
}

#[test]
fn answers_of_the_gateway_are_rewritten_too() {
    let origin = Origin::saying("hello");
    let plugins = json!({
        "fault-injection": {"abort": {"http_status": 500, "body": "fault"}},
        "response-rewrite": {
            "status_code": 200,
            "body": "all is well",
            "vars": [["status", "==", 500]],
        },
    });
    let got = gateway(&origin, &plugins).client().get("/");
    assert_eq!((got.status(), &*got.text()), (200, "all is well"));
    assert_eq!(got.field("content-length"), Some("11"));
}

#[test]
fn responses_are_chosen_by_their_status() {
    let origin = Origin::start(|connection| {
        while let Some(request) = connection.request() {
            let status = request.target().trim_start_matches('/').to_owned();
            connection.send(format!(
                "HTTP/1.1 {status} Any\r\nContent-Length: 3\r\n\r\nold"
            ));
        }
    });
    let plugins = json!({"response-rewrite": {"body": "new", "vars": [["status", ">=", 500]]}});
    let gateway = gateway(&origin, &plugins);
    for (status, expected) in [
        ("200", "old"),
        ("500", "new"),
        ("404", "old"),
        ("503", "new"),
    ] {
        assert_eq!(gateway.client().get(&format!("/{status}")).text(), expected);
    }
}

#[test]
fn bodies_are_compressed_after_all_other_plugins() {
    let long = "hello ".repeat(10_000);
    let origin = Origin::answering(response(
        "Content-Type: text/html\r\nETag: \"a\"\r\n",
        long.as_bytes(),
    ));
    let plugins = json!({
        "gzip": {"vary": true},
        "response-rewrite": {"filters": [{"regex": "hello", "replace": "bye", "scope": "global"}]},
    });
    let gateway = gateway(&origin, &plugins);
    let mut client = gateway.client();
    let taking = |version: &str| {
        format!("GET / HTTP/{version}\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n")
    };
    for _ in 0..2 {
        let got = client.ask(taking("1.1"));
        assert_eq!(got.field("content-encoding"), Some("gzip"));
        assert_eq!(got.field("vary"), Some("Accept-Encoding"));
        assert_eq!(gunzip(&got.body), "bye ".repeat(10_000));
    }
    let plain = client.get("/");
    assert_eq!(
        (plain.field("content-encoding"), plain.body.len()),
        (None, 40_000)
    );
    let old = gateway.client().ask(taking("1.0"));
    assert_eq!(old.field("content-encoding"), None);
}

#[test]
fn a_body_of_many_pieces_is_compressed_as_it_comes() {
    let piece = format!("1000\r\n{}\r\n", "0123456789abcdef".repeat(256));
    let chunks = piece.repeat(500) + "0\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
    let origin = Origin::answering([head, &chunks].concat());
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n";
    let got = gateway(&origin, &json!({"gzip": {}})).client().ask(request);
    assert_eq!(gunzip(&got.body), "0123456789abcdef".repeat(128_000));
    assert!(got.body.len() < 50_000, "{}", got.body.len());
}

#[test]
fn browsers_are_answered_whoever_answers() {
    let origin = Origin::saying("hello");
    let plugins = json!({
        "cors": {"allow_origins": "http://a.com,http://b.com"},
        "ip-restriction": {"blacklist": ["127.0.0.1"]},
    });
    let gateway = gateway(&origin, &plugins);
    let ask = |method: &str, origin: &str| {
        let request = format!("{method} / HTTP/1.1\r\nHost: a.test\r\nOrigin: {origin}\r\n\r\n");
        gateway.client().ask(request)
    };
    let allowed = |message: &Message| {
        message
            .field("access-control-allow-origin")
            .map(str::to_owned)
    };
    let preflight = ask("OPTIONS", "http://b.com");
    assert_eq!((preflight.status(), &*preflight.text()), (200, ""));
    assert_eq!(allowed(&preflight).as_deref(), Some("http://b.com"));
    let refused = ask("GET", "http://a.com");
    let message = "{\"message\":\"Your IP address is not allowed\"}\n";
    assert_eq!((refused.status(), &*refused.text()), (403, message));
    assert_eq!(allowed(&refused).as_deref(), Some("http://a.com"));
    assert_eq!(allowed(&ask("GET", "http://c.com")), None);
    assert!(origin.requests().is_empty());
}

#[test]
fn clients_are_sent_elsewhere() {
    let origin = Origin::saying("hello");
    let ask = |redirect: Value, request: &str| {
        let got = gateway(&origin, &json!({"redirect": redirect}))
            .client()
            .ask(request);
        (got.status(), got.field("location").map(str::to_owned))
    };
    let to = |status, location: &str| (status, Some(location.to_owned()));
    let path = json!({"uri": "$uri", "ret_code": 301, "encode_uri": true});
    assert_eq!(ask(path, &get("/with%20space")), to(301, "/with%20space"));
    let https = json!({"http_to_https": true});
    assert_eq!(
        ask(https.clone(), &get("/a?b=c")),
        to(301, "https://a.test/a?b=c")
    );
    // A client that is not trusted does not say how it came.
    let told = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(ask(https, told), to(301, "https://a.test/"));
    let other = json!({"regex_uri": ["^/a", "/b"]});
    assert_eq!(ask(other, &get("/c")), (200, None));
}

#[test]
fn the_id_of_a_request_is_one_on_both_sides() {
    let origin = Origin::saying("hello");
    let got = gateway(&origin, &json!({"request-id": {}}))
        .client()
        .get("/");
    let id = got.field("x-request-id").expect("an id");
    assert_eq!(origin.last().field("x-request-id"), Some(id));
}

#[test]
fn a_request_that_waits_does_not_hold_up_others() {
    let origin = Origin::saying("hello");
    let plugins = json!({"fault-injection": {"delay": {"duration": 3600, "vars": [[["uri", "==", "/slow"]]]}}});
    let gateway = gateway(&origin, &plugins);
    let mut slow: Client = gateway.client();
    slow.send(get("/slow"));
    assert_eq!(gateway.client().get("/fast").status(), 200);
    slow.close();
}
