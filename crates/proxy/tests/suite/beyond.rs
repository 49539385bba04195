//! What upstreams can do beyond the reference (their field `lockgate`), over real sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use lockgate_testkit::{Gateway, Origin, Setup, eventually};
use serde_json::{Value, json};

use crate::{gate, upstream};

/// An upstream of these origins with this policy, and other fields.
fn with(origins: &[&Origin], policy: &Value, more: &Value) -> Setup {
    let mut stored = upstream(origins);
    if let Some(fields) = stored.as_object_mut() {
        fields.insert("lockgate".into(), policy.clone());
        fields.extend(more.as_object().cloned().unwrap_or_default());
    }
    Setup::new().put("routes/1", &json!({"uri": "/*", "upstream": stored}))
}

/// An origin that answers each request with a status that can be changed, and its name.
fn origin(name: &'static str, status: u16) -> (Origin, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(status));
    let told = status.clone();
    let origin = Origin::start(move |connection| {
        while let Some(_request) = connection.request() {
            let status = told.load(Relaxed);
            let length = name.len();
            connection.send(format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{name}"
            ));
        }
    });
    (origin, status)
}

/// What so many requests bring, sorted.
fn seen(gateway: &Gateway, count: usize) -> String {
    let mut seen: Vec<String> = (0..count).map(|_| gateway.get("/").text()).collect();
    seen.sort_unstable();
    seen.concat()
}

#[test]
fn another_node_is_asked_for_a_listed_status() {
    let ((a, _), (b, _)) = (origin("a", 503), origin("b", 200));
    let policy = json!({"retry": {"http_statuses": [503]}});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    assert_eq!(seen(&gateway, 6), "bbbbbb");
    // A request that may not be repeated gets what there is.
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    let mut statuses: Vec<u16> = (0..4).map(|_| gateway.ask(post).status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503, 503]);
}

#[test]
fn the_last_answer_is_passed_on_whatever_its_status() {
    let ((a, _), (b, _)) = (origin("a", 503), origin("b", 502));
    let policy = json!({"retry": {"http_statuses": [502, 503]}});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    for _ in 0..4 {
        let answer = gateway.get("/");
        assert!(matches!(
            (answer.status(), &*answer.text()),
            (503, "a") | (502, "b")
        ));
    }
    assert_eq!(a.requests().len() + b.requests().len(), 8);
}

#[test]
fn an_unsafe_request_is_repeated_with_its_body_where_that_is_asked_for() {
    let ((a, _), (b, _)) = (origin("a", 500), origin("b", 200));
    let policy = json!({"retry": {"http_statuses": [500], "non_idempotent": true}});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    for _ in 0..2 {
        assert_eq!(gateway.ask(post).text(), "b");
    }
    assert!(!a.requests().is_empty());
    assert!(
        b.requests()
            .iter()
            .all(|request| request.message.body == b"hi")
    );
}

#[test]
fn a_body_that_comes_late_is_sent_again_too() {
    let ((a, _), (b, _)) = (origin("a", 503), origin("b", 200));
    let policy = json!({"retry": {"http_statuses": [503]}});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    for _ in 0..4 {
        let mut client = gateway.client();
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhe");
        eventually("the head has arrived", || gateway.counts().requests > 0);
        client.send("re");
        assert_eq!(client.response().text(), "b");
    }
    assert!(
        b.requests()
            .iter()
            .all(|request| request.message.body == b"here")
    );
}

#[test]
fn a_client_that_leaves_gives_its_place_in_the_queue_up() {
    let (origin, release, held) = holding();
    let policy = json!({"limits": {"max_requests": 1, "max_pending": 1, "pending_timeout": 60}});
    let gateway = with(&[&origin], &policy, &json!({})).start();
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = gateway.client();
    first.send(get);
    eventually("the first is under way", || held.load(Relaxed) == 1);
    let mut leaving = gateway.client();
    leaving.send(get);
    assert!(leaving.hears_nothing_for(Duration::from_millis(100)));
    assert_eq!(gateway.get("/").status(), 503, "the queue is full");
    leaving.close();
    let mut second = gateway.client();
    eventually("there is room in the queue", || {
        second.send(get);
        let is_waiting = second.hears_nothing_for(Duration::from_millis(100));
        if !is_waiting {
            second.response();
        }
        is_waiting
    });
    release();
    assert_eq!(first.response().status(), 200);
    release();
    assert_eq!(second.response().status(), 200);
}

