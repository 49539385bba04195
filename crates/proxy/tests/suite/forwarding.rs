//! Fields on their way to the origin and back.

use ipnet::IpNet;
use lockgate_testkit::{Gateway, Message, Origin, Setup};
use serde_json::json;

use crate::{OK, route};

fn networks(texts: &[&str]) -> Vec<IpNet> {
    let parse = |text: &&str| text.parse().expect("a network");
    texts.iter().map(parse).collect()
}

/// What an origin sees of a request with these fields.
fn seen(fields: &str, change: impl FnOnce(&mut Setup)) -> Message {
    let origin = Origin::answering(OK);
    let gateway = Setup::new()
        .put("routes/1", &route("/*", &origin))
        .with(change)
        .start();
    let answer = gateway.ask(format!("GET / HTTP/1.1\r\nHost: A.Test:81\r\n{fields}\r\n"));
    assert_eq!(answer.status(), 200);
    origin.last()
}

/// The fields that say for whom a request is forwarded.
fn forwarded(message: &Message) -> [Option<&str>; 6] {
    [
        message.field("x-real-ip"),
        message.field("x-forwarded-for"),
        message.field("x-forwarded-proto"),
        message.field("x-forwarded-host"),
        message.field("x-forwarded-port"),
        message.field("forwarded"),
    ]
}

const FORGED: &str = "X-Real-IP: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8, 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 444\r\nForwarded: for=6.6.6.6\r\n";

#[test]
fn says_for_whom_it_forwards() {
    let plain = seen("", |_| {});
    let expected = ["127.0.0.1", "127.0.0.1", "http", "A.Test:81", "81"].map(Some);
    assert_eq!(forwarded(&plain)[..5], expected);
    // Without a boundary of trust the list of addresses is kept, and nothing else.
    let open = seen(FORGED, |setup| setup.options.real_ip_from.clear());
    assert_eq!(
        forwarded(&open),
        [
            Some("127.0.0.1"),
            Some("8.8.8.8, 7.7.7.7, 127.0.0.1"),
            Some("http"),
            Some("A.Test:81"),
            Some("81"),
            None
        ]
    );
    let trusted = seen(FORGED, |setup| {
        setup.options.real_ip_from.clear();
        setup.options.trusted_addresses = networks(&["127.0.0.0/8"]);
    });
    assert_eq!(
        forwarded(&trusted),
        [
            Some("127.0.0.1"),
            Some("8.8.8.8, 7.7.7.7, 127.0.0.1"),
            Some("https"),
            Some("evil.test"),
            Some("444"),
            Some("for=6.6.6.6")
        ]
    );
    let stranger = seen(FORGED, |setup| {
        setup.options.real_ip_from.clear();
        setup.options.trusted_addresses = networks(&["10.0.0.0/8"]);
    });
    assert_eq!(
        forwarded(&stranger),
        [
            Some("127.0.0.1"),
            Some("127.0.0.1"),
            Some("http"),
            Some("A.Test:81"),
            Some("81"),
            None
        ]
    );
    for message in [open, trusted, stranger] {
        for name in [
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
        ] {
            assert_eq!(message.all(name).count(), 1, "{name}");
        }
    }
    // What a trusted peer does not say, or says emptily, is what the gateway sees.
    let silent = seen("X-Forwarded-Proto:\r\n", |setup| {
        setup.options.trusted_addresses = networks(&["127.0.0.1/32"]);
    });
    assert_eq!(
        silent.all("x-forwarded-proto").collect::<Vec<_>>(),
        ["http"]
    );
    // Several are one list.
    let twice = "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: wss\r\n";
    let twice = seen(twice, |setup| {
        setup.options.trusted_addresses = networks(&["127.0.0.1/32"]);
    });
    assert_eq!(
        twice.all("x-forwarded-proto").collect::<Vec<_>>(),
        ["https, wss"]
    );
}

