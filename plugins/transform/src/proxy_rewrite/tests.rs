use lockgate_plugin::testing::{Kit, Request};
use serde_json::{Value, json};

use super::*;

fn rewritten(config: &Value, mut request: Request) -> Request {
    let plugin = Kit::new().plugin::<ProxyRewrite>(config).expect("a plugin");
    let reply = plugin.rewrite(&mut request);
    assert!(reply.is_none(), "{config}: {reply:?}");
    request
}

#[track_caller]
fn target(config: &Value, asked: &str, expected: &str) {
    let request = Request::get(asked).header("X-Path", "a?b?c %\u{e9}");
    let request = rewritten(config, request);
    let sent = request.state.outgoing.uri.expect("a target");
    assert_eq!(
        String::from_utf8_lossy(&sent),
        expected,
        "{config} on {asked}"
    );
}

#[test]
fn the_path_is_made_of_a_text() {
    target(&json!({"uri": "/new"}), "/hello", "/new");
    target(&json!({"uri": "/new"}), "/hello?q=1&a=2", "/new?q=1&a=2");
    target(&json!({"uri": "/new?q=1"}), "/hello?a=2", "/new?q=1&a=2");
    target(&json!({"uri": "/new?q=1"}), "/hello", "/new?q=1");
    target(
        &json!({"uri": "/$arg_to"}),
        "/x?to=hello",
        "/hello?to=hello",
    );
    target(&json!({"uri": "/${arg_no ?? house}/x"}), "/x", "/house/x");
    // Only the first `?` of a value is escaped here; the path is escaped again.
    target(
        &json!({"uri": "/$http_x_path/$arg_no"}),
        "/x",
        "/a%253Fb?c%20%é/",
    );
    target(&json!({"uri": "/a b?c d\r\n"}), "/x", "/a%20b?c%20d%0D%0A");
}

#[test]
fn the_path_is_made_by_the_first_pattern_that_is_found() {
    let rules = json!({"regex_uri": [
        "^/test/(.*)/(.*)/(.*)/hello", "/hello/$1_$2_$3",
        "^/test/(.*)/(.*)/(.*)/world", "/world/${1}_$2_$3?q=$1",
        "(?<=/)zoo", "zebra",
    ]});
    target(&rules, "/test/a/b/c/hello", "/hello/a_b_c");
    target(&rules, "/test/a/b/c/world", "/world/a_b_c?q=a");
    target(&rules, "/test/a/b/c/world?x=1", "/world/a_b_c?q=a&x=1");
    target(&rules, "/my/zoo/x", "/my/zebra/x");
    target(&rules, "/other?x=1", "/other?x=1");
    // `uri` counts more.
    target(
        &json!({"uri": "/new", "regex_uri": [".*", "/old"]}),
        "/x",
        "/new",
    );
}

#[test]
fn the_target_is_taken_as_it_came_where_that_is_asked_for() {
    let raw = |more: Value| {
        let mut config = json!({"use_real_request_uri_unsafe": true});
        let members = more.as_object().cloned().unwrap_or_default();
        config.as_object_mut().expect("an object").extend(members);
        config
    };
    target(&raw(json!({})), "/a%5Fb%20?q=%20", "/a%5Fb%20?q=%20");
    target(&raw(json!({"uri": "/new"})), "/a?q=1", "/new?q=1");
    target(&raw(json!({"uri": "/new?x=1"})), "/a?q=1", "/new?x=1&q=1");
    target(&raw(json!({"uri": "/new"})), "/a", "/new");
    let rule = json!({"regex_uri": ["/hello/(.+)", "/hello?unsafe=$1"]});
    target(&raw(rule), "/hello/%ED%85%8C", "/hello?unsafe=%ED%85%8C");
    target(&raw(json!({"uri": "/$http_x_path"})), "/", "/a%3Fb?c%20%é");
}

#[test]
fn a_path_stays_what_it_is_where_none_is_configured() {
    target(&json!({"host": "a.com"}), "/hello?a=b", "/hello?a=b");
    let request = rewritten(&json!({"host": "a.com:80"}), Request::get("/"));
    assert_eq!(
        request.state.outgoing.host.as_deref(),
        Some(&b"a.com:80"[..])
    );
    assert_eq!(request.state.outgoing.method, None);
    let request = rewritten(&json!({"method": "POST"}), Request::get("/"));
    assert_eq!(request.state.outgoing.method.as_deref(), Some(&b"POST"[..]));
}

