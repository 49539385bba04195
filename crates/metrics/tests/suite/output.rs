//! The text: order, numbers, chunks, collectors.

use std::sync::Arc;

use lockgate_metrics::{
    Buckets, Collector, Counter, Declaration, Gauge, Registry, Samples, apisix,
};
use lockgate_testkit::Exposition;
use proptest::prelude::*;

use crate::read::{read, text_of};

#[test]
fn a_request_is_written_as_the_reference_writes_it() {
    let registry = Registry::new("apisix_");
    let status = registry
        .counter(&apisix::HTTP_STATUS.declaration())
        .unwrap();
    let latency = registry
        .histogram(
            &apisix::HTTP_LATENCY.declaration(),
            &Buckets::new([1.0, 5.0]),
        )
        .unwrap();
    let bandwidth = registry.counter(&apisix::BANDWIDTH.declaration()).unwrap();
    let mut recorder = registry.recorder();
    let mut recording = recorder.at(0);
    let http = "traditional_http";
    let labels = [
        "404",
        "1",
        "/hello",
        "",
        "",
        "",
        "127.0.0.1",
        http,
        "",
        "",
        "upstream",
    ];
    let series = recording.counter(&status, &labels);
    recording.add(&series, 3);
    let by_type = |name| [name, "1", "", "", "127.0.0.1", http, "", ""];
    for (name, values) in [
        ("upstream", &[1.0, 1.0, 2.0][..]),
        ("apisix", &[2.098_083_496_093_8e-5]),
    ] {
        let series = recording.histogram(&latency, &by_type(name));
        for value in values {
            recording.observe(&series, *value);
        }
    }
    for (name, bytes) in [("ingress", 249), ("egress", 1188)] {
        let series = recording.counter(&bandwidth, &by_type(name));
        recording.add(&series, bytes);
    }
    let expected = r#"# HELP apisix_bandwidth Total bandwidth in bytes consumed per service in APISIX
# TYPE apisix_bandwidth counter
apisix_bandwidth{type="egress",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model=""} 1188
apisix_bandwidth{type="ingress",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model=""} 249
# HELP apisix_http_latency HTTP request latency in milliseconds per service in APISIX
# TYPE apisix_http_latency histogram
apisix_http_latency_bucket{type="apisix",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",le="1"} 1
apisix_http_latency_bucket{type="apisix",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",le="5"} 1
apisix_http_latency_bucket{type="apisix",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",le="+Inf"} 1
apisix_http_latency_bucket{type="upstream",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",le="1"} 2
apisix_http_latency_bucket{type="upstream",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",le="5"} 3
apisix_http_latency_bucket{type="upstream",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",le="+Inf"} 3
apisix_http_latency_count{type="apisix",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model=""} 1
apisix_http_latency_count{type="upstream",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model=""} 3
apisix_http_latency_sum{type="apisix",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model=""} 2.0980834960938e-05
apisix_http_latency_sum{type="upstream",route="1",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model=""} 4
# HELP apisix_http_status HTTP status codes per service in APISIX
# TYPE apisix_http_status counter
apisix_http_status{code="404",route="1",matched_uri="/hello",matched_host="",service="",consumer="",node="127.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",response_source="upstream"} 3
"#;
    assert_eq!(text_of(registry.scrape(0)), expected);
}

#[test]
fn observations_count_in_the_bucket_whose_bound_they_do_not_exceed() {
    let registry = Registry::new("");
    let declaration = Declaration::new("h", "x", &[]);
    let family = registry
        .histogram(&declaration, &Buckets::new([1.0, 2.0]))
        .unwrap();
    let mut recorder = registry.recorder();
    let mut recording = recorder.at(0);
    let series = recording.histogram::<&str>(&family, &[]);
    for value in [-1.0, 1.0, 1.000_001, 2.0, 3.0, f64::NAN, 1e300] {
        recording.observe(&series, value);
    }
    assert_eq!(
        text_of(registry.scrape(0)),
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 4\nh_bucket{le=\"+Inf\"} 6\nh_count 6\nh_sum 1e+300\n"
    );
}

#[test]
fn kinds_other_than_histograms_take_what_they_may() {
    let registry = Registry::new("");
    let declared = |name| Declaration::new(name, "with \\ and\nanother line", &[]);
    let counter = registry.counter(&declared("c")).unwrap();
    let floats = registry.float_counter(&declared("f")).unwrap();
    let gauge = registry.gauge(&declared("g")).unwrap();
    let mut recorders = [registry.recorder(), registry.recorder()];
    for recorder in &mut recorders {
        let mut recording = recorder.at(0);
        let series = recording.counter::<&str>(&counter, &[]);
        recording.add(&series, 1 << 60);
        let series = recording.float_counter::<&str>(&floats, &[]);
        for by in [0.25, -1.0, f64::NAN] {
            recording.add_float(&series, by);
        }
        let series = recording.gauge::<&str>(&gauge, &[]);
        recording.set(&series, 7.0);
        recording.change(&series, -9.5);
    }
    assert_eq!(
        text_of(registry.scrape(0)),
        "# HELP c with \\\\ and\\nanother line\n# TYPE c counter\nc 2305843009213693952\n\
         # HELP f with \\\\ and\\nanother line\n# TYPE f counter\nf 0.5\n\
         # HELP g with \\\\ and\\nanother line\n# TYPE g gauge\ng -5\n"
    );
}

#[test]
fn series_are_in_the_order_of_their_text() {
    let registry = Registry::new("");
    let family = registry
        .counter(&Declaration::new("c", "h", &["a"]))
        .unwrap();
    let mut recorder = registry.recorder();
    // The second scrape puts new series between old ones.
    let mut known = Vec::new();
    for values in [&["b", "10", "a"][..], &["1", "a b", "\\", "", "z"]] {
        for value in values {
            recorder.at(0).counter(&family, &[value]);
            known.push(format!("c{{a=\"{}\"}} 0", value.replace('\\', "\\\\")));
        }
        // A quote stands before all digits and letters, but a blank before a quote.
        known.sort();
        let text = text_of(registry.scrape(0));
        let found: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(found, known);
    }
}

#[test]
fn families_are_in_the_order_of_their_samples() {
    let registry = Registry::new("");
    let mut recorder = registry.recorder();
    let mut recording = recorder.at(0);
    for (name, labels) in [("b", &["x"][..]), ("b_c", &["x"]), ("a", &[]), ("a_b", &[])] {
        let family = registry
            .counter(&Declaration::new(name, "h", labels))
            .unwrap();
        recording.counter(&family, &vec![""; labels.len()]);
    }
    let unused = Declaration::new("unused", "h", &[]);
    registry.gauge(&unused).unwrap();
    let text = text_of(registry.scrape(0));
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.strip_suffix(" h"))
        .collect();
    // A brace stands behind all that a name can have.
    assert_eq!(names, ["a", "a_b", "b_c", "b"]);
}

struct Connections {
    states: Gauge,
    bytes: Counter,
    reports: Vec<(&'static str, f64)>,
}

impl Collector for Connections {
    fn collect(&self, samples: &mut Samples) {
        for (state, value) in &self.reports {
            samples.gauge(&self.states, &[state], *value);
        }
        samples.counter(&self.bytes, &[] as &[&str], u64::MAX);
    }
}

fn connections(registry: &Registry, series_max: usize) -> Connections {
    let states = Declaration::new("states", "h", &["state"]).series_max(series_max);
    Connections {
        states: registry.gauge(&states).expect("a new name"),
        bytes: registry
            .counter(&Declaration::new("bytes", "h", &[]))
            .expect("a new name"),
        reports: vec![("b", 1.0), ("d", 2.5), ("b", 3.0)],
    }
}

#[test]
fn collectors_are_asked_as_long_as_their_owners_keep_them() {
    let registry = Registry::new("");
    let collector = connections(&registry, 10);
    let mut recorder = registry.recorder();
    let mut recording = recorder.at(0);
    for (state, value) in [("a", 1.0), ("b", 50.0), ("c", 60.0), ("e", 2.0)] {
        let series = recording.gauge(&collector.states, &[state]);
        recording.set(&series, value);
    }
    let collector: Arc<dyn Collector> = Arc::new(collector);
    registry.register(&collector);
    let text = text_of(registry.scrape(0));
    let samples = |text: &str| -> Vec<String> {
        let is_sample = |line: &&str| !line.starts_with('#');
        text.lines().filter(is_sample).map(str::to_owned).collect()
    };
    assert_eq!(
        samples(&text),
        [
            "bytes 18446744073709551615",
            r#"states{state="a"} 1"#,
            r#"states{state="b"} 3"#,
            r#"states{state="c"} 60"#,
            r#"states{state="d"} 2.5"#,
            r#"states{state="e"} 2"#,
        ]
    );
    drop(collector);
    let text = text_of(registry.scrape(0));
    assert_eq!(samples(&text).len(), 4, "{text}");
}

#[test]
fn collectors_cannot_report_more_than_a_family_takes() {
    let registry = Registry::new("");
    let collector: Arc<dyn Collector> = Arc::new(connections(&registry, 1));
    registry.register(&collector);
    for scrapes in [1.0, 2.0] {
        let found = read(&registry, 0);
        assert_eq!(found.sum("states", &[]), Some(3.0));
        let dropped = "lockgate_metric_updates_dropped_total";
        assert_eq!(found.sum(dropped, &[("metric", "states")]), Some(scrapes));
    }
}

#[test]
fn a_long_text_comes_in_chunks() {
    let registry = Registry::new("");
    let declaration = Declaration::new("h", "x", &["a", "b"]);
    let buckets = Buckets::new((0..100).map(f64::from));
    let family = registry.histogram(&declaration, &buckets).unwrap();
    let mut recorder = registry.recorder();
    // A hundred lines of eight kilobytes for one series: more than a chunk holds.
    let long = "x".repeat(4000);
    for n in 0..3 {
        recorder
            .at(0)
            .histogram(&family, &[&*format!("{n}"), &*long]);
        recorder
            .at(0)
            .histogram(&family, &[&*format!("{n}{long}"), &*long]);
    }
    let text = text_of(registry.scrape(0));
    assert!(text.len() > 6 * 100 * 4000);
    let whole = String::from_utf8(registry.scrape(0).into_text()).unwrap();
    assert_eq!(text, whole);
    assert_eq!(
        Exposition::parse(&text).map(|found| found.families.len()),
        Ok(1)
    );
}

proptest! {
    #[test]
    fn labels_come_back_as_they_were(values in proptest::collection::btree_set(".{0,8}|[\\\\\"\nn,}= a]{0,6}", 1..12)) {
        let registry = Registry::new("");
        let family = registry.counter(&Declaration::new("c", "h", &["a", "b"])).unwrap();
        let mut recorder = registry.recorder();
        for (n, value) in values.iter().enumerate() {
            let mut recording = recorder.at(0);
            let series = recording.counter(&family, &[value.as_str(), "\\"]);
            recording.add(&series, n as u64);
        }
        let found = read(&registry, 0);
        prop_assert_eq!(found.families["c"].samples.len(), values.len());
        for (n, value) in values.iter().enumerate() {
            let labels = [("a", value.as_str()), ("b", "\\")];
            prop_assert_eq!(found.sum("c", &labels), Some(n as f64));
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_spoil_the_text(value in proptest::collection::vec(any::<u8>(), 0..24)) {
        let registry = Registry::new("");
        let family = registry.counter(&Declaration::new("c", "h", &["a"])).unwrap();
        registry.recorder().at(0).counter(&family, &[&value]);
        let text = String::from_utf8_lossy(&value);
        let valid = match std::str::from_utf8(&value) {
            Ok(_) => text.as_ref(),
            Err(error) => &text[..error.valid_up_to()],
        };
        prop_assert_eq!(read(&registry, 0).sum("c", &[("a", valid)]), Some(0.0));
    }
}
