use std::io::Read as _;

use lockgate_plugin::{
    host,
    testing::{Kit, Request, Tested},
};
use serde_json::json;

use super::*;

fn plugin(config: &Value) -> Tested {
    Kit::new().plugin::<Gzip>(config).expect("a plugin")
}

const BODY: &[&[u8]] = &[b"0123456789\n", b"", b"012345678", b""];
const FIELDS: &[(&str, &str)] = &[("Content-Type", "text/html"), ("Content-Length", "20")];

fn asked() -> Request {
    Request::get("/").header("Accept-Encoding", "gzip")
}

/// Whether the response is compressed; it is checked that it is whole then.
fn is_compressed(
    config: &Value,
    request: &mut Request,
    status: u16,
    fields: &[(&str, &str)],
) -> bool {
    let body = plugin(config).respond_bytes(request, status, fields, BODY);
    let is_compressed = request.answered("content-encoding").as_deref() == Some("gzip");
    let whole = if is_compressed {
        let mut whole = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&*body);
        decoder.read_to_end(&mut whole).expect("gzip");
        whole
    } else {
        body
    };
    assert_eq!(whole, BODY.concat());
    is_compressed
}

#[test]
fn bodies_are_compressed_as_the_configuration_says() {
    let typed = |text: &'static str| [("Content-Type", text), ("Content-Length", "20")];
    for (config, fields, expected) in [
        (json!({}), &typed("text/html")[..], true),
        (json!({}), &typed("text/html; charset=utf-8"), true),
        (json!({}), &typed("text/plain"), false),
        (json!({}), &[("Content-Length", "20")], false),
        (
            json!({"types": ["text/plain", "text/xml"]}),
            &typed("text/xml"),
            true,
        ),
        (
            json!({"types": ["text/plain", "text/xml"]}),
            &typed("text/html"),
            false,
        ),
        (json!({"types": "*"}), &typed("any/thing"), true),
        (json!({"types": "*"}), &[], false),
        (json!({"min_length": 21}), &typed("text/html"), false),
        (
            json!({"min_length": 21}),
            &[("Content-Type", "text/html")],
            true,
        ),
        (json!({"comp_level": 9}), &typed("text/html"), true),
    ] {
        let mut request = asked();
        assert_eq!(
            is_compressed(&config, &mut request, 200, fields),
            expected,
            "{config} {fields:?}"
        );
        assert_eq!(
            request.answered("content-length").is_some(),
            !expected && !fields.is_empty()
        );
    }
}

#[test]
fn bodies_are_compressed_for_clients_that_take_it() {
    for (request, status, expected) in [
        (Request::get("/"), 200, false),
        (
            Request::get("/").header("Accept-Encoding", "gzip;q=0"),
            200,
            false,
        ),
        (asked().header("Via", "1.1 proxy"), 200, false),
        (asked(), 404, true),
        (asked(), 403, true),
        (asked(), 500, false),
        (asked(), 206, false),
        (
            Request::new("HEAD", "/").header("Accept-Encoding", "gzip"),
            200,
            false,
        ),
    ] {
        let mut request = request;
        assert_eq!(
            is_compressed(&json!({}), &mut request, status, FIELDS),
            expected
        );
    }
}

#[test]
fn what_is_encoded_stays_as_it_is() {
    let fields = [FIELDS, &[("Content-Encoding", "br")]].concat();
    let mut request = asked();
    assert!(!is_compressed(&json!({}), &mut request, 200, &fields));
    assert_eq!(request.answered("content-encoding").as_deref(), Some("br"));
}

#[test]
fn tags_become_weak() {
    for (etag, expected) in [
        ("\"a\"", Some("W/\"a\"")),
        ("W/\"a\"", Some("W/\"a\"")),
        ("a", None),
    ] {
        let fields = [FIELDS, &[("ETag", etag), ("Accept-Ranges", "bytes")]].concat();
        let mut request = asked();
        assert!(is_compressed(&json!({}), &mut request, 200, &fields));
        assert_eq!(request.answered("etag").as_deref(), expected);
        assert_eq!(request.answered("accept-ranges"), None);
    }
}

#[test]
fn responses_say_what_they_depend_on_whoever_asks() {
    for (config, request, expected) in [
        (
            json!({"vary": true}),
            Request::get("/"),
            Some("Accept-Encoding"),
        ),
        (json!({"vary": true}), asked(), Some("Accept-Encoding")),
        (json!({"vary": false}), asked(), None),
        (json!({}), asked(), None),
    ] {
        let mut request = request;
        is_compressed(&config, &mut request, 200, FIELDS);
        assert_eq!(request.answered("vary").as_deref(), expected, "{config}");
    }
}

#[test]
fn other_plugins_see_the_body_before_it_is_compressed() {
    use crate::response_rewrite::ResponseRewrite;
    let kit = Kit::new();
    let rewrite = json!({"body": "another body, long enough"});
    let both = kit.plugin::<Gzip>(&json!({})).expect("gzip");
    let other = kit
        .plugin::<ResponseRewrite>(&rewrite)
        .expect("response-rewrite");
    let mut request = asked();
    request.respond(200, FIELDS);
    // By priority, gzip comes first.
    both.chain
        .filter_head(None, &mut Exchange::new(&mut request));
    other
        .chain
        .filter_head(None, &mut Exchange::new(&mut request));
    host::begin_filters(&mut Exchange::new(&mut request));
    assert_eq!(
        request.answered("content-encoding").as_deref(),
        Some("gzip")
    );
    let mut filters = std::mem::take(&mut request.state.filters);
    let mut ex = Exchange::new(&mut request);
    let (mut between, mut sent) = (Vec::new(), Vec::new());
    let filtered = host::filter_body(
        &mut filters,
        &mut ex,
        b"the body",
        true,
        &mut between,
        &mut sent,
    );
    assert_eq!(filtered, Filtered::End);
    let mut whole = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&*sent);
    decoder.read_to_string(&mut whole).expect("gzip");
    assert_eq!(whole, "another body, long enough");
}
