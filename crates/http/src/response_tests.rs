use super::*;

const GET: Asked = Asked {
    is_head: false,
    is_upgrade: false,
};

fn parse(text: &str, asked: Asked) -> Result<ResponseHead, HeadError> {
    let mut head = ResponseHead::default();
    let mut buffer = Buffer::new(64 * 1024);
    buffer.append(text.as_bytes());
    assert!(head.feed(&mut buffer, asked)?, "incomplete: {text:?}");
    Ok(head)
}

#[test]
fn knows_where_the_body_ends() {
    let head = Asked {
        is_head: true,
        ..GET
    };
    for (text, asked, framing, keeps_alive) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            GET,
            Framing::Length(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            head,
            Framing::None,
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", GET, Framing::None, true),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            GET,
            Framing::None,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            GET,
            Framing::Chunked,
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", GET, Framing::UntilClose, false),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
            GET,
            Framing::Length(5),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
            GET,
            Framing::Length(5),
            false,
        ),
        (
            "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            GET,
            Framing::Length(0),
            true,
        ),
    ] {
        let head = parse(text, asked).expect(text);
        assert_eq!(
            (head.framing(), head.keeps_alive()),
            (framing, keeps_alive),
            "{text:?}"
        );
    }
}

#[test]
fn refuses_malformed_heads() {
    for text in [
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "garbage\r\n\r\n",
        "\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert!(parse(text, GET).is_err(), "{text:?}");
    }
}

#[test]
fn keeps_reason_and_interim() {
    let head = parse(
        "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n",
        GET,
    )
    .expect("valid");
    assert_eq!(head.reason(), b"I'm a teapot");
    assert!(!head.is_interim());
    assert!(
        parse("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", GET)
            .expect("valid")
            .is_interim()
    );
}

#[test]
fn drops_fields_named_by_connection() {
    let head = parse(
        "HTTP/1.1 200 OK\r\nX-Hop: 1\r\nContent-Length: 0\r\nConnection: x-hop, content-length\r\nY: 2\r\n\r\n",
        GET,
    )
    .expect("valid");
    assert_eq!(head.headers.get(b"x-hop"), None);
    assert_eq!(head.headers.get(b"y"), Some(&b"2"[..]));
    assert_eq!(head.framing(), Framing::Length(0));
}