#[test]
fn finds_the_real_client_behind_proxies() {
    for (name, from, is_recursive, fields, real) in [
        (
            "X-Real-IP",
            "127.0.0.1/32",
            false,
            "X-Real-IP: 9.9.9.9\r\n",
            "9.9.9.9",
        ),
        (
            "X-Real-IP",
            "127.0.0.1/32",
            false,
            "X-Real-IP: 9.9.9.9:81\r\n",
            "9.9.9.9",
        ),
        (
            "X-Real-IP",
            "127.0.0.1/32",
            false,
            "X-Real-IP: [2001:db8::1]:81\r\n",
            "2001:db8::1",
        ),
        (
            "X-Real-IP",
            "127.0.0.1/32",
            false,
            "X-Real-IP: nonsense\r\n",
            "127.0.0.1",
        ),
        (
            "X-Real-IP",
            "127.0.0.1/32",
            false,
            "X-Real-IP:\r\n",
            "127.0.0.1",
        ),
        ("X-Real-IP", "127.0.0.1/32", false, "", "127.0.0.1"),
        (
            "X-Real-IP",
            "10.0.0.0/8",
            false,
            "X-Real-IP: 9.9.9.9\r\n",
            "127.0.0.1",
        ),
        (
            "X-Real-IP",
            "127.0.0.1/32",
            false,
            "X-Real-IP: 9.9.9.9\r\nX-Real-IP: 8.8.8.8\r\n",
            "9.9.9.9",
        ),
        (
            "X-Forwarded-For",
            "127.0.0.0/8",
            false,
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n",
            "2.2.2.2",
        ),
        (
            "X-Forwarded-For",
            "127.0.0.0/8",
            false,
            "X-Forwarded-For: nonsense, 2.2.2.2\r\n",
            "2.2.2.2",
        ),
        (
            "X-Forwarded-For",
            "127.0.0.0/8",
            false,
            "X-Forwarded-For: 2.2.2.2, nonsense\r\n",
            "127.0.0.1",
        ),
        (
            "X-Forwarded-For",
            "127.0.0.0/8",
            true,
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n",
            "2.2.2.2",
        ),
        (
            "X-Forwarded-For",
            "127.0.0.0/8",
            true,
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.2\r\n",
            "2.2.2.2",
        ),
        (
            "X-Forwarded-For",
            "127.0.0.0/8",
            true,
            "X-Forwarded-For: 2.2.2.2\r\nX-Forwarded-For: 127.0.0.3\r\n",
            "2.2.2.2",
        ),
        (
            "X-Forwarded-For",
            "127.0.0.0/8",
            true,
            "X-Forwarded-For: x, 127.0.0.3, 127.0.0.2\r\n",
            "127.0.0.3",
        ),
        (
            "X-Forwarded-For",
            "0.0.0.0/0",
            true,
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n",
            "1.1.1.1",
        ),
    ] {
        let message = seen(fields, |setup| {
            setup.options.real_ip_from = networks(&[from]);
            setup.options.real_ip_header = name.to_ascii_lowercase();
            setup.options.real_ip_recursive = is_recursive;
        });
        assert_eq!(
            message.field("x-real-ip"),
            Some(real),
            "{name} {from} {is_recursive} {fields:?}"
        );
    }
}

