//! Every variable on one request whose every fact is known, and the page that lists them.

use std::{collections::HashSet, fmt::Write as _, path::Path};

use lockgate_expr::Variable;
use lockgate_router::Mode;
use lockgate_testkit::{Origin, Setup};
use serde_json::json;

/// What the log has for a variable.
enum Logged {
    /// This text. `{port}`, `{node}` and `{node_port}` stand for what the system chose.
    Text(&'static str),
    /// Digits.
    Number,
    /// Seconds with milliseconds.
    Seconds,
    /// Something else that holds.
    Holds(fn(&str) -> bool),
    /// Nothing or a value that says nothing, for this reason.
    Idle(&'static str, &'static str),
    /// Its value shows in another test: what is asked is no name for nginx's log.
    Elsewhere,
}

use Logged::{Elsewhere, Holds, Idle, Number, Seconds, Text};

const NO_TLS: &str = "TLS from clients is not there yet";
const NO_HTTP2: &str = "HTTP/2 and HTTP/3 from clients are not there yet";
const NO_PLUGIN: &str = "the plugin that sets it is not there yet";
const NO_CONSUMER: &str = "consumers do nothing yet";
const NO_STREAM: &str = "TCP streams are not proxied yet";

/// The names of the table, each with what is asked for where it has a free part.
const EXPECTED: &[(&str, &str, Logged)] = &[
    ("uri", "uri", Text("/known/a/b c")),
    ("document_uri", "document_uri", Text("/known/a/b c")),
    (
        "request_uri",
        "request_uri",
        Text("/known/%61/b%20c?a=x%20y&b"),
    ),
    (
        "real_request_uri",
        "real_request_uri",
        Text("/known/%61/b%20c?a=x%20y&b"),
    ),
    ("args", "args", Text("a=x%20y&b")),
    ("query_string", "query_string", Text("a=x%20y&b")),
    ("is_args", "is_args", Text("?")),
    ("host", "host", Text("a.test")),
    ("hostname", "hostname", Holds(|value| value.len() > 1)),
    ("scheme", "scheme", Text("http")),
    ("https", "https", Idle("", NO_TLS)),
    ("server_addr", "server_addr", Text("127.0.0.1")),
    ("server_port", "server_port", Text("{port}")),
    ("server_name", "server_name", Text("_")),
    ("server_protocol", "server_protocol", Text("HTTP/1.1")),
    ("remote_addr", "remote_addr", Text("9.9.9.9")),
    (
        "binary_remote_addr",
        "binary_remote_addr",
        Text(r"\x09\x09\x09\x09"),
    ),
    ("remote_port", "remote_port", Text("7")),
    (
        "realip_remote_addr",
        "realip_remote_addr",
        Text("127.0.0.1"),
    ),
    ("realip_remote_port", "realip_remote_port", Number),
    ("remote_user", "remote_user", Text("joe")),
    (
        "proxy_protocol_addr",
        "proxy_protocol_addr",
        Text("192.0.2.1"),
    ),
    ("proxy_protocol_port", "proxy_protocol_port", Text("5000")),
    (
        "proxy_protocol_server_addr",
        "proxy_protocol_server_addr",
        Text("192.0.2.2"),
    ),
    (
        "proxy_protocol_server_port",
        "proxy_protocol_server_port",
        Text("80"),
    ),
    (
        "proxy_add_x_forwarded_for",
        "proxy_add_x_forwarded_for",
        Text("1.2.3.4, 9.9.9.9"),
    ),
    ("proxy_host", "proxy_host", Text("apisix_backend")),
    ("proxy_port", "proxy_port", Text("80")),
    (
        "var_x_forwarded_host",
        "var_x_forwarded_host",
        Text("A.test:81"),
    ),
    ("var_x_forwarded_port", "var_x_forwarded_port", Text("81")),
    (
        "request",
        "request",
        Text("POST /known/%61/b%20c?a=x%20y&b HTTP/1.1"),
    ),
    (
        "request_line",
        "request_line",
        Text("POST /known/%61/b%20c?a=x%20y&b HTTP/1.1"),
    ),
    ("request_method", "request_method", Text("POST")),
    ("method", "method", Text("POST")),
    ("request_time", "request_time", Seconds),
    ("request_length", "request_length", Number),
    ("request_id", "request_id", Holds(|value| value.len() == 32)),
    ("request_body", "request_body", Text("k=v&k=w")),
    ("request_completion", "request_completion", Text("OK")),
    ("request_type", "request_type", Text("traditional_http")),
    ("body_bytes_sent", "body_bytes_sent", Text("5")),
    ("bytes_sent", "bytes_sent", Number),
    ("status", "status", Text("201")),
    ("upstream_addr", "upstream_addr", Text("{node}")),
    ("lockgate_reason", "lockgate_reason", Text("")),
    ("upstream_status", "upstream_status", Text("201")),
    ("upstream_response_time", "upstream_response_time", Seconds),
    ("upstream_header_time", "upstream_header_time", Seconds),
    ("upstream_connect_time", "upstream_connect_time", Seconds),
    (
        "upstream_response_length",
        "upstream_response_length",
        Text("5"),
    ),
    (
        "upstream_bytes_received",
        "upstream_bytes_received",
        Text("{received}"),
    ),
    ("upstream_bytes_sent", "upstream_bytes_sent", Text("{sent}")),
    (
        "upstream_cache_status",
        "upstream_cache_status",
        Idle("-", NO_PLUGIN),
    ),
    (
        "upstream_cache_zone",
        "upstream_cache_zone",
        Idle("off", NO_PLUGIN),
    ),
    (
        "upstream_cache_zone_info",
        "upstream_cache_zone_info",
        Idle("", NO_PLUGIN),
    ),
    (
        "upstream_cache_key",
        "upstream_cache_key",
        Idle("", NO_PLUGIN),
    ),
    (
        "upstream_cache_bypass",
        "upstream_cache_bypass",
        Idle("", NO_PLUGIN),
    ),
    (
        "upstream_no_cache",
        "upstream_no_cache",
        Idle("", NO_PLUGIN),
    ),
    (
        "upstream_mirror_host",
        "upstream_mirror_host",
        Idle("", NO_PLUGIN),
    ),
    (
        "upstream_mirror_uri",
        "upstream_mirror_uri",
        Idle("", NO_PLUGIN),
    ),
    (
        "upstream_mirror_grpc_path",
        "upstream_mirror_grpc_path",
        Idle("", NO_PLUGIN),
    ),
    ("upstream_host", "upstream_host", Text("A.test:81")),
    (
        "upstream_unresolved_host",
        "upstream_unresolved_host",
        Text("node.test"),
    ),
    ("upstream_uri", "upstream_uri", Idle("", NO_PLUGIN)),
    ("upstream_scheme", "upstream_scheme", Text("http")),
    ("upstream_upgrade", "upstream_upgrade", Text("")),
    (
        "upstream_connection",
        "upstream_connection",
        Text("keep-alive"),
    ),
    (
        "apisix_upstream_response_time",
        "apisix_upstream_response_time",
        Seconds,
    ),
    ("msec", "msec", Seconds),
    (
        "time_local",
        "time_local",
        Holds(|value| value.len() == "23/Nov/2026:20:00:00 +0000".len()),
    ),
    (
        "time_iso8601",
        "time_iso8601",
        Holds(|value| value.len() == "2026-11-23T20:00:00+00:00".len()),
    ),
    ("connection", "connection", Number),
    ("connection_requests", "connection_requests", Text("1")),
    ("connection_time", "connection_time", Seconds),
    ("pipe", "pipe", Text(".")),
    ("http2", "http2", Idle("", NO_HTTP2)),
    ("http3", "http3", Idle("", NO_HTTP2)),
    (
        "content_type",
        "content_type",
        Text("application/x-www-form-urlencoded"),
    ),
    ("content_length", "content_length", Text("7")),
    (
        "nginx_version",
        "nginx_version",
        Holds(|value| value.starts_with("1.")),
    ),
    ("pid", "pid", Number),
    ("ssl_cipher", "ssl_cipher", Idle("-", NO_TLS)),
    ("ssl_protocol", "ssl_protocol", Idle("-", NO_TLS)),
    ("ssl_server_name", "ssl_server_name", Idle("-", NO_TLS)),
    (
        "ssl_session_reused",
        "ssl_session_reused",
        Idle("-", NO_TLS),
    ),
    ("ssl_session_id", "ssl_session_id", Idle("-", NO_TLS)),
    ("ssl_alpn_protocol", "ssl_alpn_protocol", Idle("-", NO_TLS)),
    ("ssl_client_verify", "ssl_client_verify", Idle("-", NO_TLS)),
    ("ssl_client_s_dn", "ssl_client_s_dn", Idle("-", NO_TLS)),
    ("ssl_client_i_dn", "ssl_client_i_dn", Idle("-", NO_TLS)),
    ("ssl_client_serial", "ssl_client_serial", Idle("-", NO_TLS)),
    (
        "ssl_client_fingerprint",
        "ssl_client_fingerprint",
        Idle("-", NO_TLS),
    ),
    (
        "ssl_client_raw_cert",
        "ssl_client_raw_cert",
        Idle("-", NO_TLS),
    ),
    (
        "ssl_client_escaped_cert",
        "ssl_client_escaped_cert",
        Idle("-", NO_TLS),
    ),
    ("graphql_name", "graphql_name", Elsewhere),
    ("graphql_operation", "graphql_operation", Elsewhere),
    ("graphql_root_fields", "graphql_root_fields", Elsewhere),
    ("balancer_ip", "balancer_ip", Text("127.0.0.1")),
    ("balancer_port", "balancer_port", Text("{node_port}")),
    ("route_id", "route_id", Text("r1")),
    ("route_name", "route_name", Text("the route")),
    ("service_id", "service_id", Text("s1")),
    ("service_name", "service_name", Text("the service")),
    ("consumer_name", "consumer_name", Idle("-", NO_CONSUMER)),
    (
        "consumer_group_id",
        "consumer_group_id",
        Idle("-", NO_CONSUMER),
    ),
    (
        "apisix_request_id",
        "apisix_request_id",
        Holds(|value| value.len() == 32),
    ),
    ("resp_body", "resp_body", Idle("", NO_PLUGIN)),
    (
        "rate_limiting_info",
        "rate_limiting_info",
        Idle("", NO_PLUGIN),
    ),
    (
        "request_llm_model",
        "request_llm_model",
        Idle("", NO_PLUGIN),
    ),
    ("llm_model", "llm_model", Idle("", NO_PLUGIN)),
    (
        "llm_time_to_first_token",
        "llm_time_to_first_token",
        Idle("0", NO_PLUGIN),
    ),
    (
        "llm_prompt_tokens",
        "llm_prompt_tokens",
        Idle("0", NO_PLUGIN),
    ),
    (
        "llm_completion_tokens",
        "llm_completion_tokens",
        Idle("0", NO_PLUGIN),
    ),
    ("llm_total_tokens", "llm_total_tokens", Idle("0", NO_PLUGIN)),
    ("llm_stream", "llm_stream", Idle("false", NO_PLUGIN)),
    (
        "llm_has_tool_calls",
        "llm_has_tool_calls",
        Idle("false", NO_PLUGIN),
    ),
    ("llm_tool_count", "llm_tool_count", Idle("0", NO_PLUGIN)),
    ("llm_end_user_id", "llm_end_user_id", Idle("", NO_PLUGIN)),
    (
        "llm_cache_read_input_tokens",
        "llm_cache_read_input_tokens",
        Idle("0", NO_PLUGIN),
    ),
    (
        "llm_cache_creation_input_tokens",
        "llm_cache_creation_input_tokens",
        Idle("0", NO_PLUGIN),
    ),
    (
        "llm_reasoning_tokens",
        "llm_reasoning_tokens",
        Idle("0", NO_PLUGIN),
    ),
    (
        "llm_content_risk_level",
        "llm_content_risk_level",
        Idle("", NO_PLUGIN),
    ),
    (
        "opentelemetry_context_traceparent",
        "opentelemetry_context_traceparent",
        Idle("", NO_PLUGIN),
    ),
    (
        "opentelemetry_trace_id",
        "opentelemetry_trace_id",
        Idle("", NO_PLUGIN),
    ),
    (
        "opentelemetry_span_id",
        "opentelemetry_span_id",
        Idle("", NO_PLUGIN),
    ),
    (
        "zipkin_context_traceparent",
        "zipkin_context_traceparent",
        Idle("", NO_PLUGIN),
    ),
    ("zipkin_trace_id", "zipkin_trace_id", Idle("", NO_PLUGIN)),
    ("zipkin_span_id", "zipkin_span_id", Idle("", NO_PLUGIN)),
    ("mqtt_client_id", "mqtt_client_id", Idle("-", NO_STREAM)),
    ("redis_cmd_line", "redis_cmd_line", Idle("-", NO_STREAM)),
    ("rpc_time", "rpc_time", Idle("-", NO_STREAM)),
    (
        "original_x_forwarded_for",
        "original_x_forwarded_for",
        Text("1.2.3.4"),
    ),
    (
        "original_x_forwarded_proto",
        "original_x_forwarded_proto",
        Text("https"),
    ),
    (
        "original_x_forwarded_host",
        "original_x_forwarded_host",
        Text("x.test"),
    ),
    (
        "original_x_forwarded_port",
        "original_x_forwarded_port",
        Text("443"),
    ),
    (
        "original_forwarded",
        "original_forwarded",
        Text("for=1.2.3.4"),
    ),
    ("arg_NAME", "arg_A", Text("x%20y")),
    ("cookie_NAME", "cookie_c", Text("1")),
    ("post_arg_NAME", "post_arg_k", Elsewhere),
    ("post_arg.PATH", "", Elsewhere),
    ("uri_param_NAME", "uri_param_last", Text("b c")),
    ("upstream_cookie_NAME", "upstream_cookie_u", Text("2")),
    ("http_NAME", "http_x_many", Text("one, two")),
    (
        "sent_http_NAME",
        "sent_http_content_type",
        Text("text/plain; charset=utf-8"),
    ),
    (
        "upstream_http_NAME",
        "upstream_http_content_type",
        Text("text/plain"),
    ),
];

#[test]
fn every_variable_has_its_value_or_a_reason_to_have_none() {
    let listed: HashSet<&str> = Variable::TABLE.iter().map(|(name, _)| *name).collect();
    let expected: HashSet<&str> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(listed, expected, "the table of names and that of values");

    let response = "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nServer: own\r\nSet-Cookie: u=1\r\n\
        Set-Cookie: u=2; Path=/\r\nContent-Length: 5\r\n\r\nhello";
    let origin = Origin::answering(response);
    let asked: Vec<_> = EXPECTED
        .iter()
        .filter(|(.., logged)| !matches!(logged, Elsewhere))
        .collect();
    let mut format = String::new();
    for (_, name, _) in &asked {
        let _infallible = write!(format, "${{{name}}}|");
    }
    let port = origin.address().port();
    let route = json!({"name": "the route", "uri": "/known/:first/:last", "service_id": "s1",
        "enable_websocket": true, "upstream": {"nodes": {format!("node.test:{port}"): 1}}});
    let gateway = Setup::new()
        .put("services/s1", &json!({"name": "the service"}))
        .put("routes/r1", &route)
        .with(|setup| {
            setup.router = Mode::UriWithParameter;
            setup.hosts = "127.0.0.1 node.test\n".into();
            setup.log_format = format;
            setup.options.listen_proxy_protocol = vec![([127, 0, 0, 1], 0).into()];
        })
        .start();
    let mut client = gateway.proxied_client();
    client.send("PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n");
    let answer = client.ask(
        "POST /known/%61/b%20c?a=x%20y&b HTTP/1.1\r\nHost: A.test:81\r\nCookie: c=1; c=2\r\n\
         Authorization: Basic am9lOng=\r\nX-Real-IP: 9.9.9.9:7\r\nX-Forwarded-For: 1.2.3.4\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: x.test\r\nX-Forwarded-Port: 443\r\n\
         Forwarded: for=1.2.3.4\r\nX-Many: one\r\nX-Many: two\r\nConnection: keep-alive\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nk=v&k=w",
    );
    assert_eq!(answer.status(), 201);
    let line = gateway.log_line();
    let values: Vec<&str> = line.split('|').collect();
    assert_eq!(values.len(), asked.len() + 1, "{line}");
    let at_port = gateway.proxied_address().port().to_string();
    let (node, node_port) = (origin.node(), port.to_string());
    let sent = origin.bytes()[0].len().to_string();
    let received = response.len().to_string();
    for ((_, name, logged), value) in asked.iter().zip(values) {
        let is_seconds = || {
            let parts = value.split_once('.');
            parts.is_some_and(|(whole, millis)| {
                millis.len() == 3 && whole.parse::<u64>().is_ok() && millis.parse::<u64>().is_ok()
            })
        };
        match logged {
            Text(expected) => {
                let expected = expected
                    .replace("{port}", &at_port)
                    .replace("{node}", &node)
                    .replace("{node_port}", &node_port)
                    .replace("{sent}", &sent)
                    .replace("{received}", &received);
                assert_eq!(value, expected, "{name}");
            }
            Number => assert!(value.parse::<u64>().is_ok(), "{name} is {value:?}"),
            Seconds => assert!(is_seconds(), "{name} is {value:?}"),
            Holds(holds) => assert!(holds(value), "{name} is {value:?}"),
            Idle(expected, _) => assert_eq!(value, *expected, "{name}"),
            Elsewhere => {}
        }
    }
}

/// For routes and plugins some variables have another value than in the log.
#[test]
fn routes_see_arguments_decoded_and_forwarding_fields_as_they_go_on() {
    let origin = Origin::saying("ok");
    let conditions = json!([
        ["uri", "==", "/a b"],
        ["request_uri", "==", "/a b?A=1&a=x%20y&t&e="],
        ["real_request_uri", "==", "/%61%20b?A=1&a=x%20y&t&e="],
        ["arg_a", "==", "x y"],
        ["arg_A", "==", 1],
        ["arg_t", "~=", ""],
        ["arg_t", "~=", "true"],
        ["arg_e", "==", ""],
        ["arg_none", "==", null],
        ["cookie_c", "==", "2"],
        ["cookie_C", "==", null],
        ["http_x_forwarded_proto", "==", "http"],
        ["http_x_forwarded_host", "==", "A.test:81"],
        ["http_x_forwarded_port", "==", "81"],
        ["http_x_forwarded_for", "==", "1.2.3.4"],
        ["http_forwarded", "==", null],
        ["http_custom_field", "==", "1, 2"],
        ["original_x_forwarded_proto", "==", "https"],
        ["original_forwarded", "==", "for=1.2.3.4"],
        ["request_body", "==", null],
        ["status", "==", null],
        ["upstream_addr", "==", null],
        ["route_id", "==", null],
    ]);
    let request = "GET /%61%20b?A=1&a=x%20y&t&e= HTTP/1.1\r\nHost: A.test:81\r\nCookie: c=1; c=2\r\n\
        X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: x.test\r\n\
        X-Forwarded-Port: 443\r\nForwarded: for=1.2.3.4\r\n\
        X_Forwarded_For: 5.6.7.8\r\ncustom_field: 1\r\nCustom-Field: 2\r\n\r\n";
    let gateway = Setup::new().start();
    for condition in conditions.as_array().expect("a list") {
        let route = json!({"uri": "/*", "vars": [condition],
            "upstream": {"nodes": {origin.node(): 1}}});
        gateway.put("routes/1", &route);
        assert_eq!(gateway.ask(request).status(), 200, "{condition}");
    }
    let trusted = Setup::new()
        .with(|setup| {
            setup.options.trusted_addresses = vec!["127.0.0.0/8".parse().expect("a network")];
        })
        .start();
    let untrusted = Setup::new()
        .with(|setup| {
            setup.options.trusted_addresses = vec!["10.0.0.0/8".parse().expect("a network")];
        })
        .start();
    for (gateway, condition) in [
        (&trusted, json!(["http_x_forwarded_proto", "==", "https"])),
        (&trusted, json!(["http_x_forwarded_host", "==", "x.test"])),
        (&trusted, json!(["http_x_forwarded_port", "==", "443"])),
        (&trusted, json!(["http_forwarded", "==", "for=1.2.3.4"])),
        (&trusted, json!(["http_x_forwarded_for", "==", "1.2.3.4"])),
        (&untrusted, json!(["http_x_forwarded_for", "==", null])),
        (&untrusted, json!(["http_x_forwarded_proto", "==", "http"])),
        (
            &untrusted,
            json!(["original_x_forwarded_for", "==", "1.2.3.4"]),
        ),
    ] {
        let route = json!({"uri": "/*", "vars": [condition],
            "upstream": {"nodes": {origin.node(): 1}}});
        gateway.put("routes/1", &route);
        assert_eq!(gateway.ask(request).status(), 200, "{condition}");
    }
}

const BEGIN: &str =
    "<!-- The table below is written by `UPDATE=1 cargo test -p lockgate-proxy`. -->\n";

/// The page has the table of all names.
#[test]
fn the_page_lists_every_variable() {
    let mut names = Variable::TABLE.to_vec();
    names.sort_unstable();
    let rows: Vec<String> = names
        .iter()
        .map(|(name, meaning)| {
            let row = EXPECTED.iter().find(|(known, ..)| known == name);
            let idle = match row.map(|(.., logged)| logged) {
                Some(Idle(value, reason)) if ["", "-"].contains(value) => {
                    format!("empty: {reason}")
                }
                Some(Idle(value, reason)) => format!("always `{value}`: {reason}"),
                _ => String::new(),
            };
            format!("| `{name}` | {} | {idle} |\n", meaning.trim())
        })
        .collect();
    let table = format!(
        "{BEGIN}\n| variable | value | today |\n|---|---|---|\n{}",
        rows.concat()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/variables.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (head, _) = page.split_once(BEGIN).expect("a table in the page");
    let expected = format!("{head}{table}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, expected).expect("written");
    } else {
        assert!(
            page == expected,
            "docs/variables.md is out of date: UPDATE=1 writes it"
        );
    }
}
