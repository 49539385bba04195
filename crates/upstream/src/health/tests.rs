use lockgate_keyring::Keyring;
use lockgate_model::{
    health::Health,
    resource::{self, Checks, ProbeKind},
};
use lockgate_net::{
    clock::Clock,
    dns::{DnsOptions, Resolver},
};
use serde_json::{Value, json};

use super::*;
use crate::{Compile, Compiled, Defaults, Prepared, Registry, Tried, Upstream};

/// Upstreams of one process, compiled under one key.
struct Bench {
    with: Compile,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        Self {
            with: Compile {
                resolver: Resolver::new(DnsOptions::default()),
                defaults: Defaults::default(),
                workers: 1,
                trusted: None,
                registry: Registry::default(),
                keyring: Keyring::default(),
                discovery: lockgate_discovery::Discovery::default(),
                all_addresses: false,
            },
            clock: Clock::new(),
        }
    }

    fn prepare(&self, stored: &Value, previous: Option<&Upstream>) -> Prepared {
        let stored: resource::Upstream = serde_json::from_value(stored.clone()).expect("valid");
        let key = "upstreams/1".into();
        Upstream::prepare(&stored, &self.with, &key, previous).expect("compiles")
    }

    fn compile(&self, stored: &Value, previous: Option<&Upstream>) -> Arc<Upstream> {
        let Compiled { upstream, warnings } = self.prepare(stored, previous).put_in_force();
        assert_eq!(warnings, []);
        upstream
    }

    /// Ports of the nodes that so many requests go to, each its first.
    fn picks(&self, upstream: &Upstream, count: u32) -> Vec<u16> {
        (0..count)
            .map(|pick| {
                let mut tried = Tried::new(pick.wrapping_mul(0x9E37_79B9));
                let nodes = upstream.nodes();
                let node = nodes.pick(0, &self.clock, &mut tried).expect("a node");
                node.address.port()
            })
            .collect()
    }

    /// Ports of the nodes that one request tries.
    fn attempts(&self, upstream: &Upstream) -> Vec<u16> {
        let nodes = upstream.nodes();
        let mut tried = Tried::new(0);
        let attempts = std::iter::from_fn(|| nodes.pick(0, &self.clock, &mut tried));
        attempts.take(10).map(|node| node.address.port()).collect()
    }

    /// What is shown of each node: port, verdict, failures to connect.
    fn shown(&self) -> Vec<(u16, Health, u8)> {
        let shown = self.with.registry.health();
        let nodes = shown.iter().flat_map(|upstream| &upstream.nodes);
        nodes
            .map(|node| (node.port, node.status, node.counter.tcp_failure))
            .collect()
    }
}

/// An upstream of nodes by port, weight and priority, whose probes never come.
fn stored(balancer: &str, nodes: &[(u16, u32, i32)]) -> Value {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|(port, weight, priority)| {
            json!({"host": "127.0.0.1", "port": port, "weight": weight, "priority": priority})
        })
        .collect();
    let rare = json!({"interval": 999});
    let checks = json!({"active": {"healthy": rare, "unhealthy": rare}, "passive": {
        "healthy": {"successes": 1}, "unhealthy": {"tcp_failures": 1},
    }});
    json!({"type": balancer, "key": "uri", "nodes": nodes, "checks": checks})
}

/// Reports something of the node with a port.
fn report(upstream: &Upstream, port: u16, report: Report) {
    let nodes = upstream.nodes();
    let place = nodes
        .iter()
        .position(|node| node.address.port() == port)
        .expect("a node");
    let health = nodes.health.get().expect("checked");
    health.report(place as u32, report);
}

fn fails(upstream: &Upstream, port: u16) {
    report(upstream, port, Report::TcpFailure);
}

fn recovers(upstream: &Upstream, port: u16) {
    report(upstream, port, Report::Success);
}

fn sorted(mut ports: Vec<u16>) -> Vec<u16> {
    ports.sort_unstable();
    ports.dedup();
    ports
}

const ALL: [&str; 4] = ["roundrobin", "chash", "ewma", "least_conn"];

