//! Stored objects: changes under traffic, and bad ones among good ones.

use std::sync::atomic::{AtomicBool, Ordering};

use lockgate_testkit::{Origin, Setup};
use serde_json::json;

use crate::{OK, route, upstream};

#[test]
fn a_bad_object_harms_no_other() {
    let origin = Origin::answering(OK);
    let own = upstream(&[&origin]);
    let huge = json!({"uri": "/9", "upstream": {
        "nodes": {origin.node(): 1},
        "retry_timeout": 1e300,
        "timeout": {"connect": 1e300, "send": 1e300, "read": 1e300},
        "keepalive_pool": {"size": 1, "idle_timeout": 1e300, "requests": 1},
    }});
    let gateway = Setup::new()
        .put("routes/good", &route("/good", &origin))
        .put_text("routes/1", "not json")
        .put_text("routes/2", "[]")
        .put_text("routes/3", "init_dir")
        .put_text("routes/4", "")
        .put("routes/5", &json!({"uri": "/5", "upstream": own, "vars": [["a"]]}))
        .put("routes/6", &json!({"uri": "/6", "upstream": own, "remote_addr": "nonsense"}))
        .put("routes/7", &json!({"uri": "/7", "upstream": {"nodes": "nonsense"}}))
        .put("routes/8", &json!({"uri": "/8", "upstream": {"nodes": {origin.node(): 1}, "scheme": "https", "tls": {"client_cert": "x", "client_key": "y"}}}))
        .put("routes/9", &huge)
        .put_text("services/1", "{")
        .put_text("upstreams/1", "null")
        .put_text("upstreams/", "init_dir")
        .put_text("unknown/1", "{}")
        .put("routes/late", &route("/late", &origin))
        .start();
    for path in ["/good", "/late", "/9"] {
        assert_eq!(gateway.get(path).status(), 200, "{path}");
    }
    let keys: Vec<String> = gateway.problems().into_iter().map(|(key, _)| key).collect();
    for number in 1..=8 {
        let key = format!("routes/{number}");
        assert!(keys.contains(&key), "{key} of {keys:?}");
    }
    assert!(keys.contains(&"services/1".into()) && keys.contains(&"upstreams/1".into()));
    // What was good stays in force when it turns bad, and a good one replaces a bad one.
    gateway.put_text("routes/good", "not json");
    assert_eq!(gateway.get("/good").status(), 200);
    gateway.put("routes/1", &route("/1", &origin));
    assert_eq!(gateway.get("/1").status(), 200);
    gateway.delete("routes/good");
    assert_eq!(gateway.get("/good").status(), 404);
}

#[test]
fn changes_under_traffic_fail_no_request() {
    let [a, b] = ["a", "b"].map(Origin::saying);
    let gateway = Setup::new()
        .put("upstreams/1", &upstream(&[&a]))
        .put("routes/1", &json!({"uri": "/x", "upstream_id": "1"}))
        .start();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = gateway.client();
                    let mut counts = [0, 0];
                    while !is_over.load(Ordering::Relaxed) {
                        match client.get("/x").text().as_str() {
                            "a" => counts[0] += 1,
                            "b" => counts[1] += 1,
                            other => panic!("a failed request: {other}"),
                        }
                    }
                    counts
                })
            })
            .collect();
        for round in 0..150 {
            let origin = if round % 2 == 0 { &b } else { &a };
            gateway.put("upstreams/1", &upstream(&[origin]));
            gateway.put(
                "routes/1",
                &json!({"uri": "/x", "upstream_id": "1", "priority": round}),
            );
            gateway.put(
                &format!("routes/n{round}"),
                &route(&format!("/n{round}/*"), origin),
            );
            assert_eq!(gateway.get(&format!("/n{round}/")).status(), 200);
            if round > 20 {
                gateway.delete(&format!("routes/n{}", round - 20));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        for worker in workers {
            let [from_a, from_b] = worker.join().expect("no failed request");
            assert!(from_a > 0 && from_b > 0);
        }
    });
}

#[test]
fn a_change_is_seen_by_the_next_request_of_every_worker() {
    let [a, b] = ["a", "b"].map(Origin::saying);
    let gateway = Setup::new()
        .put("routes/1", &route("/*", &a))
        .with(|setup| setup.options.workers = 3)
        .start();
    let mut clients: Vec<_> = (0..12).map(|_| gateway.client()).collect();
    for (origin, text) in [(&a, "a"), (&b, "b"), (&a, "a")] {
        gateway.put("routes/1", &route("/*", origin));
        for client in &mut clients {
            assert_eq!(client.get("/").text(), text);
        }
    }
}
