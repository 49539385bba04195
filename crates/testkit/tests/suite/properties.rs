//! Heads and chunks against their naive doubles.

use lockgate_http::{
    request::RequestHead,
    response::{Asked, ResponseHead},
};
use lockgate_net::buffer::Buffer;
use lockgate_testkit::{fuzz, naive};
use proptest::prelude::*;

/// A line end, mostly the right one.
fn line_end() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => Just("\r\n"),
        1 => Just("\n"),
        1 => Just("\r"),
        1 => Just("\r\n "),
        1 => Just("\r\n\r\n"),
    ]
    .prop_map(str::to_owned)
}

/// A field, mostly a plain one.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[A-Za-z-]{1,12}:[ \t]{0,2}[ -~]{0,20}",
        2 => "Host: [a-z.:\\[\\]@]{1,6}",
        2 => "Content-Length:[ ]?[0-9+, ]{0,4}",
        2 => "[Tt]ransfer-[Ee]ncoding: ?(chunked|CHUNKED|gzip|chunked, chunked|)",
        1 => "Connection: (close|keep-alive|upgrade|x, host)",
        1 => "Upgrade: websocket",
        1 => "[ -~]{0,12}",
        1 => "[A-Z]{1,3} ?: .",
        1 => "X: .{0,6}",
    ]
}

fn request_text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => "(GET|POST|HEAD|PROPFIND|M-SEARCH) /[a-z/%?=.]{0,9} HTTP/1\\.[01]",
        1 => "[A-Za-z]{0,4} {1,2}[ -~]{0,9} {0,2}HTTP/[0-9.]{1,4}",
        1 => "GET http://[a-z:@]{0,5}[/?#]?[a-z]{0,3} HTTP/1\\.1",
    ];
    let lines = proptest::collection::vec((field(), line_end()), 0..6);
    (
        line,
        line_end(),
        prop::bool::weighted(0.8),
        lines,
        line_end(),
        "[a-z\r\n]{0,6}",
    )
        .prop_map(|(line, end, has_host, lines, last, rest)| {
            let host = if has_host { "Host: a\r\n" } else { "" };
            let fields: String = lines.into_iter().map(|(field, end)| field + &end).collect();
            format!("{line}{end}{host}{fields}{last}{rest}").into_bytes()
        })
}

fn response_text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => "HTTP/1\\.[01] [1-5][0-9][0-9]( [ -~]{0,8})?",
        1 => "[ -~]{0,12}",
    ];
    let lines = proptest::collection::vec((field(), line_end()), 0..6);
    (line, line_end(), lines, line_end(), "[a-z\r\n]{0,6}").prop_map(
        |(line, end, lines, last, rest)| {
            let fields: String = lines.into_iter().map(|(field, end)| field + &end).collect();
            format!("{line}{end}{fields}{last}{rest}").into_bytes()
        },
    )
}

fn chunked_text() -> impl Strategy<Value = Vec<u8>> {
    let chunk = (
        "[0-9a-fA-F]{1,2}|0{1,3}[1-9]|[ x]",
        "(;[ -~]{0,6})?",
        line_end(),
        "[a-z\r\n]{0,20}",
        line_end(),
    );
    let chunks = proptest::collection::vec(chunk, 0..4);
    let right = proptest::collection::vec(any::<Vec<u8>>(), 0..4).prop_map(|pieces| {
        let mut text = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            text.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
            text.extend_from_slice(piece);
            text.extend_from_slice(b"\r\n");
        }
        text
    });
    let wrong = chunks.prop_map(|chunks| {
        let line =
            |(size, extension, end, data, behind)| format!("{size}{extension}{end}{data}{behind}");
        chunks
            .into_iter()
            .map(line)
            .collect::<String>()
            .into_bytes()
    });
    (
        prop_oneof![3 => right, 1 => wrong],
        "0(;a)?",
        line_end(),
        proptest::collection::vec((field(), line_end()), 0..2),
        line_end(),
        "[a-z]{0,4}",
    )
        .prop_map(|(mut text, size, end, lines, last, rest)| {
            text.extend_from_slice(format!("{size}{end}").as_bytes());
            for (field, end) in lines {
                text.extend_from_slice(format!("{field}{end}").as_bytes());
            }
            text.extend_from_slice(format!("{last}{rest}").as_bytes());
            text
        })
}

/// With the place of a cut in front, as the fuzz targets take it.
fn with_cut(text: &[u8], cut: u8) -> Vec<u8> {
    [&[cut], text].concat()
}

/// Whether a host is one without doubt, so that nothing but the rules of lines decides.
fn is_plain(host: &[&[u8]]) -> bool {
    matches!(host, [host] if !host.is_empty() && host.iter().all(u8::is_ascii_lowercase))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Cut anywhere, the same; and never accepted where the naive reader refuses.
    #[test]
    fn request_heads_are_read_as_the_naive_reader_reads_them(text in request_text(), cut in any::<u8>()) {
        fuzz::request_head(&with_cut(&text, cut));
    }

    /// What the naive reader accepts without any doubt is accepted.
    #[test]
    fn plain_request_heads_are_accepted(text in request_text()) {
        let Ok(head) = naive::request(&text) else { return Ok(()) };
        prop_assume!(head.ends().is_some() && is_plain(&head.all("host")));
        prop_assume!(head.start[1].first() == Some(&b'/'));
        let mut buffer = Buffer::new(4096);
        buffer.append(&text);
        prop_assert_eq!(RequestHead::default().feed(&mut buffer), Ok(true));
    }

    #[test]
    fn response_heads_are_read_as_the_naive_reader_reads_them(text in response_text(), cut in any::<u8>()) {
        fuzz::response_head(&with_cut(&text, cut));
    }

    #[test]
    fn plain_response_heads_are_accepted(text in response_text()) {
        let Ok(head) = naive::response(&text) else { return Ok(()) };
        prop_assume!(head.ends().is_some() && head.start[1] != b"101");
        let mut buffer = Buffer::new(4096);
        buffer.append(&text);
        let asked = Asked { is_head: false, is_upgrade: false };
        prop_assert_eq!(ResponseHead::default().feed(&mut buffer, asked), Ok(true));
    }

    #[test]
    fn chunks_are_decoded_as_the_naive_decoder_decodes_them(text in chunked_text(), cut in any::<u8>()) {
        fuzz::chunked(&with_cut(&text, cut));
    }

    #[test]
    fn any_bytes_are_read_alike(text in proptest::collection::vec(any::<u8>(), 0..80)) {
        for target in fuzz::TARGETS {
            (target.run)(&text);
        }
    }
}