#[tokio::test]
async fn unhealthy_nodes_are_left_out_unless_all_are() {
    for balancer in ALL {
        let bench = Bench::new();
        let upstream = bench.compile(&stored(balancer, &[(1, 1, 0), (2, 1, 0), (3, 1, 0)]), None);
        let used = || sorted(bench.picks(&upstream, 50));
        assert_eq!(used(), [1, 2, 3], "{balancer}");
        fails(&upstream, 2);
        assert_eq!(used(), [1, 3], "{balancer}");
        assert_eq!(sorted(bench.attempts(&upstream)), [1, 3], "{balancer}");
        fails(&upstream, 1);
        assert_eq!(used(), [3], "{balancer}");
        fails(&upstream, 3);
        assert_eq!(used(), [1, 2, 3], "{balancer}");
        assert_eq!(sorted(bench.attempts(&upstream)), [1, 2, 3], "{balancer}");
        recovers(&upstream, 2);
        assert_eq!(used(), [2], "{balancer}");
        recovers(&upstream, 1);
        recovers(&upstream, 3);
        assert_eq!(used(), [1, 2, 3], "{balancer}");
    }
}

#[tokio::test]
async fn the_shares_of_the_healthy_follow_their_weights() {
    let bench = Bench::new();
    let upstream = bench.compile(
        &stored(
            "roundrobin",
            &[(1, 1000, 0), (2, 2, 0), (3, 1, 0), (4, 1, 0)],
        ),
        None,
    );
    bench.picks(&upstream, 1);
    fails(&upstream, 1);
    let picks = bench.picks(&upstream, 40);
    let count = |port| picks.iter().filter(|picked| **picked == port).count();
    assert_eq!([count(1), count(2), count(3), count(4)], [0, 20, 10, 10]);
}

#[tokio::test]
async fn lower_priorities_stand_in_for_higher_ones() {
    for balancer in ALL {
        let bench = Bench::new();
        let nodes = [(1, 1, 1), (2, 1, 1), (3, 1, 0)];
        let upstream = bench.compile(&stored(balancer, &nodes), None);
        assert_eq!(sorted(bench.picks(&upstream, 50)), [1, 2], "{balancer}");
        fails(&upstream, 1);
        fails(&upstream, 2);
        assert_eq!(sorted(bench.picks(&upstream, 50)), [3], "{balancer}");
        recovers(&upstream, 2);
        assert_eq!(bench.attempts(&upstream), [2, 3], "{balancer}");
        // All are unhealthy: as if none were.
        fails(&upstream, 2);
        fails(&upstream, 3);
        assert_eq!(sorted(bench.picks(&upstream, 50)), [1, 2], "{balancer}");
    }
}

#[tokio::test]
async fn keys_of_healthy_nodes_stay_where_they_are() {
    let bench = Bench::new();
    let nodes: Vec<_> = (1..=5).map(|port| (port, 1, 0)).collect();
    let upstream = bench.compile(&stored("chash", &nodes), None);
    let before = bench.picks(&upstream, 200);
    fails(&upstream, 4);
    let after = bench.picks(&upstream, 200);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before == after, *before != 4);
    }
    recovers(&upstream, 4);
    assert_eq!(bench.picks(&upstream, 200), before);
}

#[tokio::test]
async fn weight_zero_is_used_when_nothing_else_is_healthy() {
    for balancer in ["roundrobin", "least_conn"] {
        let bench = Bench::new();
        let nodes = [(1, 1, 0), (2, 0, 0), (3, 0, 0)];
        let upstream = bench.compile(&stored(balancer, &nodes), None);
        assert_eq!(sorted(bench.picks(&upstream, 10)), [1], "{balancer}");
        fails(&upstream, 1);
        assert_eq!(sorted(bench.picks(&upstream, 10)), [2, 3], "{balancer}");
        assert_eq!(sorted(bench.attempts(&upstream)), [2, 3], "{balancer}");
        fails(&upstream, 2);
        fails(&upstream, 3);
        assert_eq!(sorted(bench.picks(&upstream, 10)), [1], "{balancer}");
    }
}

#[tokio::test]
async fn a_lone_node_is_used_whatever_is_known_of_it() {
    for balancer in ALL {
        let bench = Bench::new();
        let upstream = bench.compile(&stored(balancer, &[(1, 1, 0)]), None);
        bench.picks(&upstream, 1);
        fails(&upstream, 1);
        assert_eq!(bench.picks(&upstream, 2), [1, 1], "{balancer}");
        assert_eq!(bench.shown(), [(1, Health::Unhealthy, 1)], "{balancer}");
    }
}

