use std::time::Duration;

use lockgate_plugin::{
    About, Access, Compile, ConfigError, Exchange, Flow, HeaderFilter, Hooks, Log, MetadataType,
    Plugin, Timing,
    testing::{self, Kit, Request},
};
use serde_json::{Value, json};

use super::{Broken, Entries, LogMetadata};

/// A logger that leaves its entry in a variable.
struct Logger(Entries);

const ENTRY: &str = "entry";

impl Plugin for Logger {
    const ABOUT: About = About::new("logger", 1, include_str!("../http_logger/schema.json"));
    const METADATA: Option<MetadataType> = Some(MetadataType::of::<LogMetadata>());

    type Config = Value;

    fn compile(_: Value, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self(Entries::compile(cx, Broken::Ignored)?))
    }

    fn hooks(self: std::sync::Arc<Self>, on: &mut Hooks) {
        on.access(self.clone());
        if self.0.has_response_body() {
            on.header_filter(self.clone());
        }
        on.log(self);
    }
}

impl Access for Logger {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        self.0.keep_request_body(ex);
        Flow::Next
    }
}

impl HeaderFilter for Logger {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        self.0.hold_response_body(ex);
    }
}

impl Log for Logger {
    fn log(&self, ex: &mut Exchange<'_>) {
        let entry = self.0.entry(ex, Some("no-matched"));
        ex.set_variable(&lockgate_expr::Variable::parse(ENTRY), entry);
    }
}

/// The entry of a request that was answered with `body`.
fn logged(kit: &Kit, more: &Value, mut request: Request, body: &[&str]) -> Value {
    let mut config = json!({"uri": "http://127.0.0.1"});
    let members = config.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    let plugin = kit.plugin::<Logger>(&config).expect("a configuration");
    assert!(plugin.access(&mut request).is_none());
    let fields = [
        ("Content-Type", "text/plain"),
        ("Set-Cookie", "a"),
        ("set-cookie", "b"),
    ];
    let passed = plugin.respond(&mut request, 200, &fields, body);
    assert_eq!(passed, body.concat());
    plugin.log(&mut request);
    let entry = Exchange::new(&mut request)
        .variable(ENTRY)
        .expect("an entry")
        .into_owned();
    serde_json::from_slice(&entry).expect("JSON")
}

fn post(body: &str) -> Request {
    Request::new("POST", "/hello?a=1&b&a=%2F").body(body)
}

#[test]
fn the_default_entry_has_everything() {
    let mut request = post("x")
        .by(testing::consumer("jack"))
        .header("X-Many", "1")
        .header("x-many", "2")
        .variable("server_port", "9080")
        .variable("upstream_addr", "127.0.0.1:1980")
        .at(Duration::from_millis(1_700_000_000_100));
    request.timing = Timing {
        total: Duration::from_micros(12_345),
        upstream: Some(Duration::from_micros(10_345)),
        received: 77,
        sent: 99,
        body_sent: 2,
    };
    let entry = logged(&Kit::new(), &json!({}), request, &["y"]);
    let expected = json!({
        "apisix_latency": 2,
        "client_ip": "127.0.0.1",
        "consumer": {"username": "jack"},
        "latency": 12.345,
        "request": {
            "headers": {"host": "localhost", "x-many": ["1", "2"]},
            "method": "POST",
            "querystring": {"a": ["1", "/"], "b": true},
            "size": 77,
            "uri": "/hello?a=1&b&a=%2F",
            "url": "http://localhost:9080/hello?a=1&b&a=%2F",
        },
        "response": {
            "headers": {"content-type": "text/plain", "set-cookie": ["a", "b"]},
            "size": 99,
            "status": 200,
        },
        "route_id": "1",
        "server": {"hostname": "host", "version": "3.18.0"},
        "service_id": "",
        "start_time": 1_700_000_000_087_u64,
        "upstream": "127.0.0.1:1980",
        "upstream_latency": 10.345,
    });
    assert_eq!(entry, expected);
}

#[test]
fn the_default_entry_of_no_route_has_the_host_for_a_service() {
    let mut request = Request::get("/");
    request.route = None;
    let entry = logged(&Kit::new(), &json!({}), request, &[]);
    assert_eq!(entry["service_id"], "localhost");
    assert_eq!(entry["route_id"], "no-matched");
    for name in ["consumer", "upstream", "upstream_latency"] {
        assert_eq!(entry.get(name), None, "{name}");
    }
}

#[test]
fn bodies_are_logged_where_that_is_asked_for() {
    let kit = Kit::new();
    for (config, request, response) in [
        (json!({}), json!(null), json!(null)),
        (
            json!({"include_req_body": true}),
            json!("abcdef"),
            json!(null),
        ),
        (
            json!({"include_req_body": true, "max_req_body_bytes": 5}),
            json!("abcde"),
            json!(null),
        ),
        (
            json!({"include_req_body": true, "include_req_body_expr": [["arg_a", "==", "1"]]}),
            json!("abcdef"),
            json!(null),
        ),
        (
            json!({"include_req_body": true, "include_req_body_expr": [["arg_a", "==", "2"]]}),
            json!(null),
            json!(null),
        ),
        (
            json!({"include_req_body": true, "include_req_body_expr": [["arg_a", "<>", "2"]]}),
            json!(null),
            json!(null),
        ),
        (
            json!({"include_req_body_expr": [["arg_a", "==", "1"]]}),
            json!(null),
            json!(null),
        ),
        (
            json!({"include_resp_body": true}),
            json!(null),
            json!("hello world"),
        ),
        (
            json!({"include_resp_body": true, "max_resp_body_bytes": 6}),
            json!(null),
            json!("hello "),
        ),
        (
            json!({"include_resp_body": true, "include_resp_body_expr": [["status", "==", "200"]]}),
            json!(null),
            json!("hello world"),
        ),
        (
            json!({"include_resp_body": true, "include_resp_body_expr": [["status", "==", "500"]]}),
            json!(null),
            json!(null),
        ),
    ] {
        let entry = logged(&kit, &config, post("abcdef"), &["hello", " world"]);
        assert_eq!(entry["request"]["body"], request, "{config}");
        assert_eq!(entry["response"]["body"], response, "{config}");
    }
    // Nothing is nothing, but an empty answer is one.
    let both = json!({"include_req_body": true, "include_resp_body": true});
    let entry = logged(&kit, &both, post(""), &[""]);
    assert_eq!(entry["request"].get("body"), None);
    assert_eq!(entry["response"]["body"], "");
}

