use lockgate_plugin::testing::{Kit, Request};
use serde_json::{Value, json};

use super::*;

const FIELDS: [&str; 7] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-allow-credentials",
    "timing-allow-origin",
];

fn kit() -> Kit {
    let kit = Kit::new();
    let lists = json!({"allow_origins": {
        "one": "https://domain.com",
        "two": "https://sub.domain.com,https://sub2.domain.com",
        "any": "*",
        "forced": "**",
    }});
    kit.metadata::<Cors>(&lists).expect("metadata");
    kit
}

/// The fields of the answer to a request of an origin, in the order above; and whether they depend on it.
fn answered(config: &Value, origin: &str) -> ([Option<String>; 7], bool) {
    let plugin = kit().plugin::<Cors>(config).expect("a plugin");
    let mut request = Request::get("/").header("Access-Control-Request-Headers", "r-1,r-2");
    if !origin.is_empty() {
        request = request.header("Origin", origin);
    }
    assert!(plugin.rewrite(&mut request).is_none());
    // What follows may change the field.
    request.head.headers.set(b"origin", b"http://changed.com");
    plugin.respond(&mut request, 200, &[("Vary", "Via")], &[""]);
    let varies: Vec<_> = request.response.headers.get_all(b"vary").collect();
    let depends = varies == [&b"Via"[..], b"Origin"];
    assert!(depends || varies == [b"Via"], "{varies:?}");
    (FIELDS.map(|name| request.answered(name)), depends)
}

#[track_caller]
fn check(config: &Value, origin: &str, expected: [&str; 7], depends: bool) {
    let (fields, is_dependent) = answered(config, origin);
    let fields = fields.map(Option::unwrap_or_default);
    assert_eq!(fields, expected, "{config} for {origin:?}");
    assert_eq!(is_dependent, depends, "{config} for {origin:?}");
}

const NONE: [&str; 7] = ["", "", "", "", "", "", ""];

#[test]
fn all_origins_may_read_by_default() {
    for origin in ["", "http://a.com"] {
        check(&json!({}), origin, ["*", "*", "*", "", "5", "", ""], false);
    }
}

#[test]
fn listed_origins_may_read() {
    let config = json!({
        "allow_origins": "http://sub.domain.com,http://sub2.domain.com",
        "allow_methods": "GET,POST",
        "allow_headers": "h1,h2",
        "expose_headers": "e1,e2",
        "max_age": 50,
        "allow_credential": true,
    });
    let allowed = "http://sub2.domain.com";
    let fields = [allowed, "GET,POST", "h1,h2", "e1,e2", "50", "true", ""];
    check(&config, allowed, fields, true);
    check(&config, "http://sub3.domain.com", NONE, true);
    check(&config, "", NONE, true);
    let one = json!({"allow_origins": "http://a.com", "allow_methods": "", "allow_headers": ""});
    check(
        &one,
        "http://a.com",
        ["http://a.com", "", "", "", "5", "", ""],
        true,
    );
    check(&one, "http://b.com", NONE, true);
}

#[test]
fn two_stars_stand_for_what_was_asked_for() {
    let all = "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE";
    let config = json!({"allow_origins": "**", "allow_methods": "**", "allow_headers": "**", "expose_headers": "*"});
    check(
        &config,
        "https://a.com",
        ["https://a.com", all, "r-1,r-2", "*", "5", "", ""],
        true,
    );
    check(&config, "", ["*", all, "r-1,r-2", "*", "5", "", ""], true);
}

#[test]
fn origins_are_found_by_patterns_alone_where_there_are_some() {
    let config = json!({"allow_origins": "http://b.com", "allow_origins_by_regex": [".*\\.test.com$", ".*\\.example.org$"]});
    for (origin, is_allowed) in [
        ("http://a.test.com", true),
        ("http://foo.example.org", true),
        ("http://a.test2.com", false),
        ("http://b.com", false),
        ("", false),
    ] {
        let fields = if is_allowed {
            [origin, "*", "*", "", "5", "", ""]
        } else {
            NONE
        };
        check(&config, origin, fields, true);
    }
    let open = json!({"allow_origins": "*", "allow_origins_by_regex": [".*\\.domain.com$"]});
    check(&open, "http://sub.test.com", NONE, false);
    check(
        &open,
        "http://sub.domain.com",
        ["http://sub.domain.com", "*", "*", "", "5", "", ""],
        false,
    );
}

