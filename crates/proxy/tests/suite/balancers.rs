//! `chash`, `ewma` and `least_conn`, over real sockets.

use std::time::Duration;

use lockgate_testkit::{Client, Gateway, Origin, Setup, eventually};
use serde_json::{Value, json};

use crate::{GET, OK, gate, upstream};

/// An upstream of these origins with a balancer.
fn of_type(balancer: &str, origins: &[&Origin]) -> Value {
    let mut stored = upstream(origins);
    if let Some(fields) = stored.as_object_mut() {
        fields.insert("type".into(), json!(balancer));
    }
    stored
}

fn object(upstream: &Value) -> Value {
    json!({"uri": "/*", "enable_websocket": true, "upstream": upstream})
}

fn gateway(upstream: &Value) -> Gateway {
    Setup::new().put("routes/1", &object(upstream)).start()
}

fn get(gateway: &Gateway, path: &str, fields: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    gateway.ask(request).text()
}

/// CRC-32 bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    for byte in bytes {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            let carried = state & 1;
            state >>= 1;
            state ^= carried * 0xEDB8_8320;
        }
    }
    !state
}

/// Which of the nodes a key belongs to by the published algorithm: 160 points for each unit of weight.
fn owner(nodes: &[(String, u32)], key: &str) -> usize {
    let mut points = Vec::new();
    for (number, (node, weight)) in nodes.iter().enumerate() {
        let id = node.replace(':', "\0");
        let mut point = 0_u32;
        for _ in 0..weight * 160 {
            point = crc(&[id.as_bytes(), &point.to_le_bytes()].concat());
            points.push((point, id.clone(), number));
        }
    }
    points.sort();
    let hash = crc(key.as_bytes());
    let found = points.iter().find(|(point, ..)| *point >= hash);
    found.or(points.first()).expect("points").2
}

#[test]
fn a_key_belongs_to_the_node_that_the_reference_gives_it() {
    let names = ["a", "b", "c"];
    let [a, b, c] = names.map(Origin::saying);
    for (hash_on, key, path, field, hashed) in [
        ("vars", "arg_id", "/?id=KEY", "", "KEY"),
        ("vars", "uri", "/KEY", "", "/KEY"),
        (
            "header",
            "X-Session-Id",
            "/",
            "x-session-id: KEY\r\n",
            "KEY",
        ),
        ("cookie", "sid", "/", "Cookie: a=b; sid=KEY\r\n", "KEY"),
        (
            "vars_combinations",
            "$arg_a-${uri}",
            "/x?a=KEY",
            "",
            "KEY-/x",
        ),
        // Without a value, the client's address.
        ("header", "none", "/KEY", "", "127.0.0.1"),
        ("consumer", "", "/KEY", "", "127.0.0.1"),
        ("vars_combinations", "plain", "/KEY", "", "127.0.0.1"),
    ] {
        let mut stored = of_type("chash", &[&a, &b, &c]);
        (stored["hash_on"], stored["key"]) = (json!(hash_on), json!(key));
        let weights = [3, 6, 12];
        for (node, weight) in weights.iter().enumerate() {
            stored["nodes"][node]["weight"] = json!(weight);
        }
        // The greatest common divisor is taken out.
        let nodes = [(a.node(), 1), (b.node(), 2), (c.node(), 4)];
        let gateway = gateway(&stored);
        for number in 0..12 {
            let number = format!("session-{number}");
            let fill = |text: &str| text.replace("KEY", &number);
            let node = get(&gateway, &fill(path), &fill(field));
            let expected = names[owner(&nodes, &fill(hashed))];
            assert_eq!(node, expected, "{hash_on} {key} {number}");
        }
    }
}

#[test]
fn only_the_keys_of_a_dead_node_move() {
    let names = ["a", "b", "c"];
    let origins = names.map(Origin::saying);
    let [a, b, c] = &origins;
    let mut stored = of_type("chash", &[a, b, c]);
    stored["key"] = json!("uri");
    let gateway = gateway(&stored);
    let keys: Vec<String> = (0..30).map(|key| format!("/{key}")).collect();
    let ask = || -> Vec<String> { keys.iter().map(|key| get(&gateway, key, "")).collect() };
    let before = ask();
    let [a, b, c] = origins;
    drop(b);
    let after = ask();
    for (before, after) in before.iter().zip(&after) {
        let is_kept = before == after;
        assert_eq!(is_kept, before != "b", "{before} {after}");
    }
    // A retry goes where an upstream without the dead node would have sent the key.
    let mut less = of_type("chash", &[&c, &a]);
    less["key"] = json!("uri");
    gateway.put("routes/1", &object(&less));
    assert_eq!(ask(), after);
}