#[tokio::test]
async fn verdicts_outlive_edits_of_everything_but_the_node() {
    let bench = Bench::new();
    let before = bench.compile(
        &stored("roundrobin", &[(1, 1, 0), (2, 1, 0), (3, 1, 0)]),
        None,
    );
    assert_eq!(
        bench.shown(),
        [],
        "nothing is checked before the first request"
    );
    bench.picks(&before, 1);
    fails(&before, 1);
    fails(&before, 2);
    // Another balancer, other weights, other checks, a node less and one more.
    let mut edited = stored("least_conn", &[(3, 2, 0), (1, 2, 0), (4, 2, 0)]);
    edited["checks"]["active"]["http_path"] = json!("/other");
    let after = bench.compile(&edited, Some(&before));
    let (healthy, unhealthy) = (Health::Healthy, Health::Unhealthy);
    assert_eq!(
        bench.shown(),
        [(3, healthy, 0), (1, unhealthy, 1), (4, healthy, 0)]
    );
    assert_eq!(sorted(bench.picks(&after, 20)), [3, 4]);
    // A request that holds the upstream as it was reports on nodes that are still there, and on one that is not.
    recovers(&before, 1);
    recovers(&before, 2);
    assert_eq!(sorted(bench.picks(&after, 20)), [1, 3, 4]);
    fails(&after, 3);
    assert_eq!(sorted(bench.picks(&after, 20)), [1, 4]);
    // A node that comes back is a new one.
    let back = bench.compile(&stored("roundrobin", &[(2, 1, 0), (3, 1, 0)]), Some(&after));
    assert_eq!(bench.shown(), [(2, healthy, 0), (3, unhealthy, 1)]);
    assert_eq!(bench.picks(&back, 2), [2, 2]);
    // The last unhealthy node leaves.
    let last = bench.compile(&stored("roundrobin", &[(2, 1, 0), (5, 1, 0)]), Some(&back));
    assert_eq!(sorted(bench.picks(&last, 4)), [2, 5]);
    let checker = last.checker.get().expect("checked");
    assert_eq!(checker.summary() as u32, 0);
}

#[tokio::test]
async fn a_target_is_the_probed_port_under_a_name() {
    let bench = Bench::new();
    let mut stored = stored("roundrobin", &[(1, 1, 0), (2, 1, 0)]);
    stored["checks"]["active"]["port"] = json!(9);
    stored["checks"]["active"]["host"] = json!("a.test");
    let upstream = bench.compile(&stored, None);
    bench.picks(&upstream, 1);
    // Both nodes are one target.
    fails(&upstream, 1);
    assert_eq!(bench.shown(), [(9, Health::Unhealthy, 1)]);
    let shown = bench.with.registry.health();
    assert_eq!(
        (&*shown[0].key, shown[0].kind.name()),
        ("upstreams/1", "http")
    );
    let node = &shown[0].nodes[0];
    assert_eq!(
        (&*node.ip, &*node.hostname, &node.hostheader),
        ("127.0.0.1", "a.test", &None)
    );
    assert_eq!(sorted(bench.picks(&upstream, 10)), [1, 2]);
    // Another Host is another target.
    stored["pass_host"] = json!("rewrite");
    stored["upstream_host"] = json!("b.test");
    let upstream = bench.compile(&stored, Some(&upstream));
    assert_eq!(bench.shown(), [(9, Health::Healthy, 0)]);
    let node = &bench.with.registry.health()[0].nodes[0];
    assert_eq!(node.hostheader.as_deref(), Some("b.test"));
    assert_eq!(sorted(bench.picks(&upstream, 10)), [1, 2]);
}

#[tokio::test]
async fn an_older_state_of_an_upstream_does_not_say_what_is_checked() {
    let bench = Bench::new();
    let before = bench.compile(&stored("roundrobin", &[(1, 1, 0)]), None);
    bench.picks(&before, 1);
    let checker = before.checker.get().cloned().expect("checked");
    let after = bench.compile(
        &stored("roundrobin", &[(2, 1, 0), (3, 1, 0)]),
        Some(&before),
    );
    // As when a name of the older state gets another address.
    checker.assign(&before.nodes(), 0);
    let ports: Vec<u16> = bench.shown().iter().map(|(port, ..)| *port).collect();
    assert_eq!(ports, [2, 3]);
    assert_eq!(sorted(bench.picks(&after, 4)), [2, 3]);
}

