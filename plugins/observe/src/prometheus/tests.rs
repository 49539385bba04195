use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lockgate_plugin::{
    Descriptor, NodeOptions, Timing,
    testing::{self, Kit, Request},
};
use lockgate_testkit::Exposition;
use serde_json::{Value, json};

use super::{Metrics, Prometheus};
use crate::public_api::PublicApi;

fn read(kit: &Kit) -> Exposition {
    let metrics = Metrics::of(&kit.node);
    let pieces = kit.node.runtime().block_on(metrics.text());
    let text = String::from_utf8(pieces.flatten().collect()).expect("UTF-8");
    Exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// A request that an upstream has answered.
fn answered() -> Request {
    // By the clock of scrapes, as series that have expired are not shown.
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut request = Request::get("/hello")
        .at(now.expect("after 1970"))
        .variable("balancer_ip", "127.0.0.1")
        .header("X-Tenant", "a");
    request.timing = Timing {
        total: Duration::from_micros(3500),
        upstream: Some(Duration::from_millis(3)),
        received: 83,
        sent: 396,
        body_sent: 10,
    };
    request.respond(200, &[]);
    request
}

fn log(kit: &Kit, config: &Value, requests: impl IntoIterator<Item = Request>) {
    let plugin = kit.plugin::<Prometheus>(config).expect("a configuration");
    for mut request in requests {
        plugin.log(&mut request);
    }
}

/// The one series of a family, but for the value of `type`.
fn labels(exposition: &Exposition, family: &str) -> Vec<Vec<(String, String)>> {
    let family = &exposition.families[family];
    let mut all: Vec<Vec<_>> = family
        .samples
        .keys()
        .map(|(_, labels)| {
            let labels = labels.clone().into_iter();
            labels
                .filter(|(name, _)| !["le", "type"].contains(&name.as_str()))
                .collect()
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn counts_status_latencies_and_bytes_of_requests() {
    let kit = Kit::new();
    log(&kit, &json!({}), [answered(), answered()]);
    let found = read(&kit);
    let status = [
        ("code", "200"),
        ("route", "1"),
        ("matched_uri", "/*"),
        ("matched_host", ""),
        ("service", ""),
        ("consumer", ""),
        ("node", "127.0.0.1"),
        ("request_type", "traditional_http"),
        ("request_llm_model", ""),
        ("llm_model", ""),
        ("response_source", "upstream"),
    ];
    assert_eq!(found.sum("apisix_http_status", &status), Some(2.0));
    for (kind, sum) in [("request", 7.0), ("upstream", 6.0), ("apisix", 1.0)] {
        let labels = [("type", kind), ("route", "1"), ("node", "127.0.0.1")];
        let count = found.sum("apisix_http_latency_count", &labels);
        assert_eq!(count, Some(2.0), "{kind}");
        let total = found
            .sum("apisix_http_latency_sum", &labels)
            .expect("a sum");
        assert!((total - sum).abs() < 1e-9, "{kind}: {total}");
    }
    for (kind, bytes) in [("ingress", 166.0), ("egress", 792.0)] {
        let labels = [("type", kind), ("route", "1")];
        assert_eq!(found.sum("apisix_bandwidth", &labels), Some(bytes));
    }
    for (name, kind) in [
        ("apisix_http_status", "counter"),
        ("apisix_http_latency", "histogram"),
        ("apisix_bandwidth", "counter"),
    ] {
        assert_eq!(found.families[name].kind, kind);
    }
}

#[test]
fn tells_who_answered() {
    let kit = Kit::new();
    let mut nobody = Request::get("/").variable("status", "404");
    nobody.route = None;
    let mut refused = Request::get("/").variable("status", "502");
    refused.timing.upstream = Some(Duration::from_millis(1));
    log(&kit, &json!({}), [answered(), nobody, refused]);
    let found = read(&kit);
    for (code, source, route, uri) in [
        ("200", "upstream", "1", "/*"),
        ("404", "apisix", "", ""),
        ("502", "nginx", "1", "/*"),
    ] {
        let labels = [
            ("code", code),
            ("response_source", source),
            ("route", route),
            ("matched_uri", uri),
        ];
        assert_eq!(
            found.sum("apisix_http_status", &labels),
            Some(1.0),
            "{code}"
        );
    }
    // Who was not asked took no time.
    let upstream = [("type", "upstream"), ("route", "")];
    assert_eq!(found.sum("apisix_http_latency_count", &upstream), None);
}

#[test]
fn names_stand_in_for_ids_where_that_is_preferred() {
    let named = |route: Option<&str>| {
        let mut request = answered().by(testing::consumer("jack"));
        request.route_name = route.map(Into::into);
        request.service = Some(("5".into(), "orders".into()));
        request
    };
    for (config, request, route, service) in [
        (json!({}), named(Some("home")), "1", "5"),
        (
            json!({"prefer_name": true}),
            named(Some("home")),
            "home",
            "orders",
        ),
        (json!({"prefer_name": true}), named(None), "1", "orders"),
        (json!({"prefer_name": true}), answered(), "1", ""),
    ] {
        let kit = Kit::new();
        log(&kit, &config, [request]);
        let labels = [("route", route), ("service", service)];
        let found = read(&kit);
        assert_eq!(
            found.sum("apisix_http_status", &labels),
            Some(1.0),
            "{config}"
        );
        assert!(found.sum("apisix_bandwidth", &labels).is_some(), "{config}");
    }
}

#[test]
fn users_add_labels_and_switch_them_off() {
    let attributes = json!({
        "metric_prefix": "mine_",
        "default_buckets": [5, 1],
        "metrics": {
            "http_status": {"extra_labels": [{"tenant": "$http_x_tenant"}, {"none": "$http_none"}]},
            "bandwidth": {"extra_labels": [{"path": "$uri"}], "expire": 600},
        },
    });
    let kit = Kit::new().attributes("prometheus", attributes);
    let disabled = json!({"disabled_labels": {"http_status": ["node"], "http_latency": ["route"]}});
    log(&kit, &json!({}), [answered()]);
    kit.metadata::<Prometheus>(&disabled).expect("metadata");
    log(&kit, &json!({}), [answered()]);
    let found = read(&kit);
    for node in ["127.0.0.1", ""] {
        let labels = [("tenant", "a"), ("none", ""), ("node", node)];
        assert_eq!(found.sum("mine_http_status", &labels), Some(1.0), "{node}");
    }
    assert_eq!(
        found.sum("mine_bandwidth", &[("path", "/hello"), ("type", "egress")]),
        Some(792.0)
    );
    let by_route = |route| {
        found.sum(
            "mine_http_latency_count",
            &[("route", route), ("type", "request")],
        )
    };
    assert_eq!((by_route("1"), by_route("")), (Some(1.0), Some(1.0)));
    let bounds = ["1", "5", "+Inf"].map(|le| {
        let labels = [("le", le), ("route", "1"), ("type", "request")];
        found.sum("mine_http_latency_bucket", &labels)
    });
    assert_eq!(bounds, [Some(0.0), Some(1.0), Some(1.0)]);
    assert_eq!(labels(&found, "mine_bandwidth").len(), 1);
}

#[test]
fn options_that_are_none_harm_nothing() {
    for attributes in [
        json!({"metrics": {"http_status": {"extra_labels": [{"no name": "$uri"}]}}}),
        json!({"metric_prefix": "1 "}),
        json!({"default_buckets": "many"}),
    ] {
        let kit = Kit::new().attributes("prometheus", attributes);
        log(&kit, &json!({}), [answered()]);
        assert_eq!(read(&kit).sum("apisix_http_status", &[]), Some(1.0));
    }
}

#[test]
fn what_is_counted_elsewhere_is_there_from_the_start() {
    let kit = Kit::new();
    let found = read(&kit);
    let node = [("hostname", "host"), ("version", "3.18.0")];
    assert_eq!(found.sum("apisix_node_info", &node), Some(1.0));
    assert_eq!(
        found.sum("apisix_nginx_metric_errors_total", &[]),
        Some(0.0)
    );
    let dictionary = [("name", "prometheus-metrics")];
    for name in ["capacity_bytes", "free_space_bytes"] {
        let name = format!("apisix_shared_dict_{name}");
        assert_eq!(found.sum(&name, &dictionary), Some(134_217_728.0));
    }
    assert!(!found.families.contains_key("apisix_http_status"));
}

/// Options for a reload: another number of workers, another `plugin_attr`.
fn options(kit: &Kit, workers: usize, attributes: Value) -> NodeOptions {
    let mut options = NodeOptions::clone(&kit.node.options());
    options.workers = workers;
    options
        .attributes
        .insert("prometheus".to_owned(), attributes);
    options
}

#[test]
fn other_options_begin_anew_and_other_numbers_of_workers_do_not() {
    let mut kit = Kit::new();
    log(&kit, &json!({}), [answered()]);
    let next = kit.node.renewed(options(&kit, 3, json!({})));
    // It is there until the next one serves.
    let _before = std::mem::replace(&mut kit.node, next);
    log(&kit, &json!({}), [answered()]);
    assert_eq!(read(&kit).sum("apisix_http_status", &[]), Some(2.0));
    for attributes in [
        json!({"metric_prefix": "x_"}),
        json!({"metric_prefix": "x_", "metrics": {"http_status": {"expire": 60}}}),
        json!({"metric_prefix": "x_", "default_buckets": [1, 2]}),
    ] {
        let next = kit.node.renewed(options(&kit, 3, attributes));
        let _before = std::mem::replace(&mut kit.node, next);
        log(&kit, &json!({}), [answered()]);
        assert_eq!(read(&kit).sum("x_http_status", &[]), Some(1.0));
    }
    let buckets = labels_of_buckets(&read(&kit));
    assert_eq!(buckets, ["+Inf", "1", "2"]);
}

/// The bounds of latencies.
fn labels_of_buckets(exposition: &Exposition) -> Vec<String> {
    let family = &exposition.families["x_http_latency"];
    let labels = family.samples.keys().flat_map(|(_, labels)| labels.clone());
    let mut bounds: Vec<_> = labels
        .filter(|(name, _)| name == "le")
        .map(|(_, bound)| bound)
        .collect();
    bounds.sort();
    bounds.dedup();
    bounds
}

#[test]
fn a_configuration_keeps_its_metrics_while_another_comes_or_fails_to() {
    let mut kit = Kit::new();
    let status = |kit: &Kit, prefix: &str| {
        log(kit, &json!({}), [answered()]);
        read(kit).sum(&format!("{prefix}http_status"), &[])
    };
    assert_eq!(status(&kit, "apisix_"), Some(1.0));
    let collected = Metrics::of(&kit.node);
    let next = kit
        .node
        .renewed(options(&kit, 1, json!({"metric_prefix": "x_"})));
    let serving = std::mem::replace(&mut kit.node, next);
    assert_eq!(status(&kit, "x_"), Some(1.0));
    // The old one serves on, and compiles what is edited meanwhile; so does the new one.
    let next = std::mem::replace(&mut kit.node, serving.clone());
    assert_eq!(status(&kit, "apisix_"), Some(2.0));
    kit.node = next;
    assert_eq!(status(&kit, "x_"), Some(2.0));
    // It comes to nothing; the next has the options of the one that serves, but for where metrics are shown.
    kit.node = serving;
    assert!(Arc::ptr_eq(&collected, &Metrics::of(&kit.node)));
    kit.node = kit
        .node
        .renewed(options(&kit, 1, json!({"export_uri": "/m"})));
    assert_eq!(status(&kit, "apisix_"), Some(3.0));
}

#[test]
fn is_shown_through_public_api_where_it_has_no_port_of_its_own() {
    for (attributes, path, status) in [
        (
            json!({"enable_export_server": false}),
            "/apisix/prometheus/metrics",
            200,
        ),
        (
            json!({"enable_export_server": false, "export_uri": "/m"}),
            "/m",
            200,
        ),
        (
            json!({"enable_export_server": false, "export_uri": "/m"}),
            "/apisix/prometheus/metrics",
            404,
        ),
        (
            json!({"enable_export_server": true}),
            "/apisix/prometheus/metrics",
            404,
        ),
        (json!({}), "/apisix/prometheus/metrics", 404),
    ] {
        let kit = Kit::new().attributes("prometheus", attributes.clone());
        kit.node.serve([&Descriptor::of::<Prometheus>()]);
        let plugin = kit
            .plugin::<PublicApi>(&json!({}))
            .expect("a configuration");
        let reply = plugin.access(&mut Request::get(path)).expect("an answer");
        assert_eq!(reply.status, status, "{attributes} {path}");
        if status == 200 {
            let kind = reply.headers.get(b"content-type").map(<[u8]>::to_vec);
            assert_eq!(kind.as_deref(), Some(&b"text/plain; charset=utf-8"[..]));
            let text = reply.text();
            let found = Exposition::parse(&text).expect("the format");
            assert_eq!(found.sum("apisix_node_info", &[]), Some(1.0));
        }
    }
}

#[test]
fn texts_are_made_as_they_are_taken_whoever_else_takes_none() {
    let kit = Kit::new();
    let routes = (0..1000).map(|number| {
        let mut request = answered();
        request.route = Some(number.to_string());
        request
    });
    log(&kit, &json!({}), routes);
    let metrics = Metrics::of(&kit.node);
    let begin = || kit.node.runtime().block_on(metrics.text());
    let (mut stuck, other) = (begin(), begin());
    let first = stuck.next().expect("a piece");
    let other: Vec<_> = other.collect();
    assert!(other.len() > 8, "{} pieces", other.len());
    assert!(first.len() <= 64 << 10, "{} bytes", first.len());
    assert!(other.concat().starts_with(&first));
}
