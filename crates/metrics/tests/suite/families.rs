//! What may be declared, and the families of the reference.

use lockgate_metrics::{Buckets, Declaration, DeclareError, Kind, Registry, apisix};

use crate::read::text_of;

/// HELP and TYPE lines as the reference's 3.18 writes them, recorded from a running one but for those of `SOURCE`.
const RECORDED: &[&str] = &[
    "# HELP apisix_bandwidth Total bandwidth in bytes consumed per service in APISIX\n# TYPE apisix_bandwidth counter",
    "# HELP apisix_etcd_modify_indexes Etcd modify index for APISIX keys\n# TYPE apisix_etcd_modify_indexes gauge",
    "# HELP apisix_etcd_reachable Config server etcd reachable from APISIX, 0 is unreachable\n# TYPE apisix_etcd_reachable gauge",
    "# HELP apisix_http_latency HTTP request latency in milliseconds per service in APISIX\n# TYPE apisix_http_latency histogram",
    "# HELP apisix_http_requests_total The total number of client requests since APISIX started\n# TYPE apisix_http_requests_total gauge",
    "# HELP apisix_http_status HTTP status codes per service in APISIX\n# TYPE apisix_http_status counter",
    "# HELP apisix_nginx_http_current_connections Number of HTTP connections\n# TYPE apisix_nginx_http_current_connections gauge",
    "# HELP apisix_nginx_metric_errors_total Number of nginx-lua-prometheus errors\n# TYPE apisix_nginx_metric_errors_total counter",
    "# HELP apisix_node_info Info of APISIX node\n# TYPE apisix_node_info gauge",
    "# HELP apisix_shared_dict_capacity_bytes The capacity of each nginx shared DICT since APISIX start\n# TYPE apisix_shared_dict_capacity_bytes gauge",
    "# HELP apisix_shared_dict_free_space_bytes The free space of each nginx shared DICT since APISIX start\n# TYPE apisix_shared_dict_free_space_bytes gauge",
];

/// The rest, in the order in which it is written.
const SOURCE: &[&str] = &[
    "ai_cache_bypasses_total counter",
    "ai_cache_embedding_latency histogram",
    "ai_cache_hits_total counter",
    "ai_cache_misses_total counter",
    "batch_process_entries gauge",
    "llm_active_connections gauge",
    "llm_completion_tokens_dist histogram",
    "llm_completion_tokens counter",
    "llm_latency histogram",
    "llm_prompt_tokens_dist histogram",
    "llm_prompt_tokens counter",
    "redis_commands_latency_seconds histogram",
    "redis_commands_total counter",
    "stream_active_connections gauge",
    "stream_bandwidth counter",
    "stream_connection_total counter",
    "stream_status counter",
    "upstream_status gauge",
];

/// A registry in which each family of the reference has one series.
fn full_registry() -> std::sync::Arc<Registry> {
    let registry = Registry::new("apisix_");
    let mut recorder = registry.recorder();
    let mut recording = recorder.at(0);
    for known in apisix::ALL {
        let declaration = known.declaration();
        let labels = vec!["x"; known.labels.len()];
        let is_declared = "each family is declared once";
        match known.kind {
            Kind::Counter => {
                let family = registry.counter(&declaration).expect(is_declared);
                recording.counter(&family, &labels);
            }
            Kind::FloatCounter => {
                let family = registry.float_counter(&declaration).expect(is_declared);
                recording.float_counter(&family, &labels);
            }
            Kind::Gauge => {
                let family = registry.gauge(&declaration).expect(is_declared);
                recording.gauge(&family, &labels);
            }
            Kind::Histogram => {
                let buckets = known.default_buckets();
                let family = registry.histogram(&declaration, &buckets);
                recording.histogram(&family.expect(is_declared), &labels);
            }
        }
    }
    registry
}

#[test]
fn families_of_the_reference_say_what_they_say_there() {
    let text = text_of(full_registry().scrape(0));
    for lines in RECORDED {
        assert!(text.contains(&format!("{lines}\n")), "{lines}");
    }
    let recorded = |line: &&str| RECORDED.iter().any(|lines| lines.ends_with(*line));
    let others: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE") && !recorded(line))
        .map(|line| line.replacen("# TYPE apisix_", "", 1))
        .collect();
    assert_eq!(others, SOURCE);
    assert_eq!(apisix::ALL.len(), RECORDED.len() + SOURCE.len());
}