#[tokio::test]
async fn checks_end_with_the_upstream_or_without_them_and_where_they_are_switched_off() {
    let bench = Bench::new();
    let checked = stored("roundrobin", &[(1, 1, 0), (2, 1, 0)]);
    let before = bench.compile(&checked, None);
    bench.picks(&before, 1);
    fails(&before, 1);
    let mut bare = checked.clone();
    bare.as_object_mut().expect("an object").remove("checks");
    let after = bench.compile(&bare, Some(&before));
    assert_eq!(bench.with.registry.health(), []);
    assert_eq!(sorted(bench.picks(&after, 4)), [1, 2]);
    // Checked again, nothing is known.
    let again = bench.compile(&checked, Some(&after));
    assert_eq!(bench.shown(), []);
    assert_eq!(sorted(bench.picks(&again, 4)), [1, 2]);
    again.retire();
    assert_eq!(bench.with.registry.health(), []);

    let mut bench = Bench::new();
    bench.with.registry = Registry::new(false);
    let upstream = bench.compile(&checked, None);
    assert_eq!(sorted(bench.picks(&upstream, 4)), [1, 2]);
    assert!(upstream.nodes().health.get().is_none());
    let shown = bench.with.registry.health();
    assert_eq!((shown.len(), shown[0].nodes.len()), (1, 0));
}

#[tokio::test]
async fn an_upstream_that_is_not_put_in_force_changes_nothing() {
    let bench = Bench::new();
    let before = bench.compile(&stored("roundrobin", &[(1, 1, 0), (2, 1, 0)]), None);
    bench.picks(&before, 1);
    fails(&before, 1);
    let shown = bench.shown();
    assert_eq!(shown.len(), 2);
    let others = stored("roundrobin", &[(1, 1, 0), (3, 1, 0)]);
    let mut bare = others.clone();
    bare.as_object_mut().expect("an object").remove("checks");
    let mut probed = others.clone();
    probed["checks"]["active"]["type"] = json!("tcp");
    for next in [&others, &bare, &probed] {
        let prepared = bench.prepare(next, Some(&before));
        assert_eq!(prepared.upstream().nodes().len(), 2);
        assert_eq!(bench.shown(), shown, "{next}");
        drop(prepared);
        assert_eq!(bench.shown(), shown, "{next}");
        assert_eq!(bench.with.registry.health()[0].kind, ProbeKind::Http);
        assert_eq!(bench.picks(&before, 2), [2, 2]);
        fails(&before, 2);
        recovers(&before, 2);
        assert_eq!(bench.shown(), shown, "{next}");
    }
    // Afterwards another one follows.
    let prepared = bench.prepare(&probed, Some(&before));
    let after = prepared.put_in_force().upstream;
    assert_eq!(bench.picks(&after, 2), [3, 3]);
    assert_eq!(bench.with.registry.health()[0].kind, ProbeKind::Tcp);
    let left: Vec<u16> = bench.shown().iter().map(|(port, ..)| *port).collect();
    assert_eq!(left, [1, 3]);
}

#[tokio::test]
async fn checks_that_cannot_be_read_are_named() {
    let bench = Bench::new();
    let mut broken = stored("roundrobin", &[(1, 1, 0)]);
    broken["checks"] = json!({"active": {"type": "udp"}});
    let stored: resource::Upstream = serde_json::from_value(broken).expect("valid");
    let compiled = Upstream::compile(&stored, &bench.with, &"upstreams/1".into(), None);
    let warnings = compiled.expect("compiles").warnings;
    let text = warnings
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        text.starts_with("the health checks cannot be read"),
        "{text}"
    );
    assert!(Checks::read(&json!({})).is_ok());
}

#[tokio::test]
async fn thousands_of_nodes_are_assigned_and_looked_at_quickly() {
    let bench = Bench::new();
    let nodes: Vec<_> = (1..=5000).map(|port| (port, 1, 0)).collect();
    let upstream = bench.compile(&stored("roundrobin", &nodes), None);
    bench.picks(&upstream, 1);
    for port in 1..=4999 {
        fails(&upstream, port);
    }
    assert_eq!(bench.picks(&upstream, 3), [5000; 3]);
    assert_eq!(bench.shown().len(), 5000);
}

#[tokio::test]
async fn the_loops_of_an_upstream_end_with_it() {
    let bench = Bench::new();
    // Neither side has probes: both loops wait for other settings.
    let mut idle = stored("roundrobin", &[(1, 1, 0), (2, 1, 0)]);
    idle["checks"] = json!({"active": {}});
    let upstream = bench.compile(&idle, None);
    bench.picks(&upstream, 1);
    let changed = upstream.checker.get().expect("checked").changed.clone();
    tokio::task::yield_now().await;
    drop(upstream);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(
        changed
            .iter()
            .all(|changed| Arc::strong_count(changed) == 1)
    );
}
