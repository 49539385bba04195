use proptest::prelude::*;

use super::*;

fn parse(text: &[u8]) -> Result<Option<(RequestHead, Vec<u8>)>, HeadError> {
    let mut head = RequestHead::default();
    let mut buffer = Buffer::new(64 * 1024);
    buffer.append(text);
    Ok(head
        .feed(&mut buffer)?
        .then(|| (head, buffer.filled().to_vec())))
}

fn valid(text: &str) -> RequestHead {
    parse(text.as_bytes())
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .expect("complete")
        .0
}

#[test]
fn reads_a_head_and_leaves_the_body() {
    let text = b"\r\nPOST /a%20b?x=1&y HTTP/1.1\r\nHost: Example.com:81\r\nContent-Length: 3\r\nX:  y \r\n\r\nabcGET";
    let (head, rest) = parse(text).expect("valid").expect("complete");
    assert_eq!(rest, b"abcGET");
    assert_eq!(head.method(), Method::Post);
    assert_eq!(head.raw_path(), b"/a%20b");
    assert_eq!(head.query(), Some(&b"x=1&y"[..]));
    assert_eq!(head.path_and_query(), b"/a%20b?x=1&y");
    assert_eq!(head.authority(), b"Example.com:81");
    assert_eq!(head.framing(), Framing::Length(3));
    assert_eq!(head.headers.get(b"x"), Some(&b"y"[..]));
    assert_eq!(head.line(), b"POST /a%20b?x=1&y HTTP/1.1");
    assert!(head.keeps_alive());
    let mut out = Vec::new();
    head.headers
        .write(&mut out, |field| field.known() == Known::Other);
    assert_eq!(out, b"X:  y \r\n");
}

#[test]
fn absolute_form_names_the_host() {
    let head = valid("GET http://a.com:80?q HTTP/1.1\r\nHost: b.com\r\n\r\n");
    assert_eq!(
        (head.authority(), head.raw_path(), head.query()),
        (&b"a.com:80"[..], &b""[..], Some(&b"q"[..]))
    );
}

#[test]
fn knows_when_the_connection_ends() {
    for (text, keeps_alive) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
    ] {
        assert_eq!(valid(text).keeps_alive(), keeps_alive, "{text:?}");
    }
}

#[test]
fn drops_fields_named_by_connection() {
    let head = valid(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Hop: 1\r\nConnection: X-Hop, host, close\r\nY: 2\r\n\r\n",
    );
    assert_eq!(head.headers.get(b"x-hop"), None);
    assert_eq!(head.headers.get(b"host"), Some(&b"a"[..]));
    assert_eq!(head.headers.get(b"y"), Some(&b"2"[..]));
}

#[test]
fn refuses_malformed_heads() {
    let long = |count| "x".repeat(count);
    for (text, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n".to_owned(), 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: u@b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n".to_owned(), 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_owned(), 505),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET / http/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(), 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(8192)), 414),
        (format!("GET /{}", long(9000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(8192)), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", format!("X: {}\r\n", long(4000)).repeat(9)), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(300)), 400),
    ] {
        match parse(text.as_bytes()) {
            Err(error) => assert_eq!(error.status(), status, "{text:.80}: {error}"),
            Ok(_) => panic!("accepted {text:.80}"),
        }
    }
}

#[test]
fn a_refused_head_shows_its_own_first_line_and_nothing_of_the_one_before() {
    for (text, line) in [
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / HTTP/1.1"),
        ("\r\nGET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1"),
        ("GET /\0\r\n", "GET /\0"),
        ("nonsense", "nonsense"),
    ] {
        let mut head = valid("HEAD /secret HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        head.clear();
        let mut buffer = Buffer::new(4096);
        buffer.append(text.as_bytes());
        let _refused = head.feed(&mut buffer);
        assert_eq!(String::from_utf8_lossy(head.line()), line);
        assert_eq!(
            (head.method() == Method::Head, head.keeps_alive()),
            (false, false),
            "{text:?}"
        );
    }
}

#[test]
fn knows_what_may_be_sent_twice() {
    for (method, is_idempotent) in [
        ("GET", true),
        ("PUT", true),
        ("QUERY", true),
        ("POST", false),
        ("PATCH", false),
        ("LOCK", false),
    ] {
        let head = valid(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.method().is_idempotent(), is_idempotent, "{method}");
    }
}

#[test]
fn accepts_hosts_of_every_kind() {
    for host in [
        "a",
        "a.b:80",
        "127.0.0.1",
        "[::1]",
        "[::1]:9080",
        "a_b",
        "ä",
        "a.",
    ] {
        assert_eq!(
            valid(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).authority(),
            host.as_bytes()
        );
    }
}

/// Head and rest.
type Fed = Option<(Vec<u8>, Vec<u8>)>;

fn fed_in_pieces(text: &[u8], cuts: &[usize]) -> Result<Fed, HeadError> {
    let mut head = RequestHead::default();
    let mut buffer = Buffer::new(4096);
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    places.push(text.len());
    places.sort_unstable();
    let mut start = 0;
    for place in places {
        buffer.append(&text[start..place]);
        start = place;
        if !buffer.is_empty() && head.feed(&mut buffer)? {
            let mut rest = buffer.filled().to_vec();
            rest.extend_from_slice(&text[start..]);
            return Ok(Some((head.headers.bytes().to_vec(), rest)));
        }
    }
    Ok(None)
}

proptest! {
    /// Wherever the bytes are cut, the same head is read, or it is refused.
    #[test]
    fn cuts_do_not_matter(
        lines in proptest::collection::vec("(X-[a-z]{1,5}: [ -~]{0,12})|(Content-Length: [0-9]{1,3})|(\r)|(Host: b)|( x)", 0..5),
        rest in "[a-z\r\n]{0,9}",
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut text = b"GET /x HTTP/1.1\r\nHost: a\r\n".to_vec();
        for line in &lines {
            text.extend_from_slice(line.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(rest.as_bytes());
        let (whole, pieces) = (fed_in_pieces(&text, &[]), fed_in_pieces(&text, &cuts));
        prop_assert_eq!(whole.is_ok(), pieces.is_ok());
        if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
            prop_assert_eq!(whole, pieces);
        }
    }
}
