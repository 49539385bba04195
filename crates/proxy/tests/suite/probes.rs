//! What probes are sent over, and who gets what they find out.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed},
};

use lockgate_testkit::{Connection, Gateway, Message, Origin, Setup, eventually};
use serde_json::{Value, json};

use crate::upstream;

/// An origin that is there to be probed, and how often it was.
struct Probed {
    origin: Origin,
    probes: Arc<AtomicUsize>,
}

impl Probed {
    /// Answers by this script, which is told how many probes came before on the connection; false ends the connection.
    fn new(script: impl Fn(&mut Connection, usize) -> bool + Send + Sync + 'static) -> Self {
        let probes = Arc::new(AtomicUsize::new(0));
        let count = probes.clone();
        let origin = Origin::start(move |connection| {
            let mut before = 0;
            while connection.request().is_some() {
                count.fetch_add(1, Relaxed);
                if !script(connection, before) {
                    break;
                }
                before += 1;
            }
        });
        Self { origin, probes }
    }

    fn probes(&self) -> usize {
        self.probes.load(Relaxed)
    }

    fn wait_for(&self, count: usize) {
        eventually(&format!("{count} probes"), || self.probes() >= count);
    }

    fn first(&self) -> Message {
        self.wait_for(1);
        eventually("a probe", || !self.origin.requests().is_empty());
        let requests = self.origin.requests();
        requests[0].message.clone()
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An upstream whose only node is probed elsewhere, every second, with these changes to the probes.
fn checked(node: &Origin, probed: &Probed, active: &Value) -> Value {
    let mut settings = json!({
        "port": probed.origin.address().port(), "http_path": "/status",
        "healthy": {"interval": 1, "successes": 1},
        "unhealthy": {"interval": 1, "http_failures": 1, "tcp_failures": 1, "timeouts": 1},
    });
    let fields = settings.as_object_mut().expect("an object");
    fields.extend(active.as_object().cloned().unwrap_or_default());
    let mut stored = upstream(&[node]);
    stored["checks"] = json!({"active": settings});
    stored
}

/// A gateway with such an upstream that has begun to probe.
fn start(node: &Origin, probed: &Probed, active: &Value) -> Gateway {
    let upstream = checked(node, probed, active);
    let gateway = Setup::new()
        .put("routes/1", &json!({"uri": "/*", "upstream": upstream}))
        .start();
    assert_eq!(gateway.get("/").status(), 200);
    gateway
}

/// The verdict of each upstream, in the order of their keys, and how many failures it has counted.
fn verdicts(gateway: &Gateway) -> Vec<(&'static str, u8)> {
    let shown = gateway.health();
    let nodes = shown.iter().flat_map(|upstream| &upstream.nodes);
    nodes
        .map(|node| {
            let count = node.counter;
            let failures = count.http_failure + count.tcp_failure + count.timeout_failure;
            (node.status.name(), failures)
        })
        .collect()
}

#[test]
fn probes_share_a_connection_where_checks_and_server_allow_it() {
    let unkept = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for (answer, active, is_kept) in [
        (OK, json!({}), true),
        (chunked, json!({}), true),
        (unkept, json!({}), false),
        (OK, json!({"req_headers": ["connection: close"]}), false),
        (OK, json!({"healthy": {"interval": 6}}), false),
    ] {
        let node = Origin::answering(OK);
        let probed = Probed::new(move |connection, _| connection.send(answer));
        let gateway = start(&node, &probed, &active);
        let asks_to_close = probed.first().field("connection") == Some("close");
        assert_eq!(asks_to_close, !is_kept && answer == OK, "{active}");
        if active["healthy"].is_null() {
            probed.wait_for(3);
            let connections = probed.origin.connections();
            assert_eq!(
                connections == 1,
                is_kept,
                "{answer:?} {active}: {connections}"
            );
            assert_eq!(verdicts(&gateway), [("healthy", 0)]);
        }
    }
}

#[test]
fn what_goes_wrong_on_a_kept_connection_is_asked_again_on_a_new_one() {
    let node = Origin::answering(OK);
    for script in [
        // Ends, without having said so.
        |connection: &mut Connection, before: usize| connection.send(OK) && before == 0,
        // Ends instead of an answer.
        |connection: &mut Connection, before: usize| before == 0 && connection.send(OK),
        // Says more than was asked.
        |connection: &mut Connection, _| {
            connection.send(OK) && connection.send("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")
        },
        // Falls silent.
        |connection: &mut Connection, before: usize| {
            if before > 0 {
                connection.rest();
            }
            connection.send(OK)
        },
        // Sends nonsense.
        |connection: &mut Connection, before: usize| {
            connection.send(if before == 0 { OK } else { "nonsense\r\n" })
        },
    ] {
        let probed = Probed::new(script);
        let gateway = start(&node, &probed, &json!({"timeout": 0.3}));
        probed.wait_for(5);
        assert!(probed.origin.connections() > 1);
        let verdicts = verdicts(&gateway);
        assert_eq!(verdicts, [("healthy", 0)]);
    }
}

#[test]
fn an_answer_in_pieces_is_taken_together() {
    let node = Origin::answering(OK);
    let probed = Probed::new(|connection, _| {
        let (head, body) = OK.split_at(OK.len() - 2);
        let (line, rest) = head.split_at(9);
        let is_sent = connection.send(line) && connection.send(rest);
        // The other side sees the pieces apart, or does not: both are right.
        std::thread::yield_now();
        is_sent && connection.send(body)
    });
    let gateway = start(&node, &probed, &json!({}));
    probed.wait_for(4);
    assert_eq!(verdicts(&gateway), [("healthy", 0)]);
}

#[test]
fn a_node_that_dies_is_noticed_in_spite_of_its_kept_connection() {
    let node = Origin::answering(OK);
    let probed = Probed::new(|connection, _| connection.send(OK));
    let gateway = start(&node, &probed, &json!({}));
    probed.wait_for(2);
    drop(probed);
    eventually("it is unhealthy", || {
        verdicts(&gateway) == [("unhealthy", 1)]
    });
}

#[test]
fn upstreams_that_ask_the_same_share_probes_and_judge_for_themselves() {
    let node = Origin::answering(OK);
    let status = Arc::new(AtomicU16::new(200));
    let told = status.clone();
    let probed = Probed::new(move |connection, _| {
        let status = told.load(Relaxed);
        connection.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))
    });
    // One counts to two, one takes the status for a good one, and one asks for something else.
    let patient = json!({"unhealthy": {"interval": 1, "http_failures": 3}});
    let content = json!({"healthy": {"interval": 1, "http_statuses": [200, 500]}});
    let mut setup = Setup::new();
    for (name, active) in [("a", &json!({})), ("b", &patient), ("c", &content)] {
        let upstream = checked(&node, &probed, active);
        setup = setup.put(
            &format!("routes/{name}"),
            &json!({"uri": format!("/{name}"), "upstream": upstream}),
        );
    }
    let gateway = setup.start();
    for name in ["a", "b", "c"] {
        assert_eq!(gateway.get(&format!("/{name}")).status(), 200);
    }
    probed.wait_for(4);
    assert_eq!(verdicts(&gateway), [("healthy", 0); 3]);
    assert_eq!(probed.origin.connections(), 1, "one asks for all three");
    status.store(500, Relaxed);
    eventually("each has its own verdict", || {
        verdicts(&gateway) == [("unhealthy", 1), ("unhealthy", 3), ("healthy", 0)]
    });
    status.store(200, Relaxed);
    eventually("all are healthy again", || {
        let verdicts = verdicts(&gateway);
        verdicts
            .iter()
            .all(|verdict| verdict.0.ends_with("healthy") && verdict.0 != "unhealthy")
    });
    // Whoever goes on asks when the one that asked is gone.
    gateway.delete("routes/a");
    gateway.delete("routes/b");
    let probes = probed.probes();
    probed.wait_for(probes + 2);
    assert_eq!(verdicts(&gateway).len(), 1);
}