#[test]
fn formats_have_variables_literals_and_objects() {
    let kit = Kit::new();
    let deep = json!({"2": {"3": {"4": {"5": {"6": "$uri"}, "x": "$uri"}}}});
    for (format, expected) in [
        (json!({}), json!({"route_id": "1"})),
        (
            json!({"host": "$host", "none": "$http_none", "two": "$host$uri", "text": "x$host", "n": 1.5, "t": true, "nil": null, "": "$", "e": []}),
            json!({"host": "localhost", "text": "x$host", "n": 1.5, "t": true, "nil": null, "e": {}, "route_id": "1"}),
        ),
        // Numbers are numbers.
        (
            json!({"status": "$status", "time": "$request_time", "up": "$upstream_response_time", "size": "$request_length"}),
            json!({"status": 200, "time": 0.1, "up": 0.3, "size": 12, "route_id": "1"}),
        ),
        (
            json!({"request": {"method": "$request_method", "none": "$none"}, "list": ["$uri", "$none", 1]}),
            json!({"request": {"method": "POST"}, "list": ["/hello", null, 1], "route_id": "1"}),
        ),
        (
            json!({"1": deep}),
            json!({"1": {"2": {"3": {"4": {"5": {}, "x": "/hello"}}}}, "route_id": "1"}),
        ),
        // What the gateway says of these counts.
        (
            json!({"route_id": "x", "service_id": "y"}),
            json!({"route_id": "1"}),
        ),
        (
            json!({"b": "$request_body"}),
            json!({"b": "abcdef", "route_id": "1"}),
        ),
    ] {
        let request = post("abcdef")
            .variable("request_time", "0.100")
            .variable("upstream_response_time", "0.100, -, 0.200")
            .variable("request_length", "12");
        let config = json!({"log_format": format});
        assert_eq!(logged(&kit, &config, request, &[]), expected, "{format}");
    }
    let config = json!({"log_format": {"b": "$resp_body"}, "include_resp_body": true});
    let entry = logged(&kit, &config, post(""), &["ab", "c"]);
    assert_eq!(entry, json!({"b": "abc", "route_id": "1"}));
}

#[test]
fn the_configuration_counts_and_then_metadata() {
    let kit = Kit::new();
    let in_metadata = json!({"log_format": {"from": "metadata"}});
    let own = json!({"log_format": {"from": "route"}});
    let path = |config: &Value| logged(&kit, config, Request::get("/"), &[])["from"].clone();
    assert_eq!(path(&json!({})), json!(null));
    kit.metadata::<Logger>(&in_metadata).expect("metadata");
    assert_eq!(path(&json!({})), "metadata");
    assert_eq!(path(&own), "route");
    assert_eq!(path(&json!({"log_format": {}})), json!(null));
    // An empty one is none.
    kit.metadata::<Logger>(&json!({"log_format": {}}))
        .expect("metadata");
    let entry = logged(&kit, &json!({}), Request::get("/"), &[]);
    assert_eq!(entry["request"]["method"], "GET");
}

#[test]
fn extra_members_come_on_top_of_the_default_entry() {
    let kit = Kit::new();
    let config = json!({"log_format_extra": {
        "env": "$http_env", "tag": "x", "route_id": "mine", "latency": "mine", "upstream": "none", "in": {"a": "$uri"},
    }});
    let request = || Request::get("/").header("env", "prod");
    let entry = logged(&kit, &config, request(), &[]);
    for (name, expected) in [
        ("env", json!("prod")),
        ("tag", json!("x")),
        ("route_id", json!("1")),
        ("upstream", json!("none")),
        ("in", json!({"a": "/"})),
    ] {
        assert_eq!(entry[name], expected, "{name}");
    }
    assert!(entry["latency"].is_number());
    let metadata = json!({"log_format_extra": {"env": "metadata", "more": 1}});
    kit.metadata::<Logger>(&metadata).expect("metadata");
    let entry = logged(&kit, &config, request(), &[]);
    assert_eq!((&entry["env"], entry.get("more")), (&json!("prod"), None));
    let entry = logged(&kit, &json!({}), request(), &[]);
    assert_eq!(
        (&entry["env"], &entry["more"]),
        (&json!("metadata"), &json!(1))
    );
    // Without effect on formats of the users' own.
    let config = json!({"log_format": {}, "log_format_extra": {"env": "x"}});
    let entry = logged(&kit, &config, request(), &[]);
    assert_eq!(entry, json!({"route_id": "1"}));
}

#[test]
fn bytes_that_are_no_text_spoil_nothing() {
    let mut request = Request::get("/");
    request.head.headers.append(b"x-odd", b"a\xff\"");
    let entry = logged(&Kit::new(), &json!({}), request, &[]);
    assert_eq!(entry["request"]["headers"]["x-odd"], "a\u{fffd}\"");
}