#[test]
fn origins_are_found_in_metadata() {
    let config = |names: &[&str]| json!({"allow_origins": "https://test.com", "allow_origins_by_metadata": names});
    for (names, origin, is_allowed) in [
        (&["one"][..], "https://domain.com", true),
        (&["one"], "https://test.com", true),
        (&["one"], "https://sub.domain.com", false),
        (&["one", "two"], "https://sub2.domain.com", true),
        (&["none", "any"], "https://foo.org", true),
        (&["forced"], "https://foo.org", true),
        (&["none"], "https://foo.org", false),
    ] {
        let fields = if is_allowed {
            [origin, "*", "*", "", "5", "", ""]
        } else {
            NONE
        };
        check(&config(names), origin, fields, true);
    }
    // With `*` beside it, what the metadata says is all that counts.
    let open = json!({"allow_origins_by_metadata": ["one"]});
    check(&open, "https://foo.org", NONE, false);
    check(
        &open,
        "https://domain.com",
        ["https://domain.com", "*", "*", "", "5", "", ""],
        false,
    );
}

#[test]
fn timing_has_origins_of_its_own() {
    for (config, origin, timing) in [
        (
            json!({"timing_allow_origins": "http://a.com"}),
            "http://a.com",
            "http://a.com",
        ),
        (
            json!({"timing_allow_origins": "http://a.com"}),
            "http://b.com",
            "",
        ),
        (
            json!({"timing_allow_origins": "http://a.com,http://b.com"}),
            "http://b.com",
            "http://b.com",
        ),
        (json!({"timing_allow_origins": "*"}), "", "*"),
        (
            json!({"timing_allow_origins": "**"}),
            "http://c.com",
            "http://c.com",
        ),
        (
            json!({"timing_allow_origins_by_regex": ["a\\.com$"]}),
            "http://a.com",
            "http://a.com",
        ),
        (
            json!({"timing_allow_origins_by_regex": ["a\\.com$"]}),
            "http://b.com",
            "",
        ),
        (
            json!({"timing_allow_origins_by_regex": ["a\\.com$"]}),
            "",
            "",
        ),
    ] {
        check(&config, origin, ["*", "*", "*", "", "5", "", timing], false);
    }
}

#[test]
fn preflight_requests_are_answered() {
    let plugin = kit().plugin::<Cors>(&json!({})).expect("a plugin");
    let mut request = Request::new("OPTIONS", "/").header("Origin", "http://a.com");
    let reply = plugin.rewrite(&mut request).expect("an answer");
    assert_eq!((reply.status, reply.text()), (200, String::new()));
}

#[test]
fn responses_that_never_came_to_rewrite_have_no_origin() {
    let config = json!({"allow_origins": "http://a.com,http://b.com"});
    let plugin = kit().plugin::<Cors>(&config).expect("a plugin");
    let mut request = Request::get("/").header("Origin", "http://a.com");
    plugin.respond(&mut request, 500, &[], &[""]);
    assert_eq!(request.answered("access-control-allow-origin"), None);
}

#[test]
fn configurations_that_cannot_be_honoured_are_refused() {
    let open = "you can not set '*' for other option when 'allow_credential' is true";
    let list = "http://a.com";
    for (config, expected) in [
        (json!({"allow_credential": true}), open),
        (
            json!({"allow_credential": true, "allow_origins": list, "allow_methods": "*"}),
            open,
        ),
        (
            json!({"allow_credential": true, "allow_origins": list, "allow_methods": "A", "allow_headers": "B", "timing_allow_origins": "*"}),
            open,
        ),
        (
            json!({"allow_origins_by_regex": ["a", "("]}),
            "pcre_compile() failed: missing ) in \"(\"",
        ),
        (
            json!({"timing_allow_origins_by_regex": ["["]}),
            "pcre_compile() failed: missing terminating ] for character class in \"[\"",
        ),
    ] {
        let refused = kit().plugin::<Cors>(&config).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{config}");
    }
}
