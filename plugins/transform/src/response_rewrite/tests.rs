use lockgate_plugin::testing::{Kit, Request, Tested};
use serde_json::{Value, json};

use super::*;

fn plugin(config: &Value) -> Tested {
    Kit::new()
        .plugin::<ResponseRewrite>(config)
        .expect("a plugin")
}

const FIELDS: &[(&str, &str)] = &[
    ("X-Server-id", "100"),
    ("Content-Type", "application/xml"),
    ("Content-Length", "4"),
    ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ("ETag", "\"33a6\""),
    ("Set-Cookie", "a=b"),
];

#[test]
fn the_body_is_replaced() {
    for (config, expected) in [
        (json!({"body": "new body\n"}), "new body\n"),
        (json!({"body": ""}), ""),
        (json!({"body": "SGVsbG8K", "body_base64": true}), "Hello\n"),
    ] {
        let mut request = Request::get("/");
        let pieces = ["he", "llo", ""];
        let body = plugin(&config).respond(&mut request, 200, FIELDS, &pieces);
        assert_eq!(body, expected, "{config}");
        assert_eq!(request.answered("x-server-id").as_deref(), Some("100"));
        for gone in [
            "content-length",
            "last-modified",
            "etag",
            "content-encoding",
        ] {
            assert_eq!(request.answered(gone), None, "{gone}");
        }
    }
}

#[test]
fn a_body_is_left_alone_with_its_length_where_none_is_configured() {
    let config = json!({"status_code": 302, "headers": {"Location": "/$arg_to"}});
    let mut request = Request::get("/?to=a");
    let body = plugin(&config).respond(&mut request, 200, FIELDS, &["he", "llo"]);
    assert_eq!(body, "hello");
    assert_eq!(request.response.status(), 302);
    assert_eq!(request.answered("location").as_deref(), Some("/a"));
    assert_eq!(request.answered("content-length").as_deref(), Some("4"));
}

#[test]
fn responses_that_vars_do_not_take_are_left_alone() {
    let config = json!({"body": "new", "status_code": 403, "headers": {"a": "b"}, "vars": [["status", "==", 500]]});
    for (status, expected, body) in [(500, 403, "new"), (200, 200, "old")] {
        let mut request = Request::get("/");
        let sent = plugin(&config).respond(&mut request, status, FIELDS, &["old"]);
        assert_eq!((request.response.status(), &*sent), (expected, body));
        assert_eq!(request.answered("a").is_some(), expected == 403);
    }
}

#[track_caller]
fn fields(headers: &Value, expected: &[(&str, &[&str])]) {
    let mut request = Request::get("/?name=Bill");
    plugin(&json!({"headers": headers})).respond(&mut request, 200, FIELDS, &[""]);
    for (name, values) in expected {
        let sent: Vec<_> = request.response.headers.get_all(name.as_bytes()).collect();
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(sent, values, "{headers}: {name}");
    }
}

#[test]
fn fields_are_added_set_and_removed_in_this_order() {
    fields(
        &json!({"X-Server-id": 3, "Content-Type": "", "X-A": "from $remote_addr"}),
        &[
            ("x-server-id", &["3"]),
            ("content-type", &[]),
            ("x-a", &["from 127.0.0.1"]),
        ],
    );
    fields(
        &json!({"add": ["Cache-Control: no-cache", "Cache-Control : max-age=0, x", "X-Test:a"]}),
        &[
            ("cache-control", &["no-cache", "max-age=0, x"]),
            ("x-test", &["a"]),
        ],
    );
    fields(
        &json!({"add": ["a: 1", "Set-Cookie: <n>=<v>; Max-Age=<n>"], "set": {"a": "2", "b": "3"}, "remove": ["b"]}),
        &[
            ("a", &["2"]),
            ("b", &[]),
            ("set-cookie", &["a=b", "<n>=<v>; Max-Age=<n>"]),
        ],
    );
    fields(
        &json!({"add": ["x: $arg_name", "y: $arg_no"]}),
        &[("x", &["Bill"]), ("y", &[])],
    );
}

