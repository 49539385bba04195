//! Health checks, active and passive, over real sockets.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering::Relaxed},
};

use lockgate_testkit::{Certificate, Gateway, Origin, Setup, eventually};
use lockgate_upstream::Registry;
use serde_json::{Value, json};

use crate::upstream;

/// An origin that says its name, and under `/status` answers with a status that can be changed.
fn origin(name: &'static str) -> (Origin, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let told = status.clone();
    let origin = Origin::start(move |connection| {
        while let Some(request) = connection.request() {
            let (status, body) = if request.start.contains("/status") {
                (told.load(Relaxed), "")
            } else {
                (200, name)
            };
            connection.send(format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    });
    (origin, status)
}

/// An upstream of these origins with probes every second, one of which decides, and with these changes to them.
fn checked(origins: &[&Origin], active: &Value) -> Value {
    let mut settings = json!({
        "http_path": "/status",
        "healthy": {"interval": 1, "successes": 1},
        "unhealthy": {"interval": 1, "http_failures": 1, "tcp_failures": 1, "timeouts": 1},
    });
    let fields = settings.as_object_mut().expect("an object");
    fields.extend(active.as_object().cloned().unwrap_or_default());
    with_checks(origins, &json!({"active": settings}))
}

fn with_checks(origins: &[&Origin], checks: &Value) -> Value {
    let mut stored = upstream(origins);
    if let Some(fields) = stored.as_object_mut() {
        fields.insert("checks".into(), checks.clone());
    }
    stored
}

fn object(upstream: &Value) -> Value {
    json!({"uri": "/*", "upstream": upstream})
}

fn setup(upstream: &Value) -> Setup {
    Setup::new().put("routes/1", &object(upstream))
}

/// The nodes of the only upstream: address, status, and counters in the order success, HTTP, TCP, timeout.
fn nodes(gateway: &Gateway) -> Vec<(String, &'static str, [u8; 4])> {
    let shown = gateway.health();
    let nodes = shown.iter().flat_map(|upstream| &upstream.nodes);
    let show = nodes.map(|node| {
        let counter = node.counter;
        let counts = [
            counter.success,
            counter.http_failure,
            counter.tcp_failure,
            counter.timeout_failure,
        ];
        (
            format!("{}:{}", node.ip, node.port),
            node.status.name(),
            counts,
        )
    });
    show.collect()
}

/// Waits until the nodes have these statuses, in the order of the upstream.
fn become_(gateway: &Gateway, expected: &[&str]) {
    eventually(&format!("the nodes are {expected:?}"), || {
        nodes(gateway)
            .iter()
            .map(|node| node.1)
            .eq(expected.iter().copied())
    });
}

/// Names of the nodes that a few requests reach.
fn seen(gateway: &Gateway) -> String {
    let mut seen: Vec<String> = (0..6).map(|_| gateway.get("/").text()).collect();
    seen.sort_unstable();
    seen.concat()
}

#[test]
fn a_flapping_node_is_left_out_while_its_probes_fail() {
    let ((a, a_status), (b, _)) = (origin("a"), origin("b"));
    let gateway = setup(&checked(&[&a, &b], &json!({}))).start();
    assert_eq!(
        nodes(&gateway),
        [],
        "nothing is probed before the first request"
    );
    assert_eq!(seen(&gateway), "aaabbb");
    for _ in 0..2 {
        a_status.store(500, Relaxed);
        become_(&gateway, &["unhealthy", "healthy"]);
        assert_eq!(seen(&gateway), "bbbbbb");
        a_status.store(200, Relaxed);
        become_(&gateway, &["healthy", "healthy"]);
        assert_eq!(seen(&gateway), "aaabbb");
    }
}

#[test]
fn all_nodes_are_used_when_none_is_healthy() {
    let ((a, a_status), (b, b_status)) = (origin("a"), origin("b"));
    a_status.store(503, Relaxed);
    b_status.store(404, Relaxed);
    let gateway = setup(&checked(&[&a, &b], &json!({}))).start();
    gateway.get("/");
    become_(&gateway, &["unhealthy", "unhealthy"]);
    assert_eq!(seen(&gateway), "aaabbb");
    // One that recovers is the only one.
    b_status.store(302, Relaxed);
    become_(&gateway, &["unhealthy", "healthy"]);
    assert_eq!(seen(&gateway), "bbbbbb");
}

#[test]
fn every_kind_of_failure_has_its_counter_and_its_limit() {
    let silent = || {
        Origin::start(|connection| {
            if connection
                .request()
                .is_some_and(|request| request.start.contains("/status"))
            {
                connection.rest();
            }
        })
    };
    let nonsense = || Origin::answering("nonsense\r\n");
    let leaving = || {
        Origin::start(|connection| {
            connection.request();
        })
    };
    let failing = || Origin::answering("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
    for (bad, counts) in [
        (failing(), [0, 2, 0, 0]),
        (nonsense(), [0, 2, 0, 0]),
        (leaving(), [0, 0, 2, 0]),
        (silent(), [0, 0, 0, 2]),
    ] {
        let good = Origin::answering("HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n");
        let limits = json!({"interval": 1, "http_failures": 2, "tcp_failures": 2, "timeouts": 2});
        let active = json!({"timeout": 0.2, "unhealthy": limits});
        let mut stored = checked(&[&good, &bad], &active);
        stored["nodes"][1]["priority"] = json!(-1);
        let gateway = setup(&stored).start();
        assert_eq!(gateway.get("/").status(), 200);
        become_(&gateway, &["healthy", "mostly_healthy"]);
        become_(&gateway, &["healthy", "unhealthy"]);
        assert_eq!(nodes(&gateway)[1].2, counts);
    }
}

#[test]
fn a_status_in_no_list_counts_for_nothing() {
    let ((a, a_status), (b, b_status)) = (origin("a"), origin("b"));
    let gateway = setup(&checked(&[&a, &b], &json!({}))).start();
    gateway.get("/");
    a_status.store(204, Relaxed);
    b_status.store(500, Relaxed);
    become_(&gateway, &["healthy", "unhealthy"]);
    // Neither does it make an unhealthy node healthy.
    b_status.store(204, Relaxed);
    let probes = b.requests().len();
    eventually("another two probes", || b.requests().len() > probes + 2);
    become_(&gateway, &["healthy", "unhealthy"]);
    assert_eq!(nodes(&gateway)[0].2, [0, 0, 0, 0]);
}

#[test]
fn tcp_probes_only_connect() {
    let ((a, _), (b, _)) = (origin("a"), origin("b"));
    let gateway = setup(&checked(&[&a, &b], &json!({"type": "tcp"}))).start();
    gateway.get("/");
    eventually("probes", || a.connections() > 2 && b.connections() > 2);
    become_(&gateway, &["healthy", "healthy"]);
    let is_probe = |origin: &Origin| {
        let requests = origin.requests();
        requests
            .iter()
            .any(|request| request.message.start.contains("/status"))
    };
    assert!(!is_probe(&a) && !is_probe(&b));
    drop(b);
    become_(&gateway, &["healthy", "unhealthy"]);
    assert_eq!(nodes(&gateway)[1].2, [0, 0, 1, 0]);
}

/// The first probe that an origin got: its start and its fields.
fn probe(origin: &Origin) -> lockgate_testkit::Message {
    let find = || {
        let mut requests = origin
            .requests()
            .into_iter()
            .map(|received| received.message);
        requests.find(|request| !request.start.starts_with("GET / "))
    };
    eventually("a probe", || find().is_some());
    find().expect("a probe")
}

#[test]
fn a_probe_is_the_request_that_is_configured() {
    let (a, _) = origin("a");
    let active = json!({
        "http_method": "POST", "http_path": "/status?x=y", "http_req_body": "ping", "host": "probe.test",
        "req_headers": ["User-Agent: me", "X-A: b"],
    });
    let gateway = setup(&checked(&[&a], &active)).start();
    gateway.get("/");
    let asked = probe(&a);
    assert_eq!(asked.start, "POST /status?x=y HTTP/1.1");
    for (name, value) in [
        ("host", "probe.test"),
        ("user-agent", "me"),
        ("x-a", "b"),
        ("content-length", "4"),
    ] {
        assert_eq!(asked.field(name), Some(value));
    }
    assert_eq!(asked.text(), "ping");
}

#[test]
fn the_host_of_a_probe_is_the_most_telling_name() {
    // What the nodes are called, what the checks say, what the upstream rewrites: the Host.
    for (node, host, rewritten, expected) in [
        ("127.0.0.1", None, None, "127.0.0.1"),
        ("127.0.0.1", Some("probe.test"), None, "probe.test"),
        ("known.test", Some("probe.test"), None, "known.test"),
        (
            "known.test",
            Some("probe.test"),
            Some("new.test"),
            "new.test",
        ),
    ] {
        let (a, _) = origin("a");
        let mut stored = checked(&[&a], &json!({}));
        stored["nodes"][0]["host"] = json!(node);
        if let Some(host) = host {
            stored["checks"]["active"]["host"] = json!(host);
        }
        if let Some(rewritten) = rewritten {
            stored["pass_host"] = json!("rewrite");
            stored["upstream_host"] = json!(rewritten);
        }
        let gateway = setup(&stored)
            .with(|setup| setup.hosts = "127.0.0.1 known.test\n".into())
            .start();
        gateway.get("/");
        let asked = probe(&a);
        assert_eq!(asked.start, "GET /status HTTP/1.1");
        assert_eq!(asked.field("host"), Some(expected));
    }
}

#[test]
fn another_port_may_tell_of_all_nodes() {
    let ((a, _), (b, _), (probed, status)) = (origin("a"), origin("b"), origin("p"));
    let active = json!({"port": probed.address().port()});
    let gateway = setup(&checked(&[&a, &b], &active)).start();
    gateway.get("/");
    become_(&gateway, &["healthy"]);
    assert_eq!(nodes(&gateway)[0].0, probed.node());
    status.store(500, Relaxed);
    become_(&gateway, &["unhealthy"]);
    assert_eq!(seen(&gateway), "aaabbb");
}

#[test]
fn https_probes_verify_the_name_unless_told_not_to() {
    let certificate = Certificate::of(&["good.test"]);
    let other = Certificate::of(&["good.test"]);
    for (presented, host, verify, verdict) in [
        (&certificate, "good.test", true, "healthy"),
        (&certificate, "bad.test", true, "unhealthy"),
        (&other, "good.test", true, "unhealthy"),
        (&other, "bad.test", false, "healthy"),
    ] {
        let start = || {
            Origin::start_tls(presented, |connection| {
                while connection.request().is_some() {
                    connection.send("HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n");
                }
            })
        };
        let [a, b] = [start(), start()];
        let active = json!({"type": "https", "host": host, "https_verify_certificate": verify});
        let mut stored = checked(&[&a, &b], &active);
        stored["scheme"] = json!("https");
        let gateway = setup(&stored)
            .with(|setup| setup.trusted = Some(certificate.pem.clone()))
            .start();
        // The traffic itself is not verified.
        assert_eq!(gateway.get("/").status(), 200);
        eventually("each was probed", || {
            verdict == "unhealthy" || a.names().len() + b.names().len() > 3
        });
        become_(&gateway, &[verdict, verdict]);
        if verdict == "healthy" {
            assert!(a.names().contains(&Some(host.to_owned())));
        } else {
            assert_eq!(nodes(&gateway)[0].2, [0, 0, 1, 0]);
        }
        assert_eq!(gateway.get("/").status(), 200);
    }
}

/// Checks that conclude from traffic alone: probes would come after a quarter of an hour.
fn passive(passive: &Value) -> Value {
    let rare = json!({"interval": 999});
    json!({"active": {"healthy": rare, "unhealthy": rare}, "passive": passive})
}

/// An origin that answers with the status in the path.
fn obedient() -> Origin {
    Origin::start(|connection| {
        while let Some(request) = connection.request() {
            let status = request.start.get(5..8).unwrap_or("500").to_owned();
            connection.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        }
    })
}

#[test]
fn statuses_of_the_traffic_count() {
    let [a, b] = [obedient(), obedient()];
    let checks = passive(&json!({
        "healthy": {"http_statuses": [200], "successes": 2},
        "unhealthy": {"http_statuses": [500], "http_failures": 3},
    }));
    let gateway = setup(&with_checks(&[&a, &b], &checks)).start();
    // The request with which the checks begin does not count yet.
    assert_eq!(gateway.get("/500").status(), 500);
    for _ in 0..6 {
        gateway.get("/500");
        gateway.get("/404");
    }
    become_(&gateway, &["unhealthy", "unhealthy"]);
    let counts: Vec<_> = nodes(&gateway).iter().map(|node| node.2).collect();
    assert_eq!(counts, [[0, 3, 0, 0], [0, 3, 0, 0]]);
    // Both are used, as none is healthy, and recover by what they answer.
    for _ in 0..4 {
        gateway.get("/200");
    }
    eventually("a node recovered", || {
        nodes(&gateway).iter().any(|node| node.1 == "healthy")
    });
}

#[test]
fn a_node_that_fails_attempts_is_left_out_even_without_passive_checks() {
    let (a, _) = origin("a");
    let (b, _) = origin("b");
    let mut checks = passive(&json!({}));
    checks.as_object_mut().expect("an object").remove("passive");
    let gateway = setup(&with_checks(&[&a, &b], &checks)).start();
    assert_eq!(seen(&gateway), "aaabbb");
    let attempts = || {
        let lines: Vec<String> = (0..6)
            .map(|_| {
                assert_eq!(gateway.get("/").text(), "a");
                gateway.log_line()
            })
            .collect();
        lines.iter().filter(|line| line.contains(", ")).count()
    };
    drop(b);
    attempts();
    become_(&gateway, &["healthy", "unhealthy"]);
    assert_eq!(nodes(&gateway)[1].2, [0, 0, 2, 0]);
}

#[test]
fn timeouts_of_attempts_count_as_such() {
    let (a, _) = origin("a");
    let silent = Origin::start(|connection| {
        connection.request();
        connection.rest();
    });
    let checks = passive(&json!({"unhealthy": {"timeouts": 1}}));
    let mut stored = with_checks(&[&a, &silent], &checks);
    stored["timeout"] = json!({"connect": 5, "send": 5, "read": 0.1});
    let gateway = setup(&stored).start();
    for _ in 0..4 {
        assert_eq!(gateway.get("/").text(), "a");
    }
    become_(&gateway, &["healthy", "unhealthy"]);
    assert_eq!(nodes(&gateway)[1].2, [0, 0, 0, 1]);
}

#[test]
fn edits_keep_the_verdicts_of_nodes_that_stay() {
    let ((a, a_status), (b, _), (c, _)) = (origin("a"), origin("b"), origin("c"));
    a_status.store(500, Relaxed);
    let gateway = setup(&checked(&[&a, &b], &json!({}))).start();
    gateway.get("/");
    become_(&gateway, &["unhealthy", "healthy"]);
    // Another node, another path: at no moment does the unhealthy one get a request.
    gateway.put("routes/1", &object(&checked(&[&a, &b, &c], &json!({}))));
    assert_eq!(seen(&gateway), "bbbccc");
    let other_path = checked(&[&c, &a], &json!({"http_path": "/status/2"}));
    gateway.put("routes/1", &object(&other_path));
    assert_eq!(seen(&gateway), "cccccc");
    // The checks go on by the new settings.
    eventually("a probe of the new path", || {
        let requests = c.requests();
        requests
            .iter()
            .any(|request| request.message.start.contains("/status/2"))
    });
    a_status.store(200, Relaxed);
    become_(&gateway, &["healthy", "healthy"]);
    gateway.delete("routes/1");
    assert_eq!(gateway.health(), []);
}

#[test]
fn an_upstream_is_checked_once_for_all_its_routes_and_workers() {
    let ((a, a_status), (b, _)) = (origin("a"), origin("b"));
    a_status.store(500, Relaxed);
    let gateway = Setup::new()
        .put("upstreams/1", &checked(&[&a, &b], &json!({})))
        .put("services/1", &json!({"upstream_id": "1"}))
        .put("routes/1", &json!({"uri": "/1", "upstream_id": "1"}))
        .put("routes/2", &json!({"uri": "/2", "service_id": "1"}))
        .with(|setup| setup.options.workers = 3)
        .start();
    gateway.get("/1");
    become_(&gateway, &["unhealthy", "healthy"]);
    assert_eq!(gateway.health()[0].key, "upstreams/1");
    for path in ["/1", "/2"] {
        let seen: String = (0..9).map(|_| gateway.get(path).text()).collect();
        assert_eq!(seen, "b".repeat(9));
    }
}

#[test]
fn nothing_is_checked_where_checks_are_switched_off() {
    let (a, status) = origin("a");
    let (b, _) = origin("b");
    status.store(500, Relaxed);
    let gateway = setup(&checked(&[&a, &b], &json!({})))
        .with(|setup| setup.registry = Registry::new(false))
        .start();
    assert_eq!(seen(&gateway), "aaabbb");
    assert_eq!((gateway.health().len(), nodes(&gateway).len()), (1, 0));
}

#[test]
fn many_silent_nodes_do_not_hold_up_the_others() {
    // More than the probes of a process at a time, none of which answers.
    let silent = Origin::start(|connection| {
        connection.rest();
    });
    let (a, status) = origin("a");
    let mut many = checked(&[&silent], &json!({"concurrency": 1000}));
    let names: Vec<String> = (0..600).map(|name| format!("n{name}.test")).collect();
    let port = silent.address().port();
    many["nodes"] = names
        .iter()
        .map(|host| json!({"host": host, "port": port, "weight": 1}))
        .collect();
    let few = checked(&[&a, &silent], &json!({"timeout": 0.3}));
    let gateway = Setup::new()
        .put("routes/many", &json!({"uri": "/many", "upstream": many}))
        .put("routes/few", &json!({"uri": "/few", "upstream": few}))
        .with(|setup| setup.hosts = format!("127.0.0.1 {}\n", names.join(" ")))
        .start();
    status.store(500, Relaxed);
    let mut client = gateway.client();
    client.send("GET /many HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the many are probed", || {
        gateway
            .health()
            .iter()
            .any(|upstream| upstream.nodes.len() == 600)
    });
    gateway
        .client()
        .send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the few are unhealthy", || {
        let shown = gateway.health();
        let few = shown.iter().find(|upstream| upstream.key == "routes/few");
        few.is_some_and(|few| {
            few.nodes.len() == 2
                && few
                    .nodes
                    .iter()
                    .all(|node| node.status.name() == "unhealthy")
        })
    });
    status.store(200, Relaxed);
    eventually("one of the few is back", || {
        let shown = gateway.health();
        let few = shown.iter().find(|upstream| upstream.key == "routes/few");
        few.is_some_and(|few| few.nodes.iter().any(|node| node.status.name() == "healthy"))
    });
}
