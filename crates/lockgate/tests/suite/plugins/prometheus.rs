//! `prometheus`, on its own port and through `public-api`.

use std::net::{SocketAddr, TcpListener};

use lockgate_testkit::{Exposition, Origin};
use serde_json::json;

use crate::{
    gateway::Gateway,
    support::{exchange, free_ports, get},
};

const PATH: &str = "/apisix/prometheus/metrics";

/// A gateway whose metrics have a port.
fn start() -> (Gateway, SocketAddr) {
    let [port] = free_ports();
    let options =
        format!("plugin_attr: {{prometheus: {{export_addr: {{ip: 127.0.0.1, port: {port}}}}}}}\n");
    (Gateway::start(&options), ([127, 0, 0, 1], port).into())
}

fn read(address: SocketAddr, path: &str) -> Exposition {
    let answer = get(address, path);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let kind = "content-type: text/plain; charset=utf-8";
    assert!(head.to_ascii_lowercase().contains(kind), "{head}");
    let text = if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        unchunked(body)
    } else {
        body.to_owned()
    };
    Exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        text.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    text
}

#[test]
fn the_gateways_own_metrics_need_no_plugin() {
    let (gateway, metrics) = start();
    let origin = Origin::saying("hello");
    let node = origin.node();
    gateway.put(&json!({"uri": "/hello", "upstream": {"nodes": {node: 1}}}).to_string());
    let before = read(metrics, PATH).sum("apisix_http_requests_total", &[]);
    for _ in 0..3 {
        get(gateway.proxy, "/hello");
    }
    let found = read(metrics, PATH);
    let requests = found.sum("apisix_http_requests_total", &[]);
    assert_eq!(requests, before.map(|before| before + 3.0));
    let accepted = [("state", "accepted")];
    let accepted = found.sum("apisix_nginx_http_current_connections", &accepted);
    assert_eq!(accepted, requests);
    assert_eq!(found.sum("apisix_etcd_reachable", &[]), Some(1.0));
    let routes = found.sum("apisix_etcd_modify_indexes", &[("key", "routes")]);
    assert!(routes.is_some_and(|revision| revision >= 2.0), "{routes:?}");
    for key in ["max_modify_index", "x_etcd_index"] {
        let of = found.sum("apisix_etcd_modify_indexes", &[("key", key)]);
        assert!(of >= routes, "{key}: {of:?}");
    }
    assert_eq!(
        found.sum("apisix_node_info", &[("version", "3.18.0")]),
        Some(1.0)
    );
    assert!(!found.families.contains_key("apisix_http_status"));
    for (method, path, status) in [("GET", "/", 404), ("POST", PATH, 404), ("GET", PATH, 200)] {
        let answer = exchange(
            metrics,
            &format!(
                "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            ),
        );
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}

#[test]
fn requests_are_counted_by_the_rule_and_by_routes_that_say_otherwise() {
    let (mut gateway, metrics) = start();
    let origin = Origin::saying("hello");
    let node = origin.node();
    let rule = json!({"plugins": {"prometheus": {}}}).to_string();
    let made = gateway.admin("PUT", "global_rules/1", &rule);
    assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    let route = json!({
        "name": "home", "uri": "/hello", "plugins": {"prometheus": {"prefer_name": true}},
        "upstream": {"nodes": {node: 1}},
    });
    gateway.put(&route.to_string());
    for (path, count) in [("/hello", 3), ("/none", 2)] {
        for _ in 0..count {
            get(gateway.proxy, path);
        }
    }
    let check = |more: f64| {
        let found = read(metrics, PATH);
        for (route, code, source, count) in [
            ("home", "200", "upstream", Some(3.0 + more)),
            ("1", "200", "upstream", None),
            ("", "404", "apisix", Some(2.0)),
        ] {
            let labels = [
                ("route", route),
                ("code", code),
                ("response_source", source),
            ];
            let status = found.sum("apisix_http_status", &labels);
            // Requests for a route that was not there yet are 404 as well.
            let is_it = status == count || code == "404" && status > count;
            assert!(is_it, "{route}: {status:?}");
        }
        let home = [
            ("route", "home"),
            ("type", "request"),
            ("node", "127.0.0.1"),
        ];
        let timed = found.sum("apisix_http_latency_count", &home);
        assert_eq!(timed, Some(3.0 + more));
        let sent = found.sum("apisix_bandwidth", &[("route", "home"), ("type", "egress")]);
        assert!(sent > Some(0.0));
        found.sum("apisix_http_requests_total", &[])
    };
    let before = check(0.0);
    // What was counted stays over a reload.
    assert!(gateway.reload(&gateway.file()), "{}", gateway.process.said);
    get(gateway.proxy, "/hello");
    let after = check(1.0);
    assert_eq!(after, before.map(|before| before + 1.0));
}

#[test]
fn public_api_shows_metrics_that_have_no_port() {
    let gateway = Gateway::start("plugin_attr: {prometheus: {enable_export_server: false}}\n");
    let route = json!({"uri": "/metrics", "plugins": {"public-api": {"uri": PATH}}});
    gateway.put(&route.to_string());
    let found = read(gateway.proxy, "/metrics");
    assert_eq!(found.sum("apisix_node_info", &[]), Some(1.0));
    assert!(found.sum("apisix_http_requests_total", &[]) >= Some(1.0));
}

#[test]
fn a_port_that_was_asked_for_is_not_given_up() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let prefix = tempfile::tempdir().expect("directory");
    let [proxy, admin, control] = free_ports();
    let options = format!("plugin_attr: {{prometheus: {{export_addr: {{port: {port}}}}}}}\n");
    let file = crate::gateway::config([proxy, admin, control], crate::gateway::KEY, &options);
    crate::support::write(prefix.path(), "conf/config.yaml", &file);
    let output = crate::support::output(["-p".as_ref(), prefix.path().as_os_str()]);
    let said = crate::support::text(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("(plugin_attr.prometheus.export_addr): another process listens there"),
        "{said}"
    );
}