#[test]
fn names_and_values_are_as_the_reference_sends_them() {
    // There is one of these, whoever adds it.
    fields(
        &json!({"add": ["content-type: a/b"]}),
        &[("content-type", &["a/b"])],
    );
    // Underscores are hyphens.
    fields(
        &json!({"set": {"x_server_id": 4}}),
        &[("x-server-id", &["4"]), ("x_server_id", &[])],
    );
    fields(&json!({"remove": ["x_server_id"]}), &[("x-server-id", &[])]);
    // A line that is none undoes them all.
    fields(
        &json!({"add": ["a b: c"], "set": {"x": "y"}}),
        &[("x", &[])],
    );
}

#[track_caller]
fn filtered(filters: &Value, body: &str, expected: &str) {
    let config = json!({"filters": filters});
    let (first, second) = body.split_at(body.len() / 2);
    let pieces = [first, second];
    let sent = plugin(&config).respond(&mut Request::get("/"), 200, FIELDS, &pieces);
    assert_eq!(sent, expected, "{filters}");
}

#[test]
fn bodies_are_sent_through_patterns() {
    let hello = "hello world\n";
    for (filters, expected) in [
        (
            json!([{"regex": "hello", "replace": "test"}]),
            "test world\n",
        ),
        (
            json!([{"regex": "l", "replace": "t", "scope": "global"}]),
            "hetto wortd\n",
        ),
        (
            json!([{"regex": "l", "replace": "t", "scope": "once"}]),
            "hetlo world\n",
        ),
        (json!([{"regex": "hello", "replace": ""}]), " world\n"),
        (json!([{"regex": "\\w\\S+$", "replace": "*"}]), "hello *\n"),
        (
            json!([{"regex": "HELLO", "replace": "$0!", "options": "ijo"}]),
            "hello! world\n",
        ),
        (
            json!([{"regex": "hello", "replace": "HELLO"}, {"regex": "L", "replace": "T"}]),
            "HETLO world\n",
        ),
        (json!([{"regex": "test", "replace": "TEST"}]), hello),
        (
            json!([{"regex": "(", "replace": "x"}, {"regex": "h", "replace": "j"}]),
            "jello world\n",
        ),
        (json!([{"regex": "h", "replace": "$x"}]), hello),
    ] {
        filtered(&filters, hello, expected);
    }
    filtered(&json!([{"regex": "^$", "replace": "x"}]), "", "x");
}

#[test]
fn what_patterns_are_looked_for_in_is_bounded() {
    let filters = json!([{"regex": "hello", "replace": "HELLO"}]);
    let config = json!({"max_resp_body_size": 5, "filters": filters});
    for pieces in [
        &["hello world"][..],
        &["hel", "lo", " world"],
        &["hel", "lo"],
    ] {
        let body = plugin(&config).respond(&mut Request::get("/"), 200, FIELDS, pieces);
        assert_eq!(body, "HELLO", "{pieces:?}");
    }
}

#[test]
fn what_cannot_be_decompressed_goes_on_as_it_came() {
    let config = json!({"filters": [{"regex": "hello", "replace": "x"}]});
    for encoding in ["deflate", "gzip", "br"] {
        let mut request = Request::get("/");
        let fields = [("Content-Encoding", encoding)];
        let body = plugin(&config).respond(&mut request, 200, &fields, &["hel", "lo"]);
        assert_eq!(body, "hello", "{encoding}");
        assert_eq!(request.answered("content-encoding"), None);
    }
}

#[test]
fn configurations_that_cannot_be_honoured_are_refused() {
    for (config, expected) in [
        (
            json!({"body": "1", "body_base64": true}),
            "invalid base64 content",
        ),
        (
            json!({"body": "", "body_base64": true}),
            "invalid base64 content",
        ),
        (json!({"body_base64": true}), "invalid base64 content"),
        (
            json!({"vars": [{}]}),
            "failed to validate the 'vars' expression: rule too short",
        ),
        (
            json!({"filters": [{"regex": "hello", "replace": "H", "options": "h"}]}),
            "regex \"hello\" validation failed: unknown flag \"h\" (flags \"h\")",
        ),
        (
            json!({"headers": {"": 2}}),
            "invalid field length in header",
        ),
        (
            json!({"headers": {"X-Name": {}}}),
            "invalid type as header value",
        ),
    ] {
        let refused = Kit::new().plugin::<ResponseRewrite>(&config).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{config}");
    }
}