#[track_caller]
fn fields(headers: &Value, expected: &[(&str, &[&str])]) {
    let config = json!({"headers": headers, "regex_uri": ["^/(t)(x)?", "/"]});
    let request = Request::get("/test?name=Bill")
        .header("test", "a")
        .header("Test", "b")
        .header("hello", "word");
    let request = rewritten(&config, request);
    for (name, values) in expected {
        let sent: Vec<_> = request.head.headers.get_all(name.as_bytes()).collect();
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(sent, values, "{headers}: {name}");
    }
}

#[test]
fn fields_are_added_set_and_removed_in_this_order() {
    fields(
        &json!({"Test": "v2", "N": 1.5}),
        &[("test", &["v2"]), ("n", &["1.5"])],
    );
    fields(&json!({"test": ""}), &[("test", &[])]);
    fields(&json!({"x-api": "$helle"}), &[("x-api", &[])]);
    fields(
        &json!({"add": {"test": "123"}}),
        &[("test", &["a", "b", "123"])],
    );
    fields(
        &json!({"add": {"test": ["1", 2, ""]}}),
        &[("test", &["a", "b", "1", "2"])],
    );
    fields(
        &json!({"set": {"test": ["1", "2"], "New": ["3", "4"]}}),
        &[("test", &["1", "2"]), ("new", &["3", "4"])],
    );
    fields(
        &json!({"add": {"test": "in_add"}, "set": {"test": "in_set"}, "remove": ["hello"]}),
        &[("test", &["in_set"]), ("hello", &[])],
    );
}

#[test]
fn fields_hold_variables_and_groups() {
    fields(&json!({"x": "$remote_addr"}), &[("x", &["127.0.0.1"])]);
    fields(&json!({"x": "a ${arg_name} b"}), &[("x", &["a Bill b"])]);
    fields(&json!({"x": "1/$1/${2}/$9/$1x"}), &[("x", &["1/t///tx"])]);
    fields(&json!({"x": "\\$1 $arg_name"}), &[("x", &["\\$1 Bill"])]);
    fields(&json!({"x": "${arg_no ?? none}"}), &[("x", &["none"])]);
}

#[test]
fn what_would_end_a_line_is_escaped() {
    let config = json!({"headers": {"set": {"x y": "a $http_evil"}}});
    let request = rewritten(
        &config,
        Request::get("/").variable("http_evil", "b\r\nc: d"),
    );
    assert_eq!(request.sent("x%20y").as_deref(), Some("a b%0D%0Ac: d"));
}

#[test]
fn configurations_that_cannot_be_honoured_are_refused() {
    for (config, expected) in [
        (
            json!({"regex_uri": ["a", "b", "c"]}),
            "The length of regex_uri should be an even number",
        ),
        (
            json!({"regex_uri": ["[^/test/(.*)", "/$1"]}),
            "invalid regex_uri([^/test/(.*), /$1): pcre_compile() failed: missing terminating ] for character class in \"[^/test/(.*)\"",
        ),
        (
            json!({"regex_uri": ["^/test/(.*)", "/$`1"]}),
            "invalid regex_uri(^/test/(.*), /$`1): failed to compile the replacement template",
        ),
        (
            json!({"headers": {"X-Api:Version": "v2"}}),
            "invalid field character in header",
        ),
        (
            json!({"headers": {"X-Api-Version": "v2\r\n"}}),
            "invalid value character in header",
        ),
    ] {
        let refused = Kit::new().plugin::<ProxyRewrite>(&config).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{config}");
    }
}

#[test]
fn a_search_without_end_is_a_500() {
    let config = json!({"regex_uri": ["^/(?:(a+)\\1*)+b(?!c)", "/"]});
    let plugin = Kit::new()
        .plugin::<ProxyRewrite>(&config)
        .expect("a plugin");
    let path = format!("/{}", "a".repeat(64));
    let reply = plugin.rewrite(&mut Request::get(&path)).expect("an answer");
    assert_eq!(reply.status, 500);
    let message =
        format!("failed to match the uri {path} (^/(?:(a+)\\1*)+b(?!c))  : pcre_exec() failed: -8");
    assert_eq!(reply.json_body(), json!({"error_msg": message}));
}

#[test]
fn an_empty_path_is_a_500() {
    let config = json!({"regex_uri": [".*", ""]});
    let plugin = Kit::new()
        .plugin::<ProxyRewrite>(&config)
        .expect("a plugin");
    let reply = plugin.rewrite(&mut Request::get("/x")).expect("an answer");
    assert_eq!(reply.status, 500);
}