#[test]
fn keeps_what_is_for_one_hop_to_itself() {
    let fields = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
        TE: trailers\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nX_Under: 1\r\nx-MIXED:  Kept \r\nAuthorization: Basic eA==\r\n";
    let message = seen(fields, |_| {});
    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "expect",
    ] {
        assert_eq!(message.field(name), None, "{name}");
    }
    assert_eq!(message.field("authorization"), Some("Basic eA=="));
    assert_eq!(message.field("x_under"), Some("1"));
    assert!(
        message.head.contains("\r\nx-MIXED:  Kept \r\n"),
        "{}",
        message.head
    );

    let origin = Origin::answering(
        "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: x\r\nUpgrade: h2c\r\nServer: origin\r\nDate: yesterday\r\nX-Accel-Redirect: /x\r\nX-Pad: y\r\n\
         Content-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nx-MIXED:  Kept \r\n\r\nok",
    );
    let gateway = Gateway::to(&origin);
    let answer = gateway.get("/");
    assert_eq!(answer.start, "HTTP/1.1 200 Fine");
    for name in [
        "x-hop",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "x-accel-redirect",
        "x-pad",
        "x-apisix-upstream-status",
    ] {
        assert_eq!(answer.field(name), None, "{name}");
    }
    for (name, values) in [
        ("server", &["APISIX/3.18.0"][..]),
        ("date", &["yesterday"]),
        ("content-type", &["text/plain; charset=utf-8"]),
        ("set-cookie", &["a=1", "b=2"]),
        ("connection", &["keep-alive"]),
    ] {
        assert_eq!(answer.all(name).collect::<Vec<_>>(), values);
    }
    assert!(answer.head.contains("\r\nx-MIXED:  Kept \r\n"));
}

#[test]
fn adds_what_the_reference_adds_in_its_order() {
    let origin = Origin::answering("HTTP/1.1 200\r\nContent-Length: 0\r\nX-Own: 1\r\n\r\n");
    let gateway = Setup::new()
        .put("routes/1", &route("/*", &origin))
        .with(|setup| setup.options.server = "APISIX".into())
        .start();
    let answer = gateway.get("/");
    assert_eq!(
        answer.head,
        "HTTP/1.1 200 OK\r\nX-Own: 1\r\nContent-Length: 0\r\nConnection: keep-alive\r\nServer: APISIX\r\n\r\n"
    );
}

#[test]
fn tells_the_status_of_the_upstream_by_the_rule_of_the_reference() {
    let status =
        |line: &str| Origin::answering(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"));
    let (fine, bad) = (status("404 None"), status("503 Busy"));
    for (origin, always, told) in [
        (&fine, false, None),
        (&fine, true, Some("404")),
        (&bad, false, Some("503")),
        (&bad, true, Some("503")),
    ] {
        let gateway = Setup::new()
            .put("routes/1", &route("/*", origin))
            .with(|setup| setup.options.show_upstream_status = always)
            .start();
        assert_eq!(gateway.get("/").field("x-apisix-upstream-status"), told);
        // Where no upstream was asked there is nothing to tell.
        gateway.delete("routes/1");
        assert_eq!(gateway.get("/").field("x-apisix-upstream-status"), None);
    }
}

#[test]
fn passes_the_host_as_it_is_told() {
    let origin = Origin::answering(OK);
    let upstream = |pass: &str| json!({"nodes": {origin.node(): 1}, "pass_host": pass, "upstream_host": "other.test:8"});
    let gateway = Setup::new()
        .put(
            "routes/1",
            &json!({"uri": "/pass", "upstream": upstream("pass")}),
        )
        .put(
            "routes/2",
            &json!({"uri": "/node", "upstream": upstream("node")}),
        )
        .put(
            "routes/3",
            &json!({"uri": "/rewrite", "upstream": upstream("rewrite")}),
        )
        .with(|setup| setup.log_format = "$upstream_host $http_host".into())
        .start();
    let node = origin.node();
    for (path, host) in [
        ("/pass", "A.test:80"),
        ("/node", node.as_str()),
        ("/rewrite", "other.test:8"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: A.test:80\r\n\r\n");
        assert_eq!(gateway.ask(request).status(), 200);
        let seen = origin.last();
        assert_eq!(seen.all("host").collect::<Vec<_>>(), [host]);
        assert_eq!(seen.field("x-forwarded-host"), Some("A.test:80"));
        assert_eq!(gateway.log_line(), format!("{host} A.test:80"));
    }
}
