//! Counts are exact, by however many threads and workers requests come.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use lockgate_testkit::{Client, Gateway, Origin, eventually};
use serde_json::json;

use crate::{get, route, setup};

const THREADS: usize = 8;

/// How many of the requests pass that each of eight clients sends.
fn passed(gateway: &Gateway, each: usize) -> usize {
    let passed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut client = Client::connect(gateway.address);
                for _ in 0..each {
                    match client.get("/").status() {
                        200 => drop(passed.fetch_add(1, Ordering::Relaxed)),
                        status => assert_eq!(status, 503),
                    }
                }
            });
        }
    });
    passed.into_inner()
}

#[test]
fn a_limit_lets_pass_exactly_as_many() {
    let origin = Origin::saying("ok");
    for window in ["fixed", "sliding"] {
        let config = json!({"count": 300, "time_window": 100_000, "window_type": window});
        let gateway = setup()
            .put("routes/1", &route(&origin, &json!({"limit-count": config})))
            .start_silent();
        assert_eq!(passed(&gateway, 100), 300, "{window}");
    }
}

#[test]
fn a_bucket_lets_pass_exactly_its_burst() {
    let origin = Origin::saying("ok");
    let config = json!({"rate": 0.0001, "burst": 49, "nodelay": true, "key": "remote_addr"});
    let gateway = setup()
        .put("routes/1", &route(&origin, &json!({"limit-req": config})))
        .start_silent();
    assert_eq!(passed(&gateway, 30), 50);
}

#[test]
fn as_many_are_under_way_as_there_is_room_for() {
    let (arrived, arrivals) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let origin = Origin::start(move |connection| {
        while connection.request().is_some() {
            arrived.send(()).expect("somebody counts");
            let _gone = released.lock().expect("not poisoned").recv();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let config = json!({"conn": 5, "burst": 0, "default_conn_delay": 0.1, "key": "server_name"});
    let gateway = setup()
        .put("routes/1", &route(&origin, &json!({"limit-conn": config})))
        .start_silent();
    // Twelve ask at once: five are under way, and the others have been refused.
    let statuses = thread::scope(|scope| {
        let (answered, answers) = mpsc::channel();
        for _ in 0..12 {
            let (answered, gateway) = (answered.clone(), &gateway);
            scope.spawn(move || answered.send(get(gateway, "/", "").status()));
        }
        drop(answered);
        let refused: Vec<u16> = answers.iter().take(7).collect();
        for _ in 0..5 {
            arrivals.recv().expect("a request under way");
            release.send(()).expect("the origin is there");
        }
        (refused, answers.iter().collect::<Vec<_>>())
    });
    assert_eq!(statuses, (vec![503; 7], vec![200; 5]));
    // All have left; so does one whose client is gone before it was answered.
    let mut client = Client::connect(gateway.address);
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    arrivals.recv().expect("a request under way");
    client.reset();
    release.send(()).expect("the origin is there");
    eventually("there is room for five", || {
        let mut clients: Vec<_> = (0..5).map(|_| Client::connect(gateway.address)).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        }
        for _ in 0..5 {
            release.send(()).expect("the origin is there");
        }
        clients
            .iter_mut()
            .map(|client| client.response().status())
            .all(|status| status == 200)
    });
}

#[test]
fn an_edit_elsewhere_leaves_counts_alone() {
    let origin = Origin::saying("ok");
    let plugins = json!({"limit-count": {"count": 2, "time_window": 100}});
    let gateway = setup().put("routes/1", &route(&origin, &plugins)).start();
    let left = || {
        let answer = get(&gateway, "/", "");
        let left = answer.field("X-RateLimit-Remaining").map(str::to_owned);
        (answer.status(), left)
    };
    assert_eq!(left(), (200, Some("1".into())));
    let mut edited = route(&origin, &plugins);
    edited["desc"] = json!("edited");
    gateway.put("routes/1", &edited);
    assert_eq!(left(), (200, Some("0".into())));
    assert_eq!(left(), (503, Some("0".into())));
    edited["plugins"]["limit-count"]["rejected_code"] = json!(429);
    gateway.put("routes/1", &edited);
    assert_eq!(left(), (200, Some("1".into())));
}