#[test]
fn a_budget_bounds_further_attempts() {
    let ((a, _), (b, _)) = (origin("a", 500), origin("b", 500));
    let policy = json!({"retry": {
        "http_statuses": [500], "budget": {"ratio": 0, "min_per_second": 0},
    }});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    for _ in 0..5 {
        assert_eq!(gateway.get("/").status(), 500);
    }
    assert_eq!(a.requests().len() + b.requests().len(), 5);
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up_though_the_timeouts_allow_it() {
    let (release, wait) = gate();
    let slow = Origin::start(move |connection| {
        while let Some(_request) = connection.request() {
            wait();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        }
    });
    let (b, _) = origin("b", 200);
    let policy = json!({"retry": {"per_try_timeout": 0.2, "backoff": {"base": 0.01}}});
    let gateway = with(&[&slow, &b], &policy, &json!({"retries": 1})).start();
    let began = Instant::now();
    assert_eq!(seen(&gateway, 4), "bbbb");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(!slow.requests().is_empty());
    release();
}

#[test]
fn a_failing_node_is_left_out_and_comes_back_by_itself() {
    let ((a, a_status), (b, _)) = (origin("a", 500), origin("b", 200));
    let policy = json!({"outlier": {
        "consecutive_failures": 2, "base_ejection": 0.3, "max_ejection": 0.3,
    }});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    // Begins with the first request, which does not count.
    eventually("the failing node is left out", || {
        seen(&gateway, 4) == "bbbb"
    });
    a_status.store(200, Relaxed);
    eventually("it comes back", || seen(&gateway, 4) == "aabb");
}

#[test]
fn not_all_nodes_are_left_out() {
    let ((a, _), (b, _)) = (origin("a", 500), origin("b", 500));
    let policy = json!({"outlier": {"consecutive_failures": 1, "base_ejection": 60}});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    eventually("one is left out", || {
        let seen = seen(&gateway, 4);
        seen == "aaaa" || seen == "bbbb"
    });
    let unhealthy = |gateway: &Gateway| {
        let shown = gateway.health();
        let nodes = shown.iter().flat_map(|upstream| &upstream.nodes);
        nodes
            .filter(|node| node.status.name() == "unhealthy")
            .count()
    };
    seen(&gateway, 10);
    assert_eq!(unhealthy(&gateway), 1);
}

/// An origin that holds each request until it is let go, and counts those it holds.
fn holding() -> (Origin, impl Fn(), Arc<AtomicUsize>) {
    let (release, wait) = gate();
    let held = Arc::new(AtomicUsize::new(0));
    let counter = held.clone();
    let origin = Origin::start(move |connection| {
        while let Some(_request) = connection.request() {
            counter.fetch_add(1, Relaxed);
            wait();
            counter.fetch_sub(1, Relaxed);
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    (origin, release, held)
}

#[test]
fn what_is_too_much_is_turned_away_or_waits_for_its_turn() {
    for limit in ["max_requests", "max_requests_per_node"] {
        let (origin, release, held) = holding();
        let policy = json!({"limits": {limit: 1, "max_pending": 1, "pending_timeout": 20}});
        let gateway = with(&[&origin], &policy, &json!({})).start();
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut first = gateway.client();
        first.send(get);
        eventually("the first is under way", || held.load(Relaxed) == 1);
        let mut second = gateway.client();
        second.send(get);
        assert!(second.hears_nothing_for(Duration::from_millis(100)));
        assert_eq!(gateway.get("/").status(), 503, "one waits already: {limit}");
        release();
        assert_eq!(first.response().status(), 200);
        release();
        assert_eq!(second.response().status(), 200);
    }
}

#[test]
fn a_request_does_not_wait_for_ever() {
    let (origin, release, held) = holding();
    let policy = json!({"limits": {"max_requests": 1, "max_pending": 9, "pending_timeout": 0.05}});
    let gateway = with(&[&origin], &policy, &json!({})).start();
    let mut first = gateway.client();
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the first is under way", || held.load(Relaxed) == 1);
    assert_eq!(gateway.get("/").status(), 503);
    release();
    assert_eq!(first.response().status(), 200);
}

#[test]
fn a_full_node_leaves_its_requests_to_the_others() {
    let (full, release, held) = holding();
    let (b, _) = origin("b", 200);
    let policy = json!({"limits": {"max_requests_per_node": 1}});
    let gateway = with(&[&full, &b], &policy, &json!({})).start();
    let mut first = gateway.client();
    while held.load(Relaxed) == 0 {
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let _answer_of_the_other = first.hears_nothing_for(Duration::from_millis(50));
        if held.load(Relaxed) == 0 {
            first.response();
        }
    }
    assert_eq!(seen(&gateway, 6), "bbbbbb");
    release();
    assert_eq!(first.response().text(), "ok");
}

#[test]
fn a_cookie_leads_back_to_the_node() {
    let ((a, _), (b, _)) = (origin("a", 200), origin("b", 200));
    let policy = json!({"sticky": {"cookie": "node", "max_age": 60}});
    let setup = with(&[&a, &b], &policy, &json!({}));
    let gateway = setup.start();
    let first = gateway.get("/");
    let set = first.field("set-cookie").expect("a cookie").to_owned();
    let (cookie, attributes) = set.split_once(';').expect("attributes");
    assert_eq!(attributes, " Path=/; Max-Age=60; HttpOnly");
    let name = first.text();
    let ask = |cookie: &str| {
        gateway.ask(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; {cookie}\r\n\r\n"
        ))
    };
    for _ in 0..5 {
        let again = ask(cookie);
        assert_eq!(
            (again.text(), again.field("set-cookie")),
            (name.clone(), None)
        );
    }
    // A name that no node has: another node, and a new name.
    assert!(ask("node=0123456789abcdef").field("set-cookie").is_some());
}

#[test]
fn a_client_whose_node_is_dead_gets_another() {
    let (a, _) = origin("a", 200);
    let (b, _) = origin("b", 200);
    let policy = json!({"sticky": {}});
    let gateway = with(&[&a, &b], &policy, &json!({})).start();
    let cookie_of = |name: &str| {
        let mut answers = (0..20).map(|_| gateway.get("/"));
        let answer = answers.find(|answer| answer.text() == name).expect("seen");
        let set = answer.field("set-cookie").expect("a cookie");
        set.split(';').next().expect("a value").to_owned()
    };
    let cookie = cookie_of("a");
    drop(a);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
    let answer = gateway.ask(request);
    assert_eq!(answer.text(), "b");
    let set = answer.field("set-cookie").expect("a new name");
    assert!(set.starts_with("lockgate_node=") && !set.starts_with(&cookie));
}

#[test]
fn a_new_node_gets_its_share_bit_by_bit() {
    let ((a, _), (b, _)) = (origin("a", 200), origin("b", 200));
    let object = |origins: &[&Origin]| {
        let mut stored = upstream(origins);
        if let Some(fields) = stored.as_object_mut() {
            fields.insert("lockgate".into(), json!({"slow_start": 1}));
        }
        json!({"uri": "/*", "upstream": stored})
    };
    let gateway = Setup::new().put("routes/1", &object(&[&a])).start();
    let began = Instant::now();
    eventually("the first has its whole share", || {
        began.elapsed() > Duration::from_millis(1100)
    });
    gateway.put("routes/1", &object(&[&a, &b]));
    let joined = Instant::now();
    let early = seen(&gateway, 100).matches('b').count();
    if joined.elapsed() < Duration::from_millis(300) {
        assert!(early < 35, "{early} of 100 at once");
    }
    eventually("the second has its whole share", || {
        seen(&gateway, 40).matches('b').count() == 20
    });
}
