use lockgate_plugin::testing::{Kit, Request};
use serde_json::{Value, json};

use super::*;

fn answered(kit: &Kit, config: &Value, request: &mut Request) -> Option<(u16, String)> {
    let plugin = kit.plugin::<Redirect>(config).expect("a plugin");
    let reply = plugin.rewrite(request)?;
    let location = reply.headers.get(b"location").expect("a location");
    assert!(matches!(reply.body, Body::Page));
    Some((reply.status, String::from_utf8_lossy(location).into_owned()))
}

#[track_caller]
fn check(config: &Value, target: &str, status: u16, location: &str) {
    let mut request = Request::get(target).variable("http_text", "a b\r\n?\u{e9}");
    let answer = answered(&Kit::new(), config, &mut request);
    assert_eq!(
        answer,
        Some((status, location.to_owned())),
        "{config} on {target}"
    );
}

#[test]
fn clients_are_sent_to_a_text_with_variables() {
    check(
        &json!({"uri": "/test/add", "ret_code": 301}),
        "/hello",
        301,
        "/test/add",
    );
    check(&json!({"uri": "$uri/test"}), "/hello", 302, "/hello/test");
    check(
        &json!({"uri": "$uri/a${arg_name}c"}),
        "/x?name=json",
        302,
        "/x/ajsonc",
    );
    check(&json!({"uri": "/foo$$uri"}), "/hello", 302, "/foo$/hello");
    check(
        &json!({"uri": "\\$uri/foo$uri\\$uri/bar"}),
        "/hello",
        302,
        "\\$uri/foo/hello\\$uri/bar",
    );
    check(
        &json!({"uri": "$uri/$bad_var/bar"}),
        "/hello",
        302,
        "/hello//bar",
    );
    check(
        &json!({"uri": "\\a\\$-${}${uri$"}),
        "/x",
        302,
        "a$-${}${uri$",
    );
    check(
        &json!({"uri": "/$http_text"}),
        "/x",
        302,
        "/a b%0D%0A?\u{e9}",
    );
}

#[test]
fn clients_are_sent_where_a_pattern_leads() {
    let config = |more: Value| {
        let mut config = json!({"regex_uri": ["^/test/(.*)", "http://test.com/${1}?q=a"]});
        let members = more.as_object().cloned().unwrap_or_default();
        config.as_object_mut().expect("an object").extend(members);
        config
    };
    check(
        &config(json!({})),
        "/test/1?b",
        302,
        "http://test.com/1?q=a",
    );
    check(
        &config(json!({"append_query_string": true})),
        "/test/1?o=b",
        302,
        "http://test.com/1?q=a&o=b",
    );
    let mut other = Request::get("/hello");
    assert_eq!(answered(&Kit::new(), &config(json!({})), &mut other), None);
}

#[test]
fn paths_are_encoded_and_queries_appended_on_demand() {
    let encoded = json!({"uri": "/$http_text", "encode_uri": true});
    check(&encoded, "/x", 302, "/a%20b%0D%0A?\u{e9}");
    let appended = json!({"uri": "$uri", "append_query_string": true});
    check(&appended, "/hello?name=json", 302, "/hello?name=json");
    check(&appended, "/hello", 302, "/hello");
    let more = json!({"uri": "$uri?type=string", "append_query_string": true});
    check(
        &more,
        "/hello?name=json",
        302,
        "/hello?type=string&name=json",
    );
}

#[test]
fn requests_without_tls_are_sent_to_the_same_with_it() {
    let config = json!({"http_to_https": true, "ret_code": 307});
    let kit = Kit::new().attributes("redirect", json!({"https_port": 8443}));
    for (method, status) in [("GET", 301), ("HEAD", 301), ("POST", 308)] {
        let mut request = Request::new(method, "/hello?a=b");
        let answer = answered(&kit, &config, &mut request);
        let location = "https://localhost:8443/hello?a=b".to_owned();
        assert_eq!(answer, Some((status, location)), "{method}");
    }
    for (scheme, is_sent) in [("https", false), ("http", true), ("any", true)] {
        let mut request = Request::get("/").header("X-Forwarded-Proto", scheme);
        assert_eq!(
            answered(&kit, &config, &mut request).is_some(),
            is_sent,
            "{scheme}"
        );
    }
    let mut secure = Request::get("/").variable("scheme", "https");
    assert_eq!(answered(&kit, &config, &mut secure), None);
    let off = json!({"http_to_https": false});
    assert_eq!(answered(&kit, &off, &mut Request::get("/")), None);
}

#[test]
fn the_port_is_one_that_is_listened_on() {
    let kit = |ports: &[u16]| {
        let kit = Kit::new();
        let mut options = lockgate_plugin::NodeOptions::clone(&kit.node.options());
        options.https_ports = ports.into();
        kit.node.set_options(options);
        kit
    };
    let config = json!({"http_to_https": true});
    let location = |kit: &Kit| {
        answered(kit, &config, &mut Request::get("/"))
            .expect("an answer")
            .1
    };
    assert_eq!(location(&kit(&[])), "https://localhost/");
    assert_eq!(location(&kit(&[443])), "https://localhost/");
    assert_eq!(location(&kit(&[9443])), "https://localhost:9443/");
    let several = location(&kit(&[6443, 7443]));
    assert!(several == "https://localhost:6443/" || several == "https://localhost:7443/");
    let odd = kit(&[9443]).attributes("redirect", json!({"https_port": 70_000}));
    assert_eq!(location(&odd), "https://localhost/");
}

#[test]
fn configurations_that_cannot_be_honoured_are_refused() {
    for (config, expected) in [
        (
            json!({"http_to_https": true, "append_query_string": true}),
            "only one of `http_to_https` and `append_query_string` can be configured.",
        ),
        (
            json!({"regex_uri": ["(", "/"]}),
            "invalid regex_uri ((, /), err:pcre_compile() failed: missing ) in \"(\"",
        ),
        (
            json!({"regex_uri": ["a", "$x"]}),
            "invalid regex_uri (a, $x), err:failed to compile the replacement template",
        ),
    ] {
        let refused = Kit::new().plugin::<Redirect>(&config).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{config}");
    }
}