#[test]
fn buckets_of_the_reference_are_written_as_there() {
    let text = text_of(full_registry().scrape(0));
    for (name, expected) in [
        (
            "http_latency",
            "1 2 5 10 20 50 100 200 500 1000 2000 5000 10000 30000 60000 +Inf",
        ),
        (
            "llm_prompt_tokens_dist",
            "1 10 50 100 200 500 1000 2000 5000 10000 20000 50000 100000 200000 500000 1000000 +Inf",
        ),
        (
            "redis_commands_latency_seconds",
            "0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 +Inf",
        ),
    ] {
        let bounds: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(&format!("apisix_{name}_bucket{{")))
            .filter_map(|line| line.split_once("le=\"")?.1.split_once('"'))
            .map(|(bound, _)| bound)
            .collect();
        assert_eq!(bounds.join(" "), expected, "{name}");
    }
}

#[test]
fn buckets_are_put_in_order() {
    let [out_of_order, in_order] = [
        Buckets::new([5.0, 1.0, f64::INFINITY, 5.0, f64::NAN]),
        Buckets::new([1.0, 5.0]),
    ];
    assert_eq!(out_of_order, in_order);
}

#[test]
fn names_that_prometheus_would_not_take_are_refused() {
    let label = |metric: &str, label: &str| DeclareError::Label {
        metric: metric.into(),
        label: label.into(),
    };
    for (prefix, name, labels, expected) in [
        ("", "a_b:c9", &["_x9"][..], None),
        ("", "9a", &[], Some(DeclareError::Name("9a".into()))),
        ("", "", &[], Some(DeclareError::Name(String::new()))),
        ("a-", "b", &[], Some(DeclareError::Name("a-b".into()))),
        ("x_", "a", &["le"], Some(label("x_a", "le"))),
        ("", "a", &["b", "c-d"], Some(label("a", "c-d"))),
        ("", "a", &["b:c"], Some(label("a", "b:c"))),
        ("", "a", &[""], Some(label("a", ""))),
        (
            "",
            "a",
            &["b", "c", "b"],
            Some(DeclareError::LabelTwice {
                metric: "a".into(),
                label: "b".into(),
            }),
        ),
    ] {
        let found = Registry::new(prefix).counter(&Declaration::new(name, "h", labels));
        assert_eq!(found.err(), expected, "{prefix}{name} {labels:?}");
    }
}

#[test]
fn a_name_has_one_meaning() {
    let registry = Registry::new("");
    let plain = |name| Declaration::new(name, "h", &["a"]);
    let taken = |name: &str| Some(DeclareError::Taken(name.into()));
    assert_eq!(registry.counter(&plain("x")).err(), None);
    assert_eq!(registry.gauge(&plain("x")).err(), taken("x"));
    assert_eq!(registry.float_counter(&plain("x")).err(), taken("x"));
    let other = plain("x").extra_labels(["b".to_owned()]);
    assert_eq!(registry.counter(&other).err(), taken("x"));
    let buckets = Buckets::new([1.0]);
    assert_eq!(registry.histogram(&plain("h"), &buckets).err(), None);
    let wider = Buckets::new([1.0, 2.0]);
    assert_eq!(registry.histogram(&plain("h"), &wider).err(), taken("h"));
    assert_eq!(registry.counter(&plain("h_sum")).err(), taken("h_sum"));
    assert_eq!(registry.counter(&plain("y_count")).err(), None);
    assert_eq!(registry.histogram(&plain("y"), &buckets).err(), taken("y"));
}

#[test]
fn what_is_declared_again_goes_on_counting() {
    let registry = Registry::new("");
    let mut recorder = registry.recorder();
    for total in [1, 2] {
        let family = registry.counter(&Declaration::new("x", "h", &[])).unwrap();
        let mut recording = recorder.at(0);
        let series = recording.counter::<&str>(&family, &[]);
        recording.add(&series, 1);
        let text = text_of(registry.scrape(0));
        assert!(text.ends_with(&format!("\nx {total}\n")), "{text}");
    }
}