#[test]
fn every_balancer_leaves_lower_priorities_until_the_higher_were_tried() {
    for balancer in ["chash", "ewma", "least_conn"] {
        let [a, b, low] = ["a", "b", "l"].map(Origin::saying);
        let mut stored = of_type(balancer, &[&low, &a, &b]);
        stored["key"] = json!("uri");
        stored["nodes"][0]["priority"] = json!(-1);
        let gateway = gateway(&stored);
        let seen = || -> String {
            (0..20)
                .map(|key| get(&gateway, &format!("/{key}"), ""))
                .collect()
        };
        assert!(!seen().contains('l'), "{balancer}");
        drop(a);
        assert_eq!(seen(), "b".repeat(20), "{balancer}");
        drop(b);
        assert_eq!(seen(), "l".repeat(20), "{balancer}");
    }
}

#[test]
fn ewma_prefers_the_node_that_answers_quickly() {
    let quick = Origin::saying("q");
    let slow = Origin::start(|connection| {
        while connection.request().is_some() {
            std::thread::park_timeout(Duration::from_millis(60));
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns");
        }
    });
    let stored = of_type("ewma", &[&slow, &quick]);
    let gateway = gateway(&stored);
    let seen: String = (0..20).map(|_| get(&gateway, "/", "")).collect();
    assert_eq!(seen.matches('s').count(), 1, "{seen}");
    // What was measured is known to every upstream with the node, and outlives edits.
    let mut edited = stored.clone();
    edited["retries"] = json!(1);
    gateway.put("routes/1", &object(&edited));
    gateway.put("upstreams/2", &stored);
    gateway.put("routes/2", &json!({"uri": "/2", "upstream_id": "2"}));
    for path in ["/", "/2"] {
        let seen: String = (0..10).map(|_| get(&gateway, path, "")).collect();
        assert_eq!(seen, "q".repeat(10), "{path}");
    }
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// An origin that says its name, upgrades what asks for it, and then waits for the end.
fn tunnelling(name: &'static str) -> Origin {
    Origin::start(move |connection| {
        while let Some(request) = connection.request() {
            if request.field("upgrade").is_some() {
                connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
                connection.send(name);
                connection.rest();
                return;
            }
            connection.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"
            ));
        }
    })
}

/// Opens a tunnel; which node it leads to.
fn tunnel(gateway: &Gateway) -> (Client, String) {
    let mut client = gateway.client();
    assert_eq!(client.send(UPGRADE).head().status(), 101);
    let name = client.bytes(1);
    (client, String::from_utf8_lossy(&name).into_owned())
}

#[test]
fn least_conn_counts_tunnels_until_they_end_and_over_edits() {
    let [a, b, c] = ["a", "b", "c"].map(tunnelling);
    let gateway = gateway(&of_type("least_conn", &[&a, &b]));
    let mut held: Vec<_> = (0..4).map(|_| tunnel(&gateway)).collect();
    let mut names: Vec<_> = held.iter().map(|(_, name)| name.clone()).collect();
    names.sort_unstable();
    assert_eq!(names.concat(), "aabb");
    // A node that joins is the idle one, for plain requests and tunnels alike.
    gateway.put("routes/1", &object(&of_type("least_conn", &[&a, &b, &c])));
    assert_eq!(get(&gateway, "/", ""), "c");
    let joined = [tunnel(&gateway), tunnel(&gateway)].map(|(client, name)| (name, client));
    assert!(joined.iter().all(|(name, _)| name == "c"));
    // Tunnels of the upstream as it was before end, and their node is the idle one.
    held.retain(|(_, name)| name != "b");
    eventually("both tunnels to b are over", || {
        (0..3).all(|_| get(&gateway, "/", "") == "b")
    });
}

#[test]
fn least_conn_counts_by_all_workers_and_weighs() {
    let (release, released) = gate();
    let heavy = Origin::start(move |connection| {
        while connection.request().is_some() {
            released();
            connection.send(OK);
        }
    });
    let light = Origin::start(|connection| {
        while connection.request().is_some() {
            connection.rest();
        }
    });
    let mut stored = of_type("least_conn", &[&light, &heavy]);
    stored["nodes"][1]["weight"] = json!(3);
    let gateway = Setup::new()
        .put("routes/1", &object(&stored))
        .with(|setup| setup.options.workers = 4)
        .start();
    // Three to one, whichever worker has the connection.
    let mut clients = Vec::new();
    for (total, at_heavy) in [
        (1, 1),
        (2, 2),
        (3, 2),
        (4, 3),
        (5, 4),
        (6, 5),
        (7, 5),
        (8, 6),
    ] {
        let mut client = gateway.client();
        client.send(GET);
        clients.push(client);
        let arrived = || (heavy.requests().len(), light.requests().len());
        eventually("the request arrived", || {
            let (heavy, light) = arrived();
            heavy + light == total
        });
        // Equally busy ones may each be next: of 2/3 and 1/1, 3/3 and 1/1.
        let (heavy, _) = arrived();
        assert!(heavy.abs_diff(at_heavy) <= 1, "{heavy} of {total}");
    }
    for _ in 0..8 {
        release();
    }
}
