//! Which node is asked, and which next.

use std::time::Duration;

use lockgate_testkit::{Gateway, Origin, Setup, eventually};
use serde_json::{Value, json};

use crate::{GET, OK, gate, upstream};

/// Names of the nodes in the order in which requests reach them.
fn order(gateway: &Gateway, count: usize) -> String {
    let mut client = gateway.client();
    (0..count).map(|_| client.get("/").text()).collect()
}

fn gateway(upstream: &Value) -> Gateway {
    Setup::new()
        .put("routes/1", &json!({"uri": "/*", "upstream": upstream}))
        .with(|setup| setup.log_format = "$status $upstream_status".into())
        .start()
}

#[test]
fn follows_the_cycle_of_the_reference() {
    let [a, b, c] = ["a", "b", "c"].map(Origin::saying);
    let mut stored = upstream(&[&a, &b, &c]);
    stored["nodes"][0]["weight"] = json!(5);
    let gateway = gateway(&stored);
    // The start is by chance: two cycles hold one whole.
    let seen = order(&gateway, 14);
    let at = seen.find("bc").expect("both light nodes") + 2;
    assert_eq!(&seen[at..at + 7], "aaaaabc");
    stored["nodes"][1]["weight"] = json!(0);
    gateway.put("routes/1", &json!({"uri": "/*", "upstream": stored}));
    let seen = order(&gateway, 12);
    assert_eq!(
        (seen.matches('a').count(), seen.matches('c').count()),
        (10, 2),
        "{seen}"
    );
}

#[test]
fn lower_priorities_wait_until_the_higher_were_tried() {
    let [high, low] = ["h", "l"].map(Origin::saying);
    let mut stored = upstream(&[&high, &low]);
    stored["nodes"][1]["priority"] = json!(-1);
    let gateway = gateway(&stored);
    assert_eq!(order(&gateway, 4), "hhhh");
    drop(high);
    assert_eq!(order(&gateway, 2), "ll");
}

/// An origin that ends connections without an answer once it has read the request.
fn leaving() -> Origin {
    Origin::start(|connection| {
        connection.request();
    })
}

#[test]
fn another_node_is_asked_where_the_first_cannot_have_acted() {
    for (method, is_retried) in [
        ("GET", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
        ("LOCK", false),
    ] {
        let [bad, good] = [leaving(), Origin::answering(OK)];
        let mut stored = upstream(&[&bad, &good]);
        stored["nodes"][1]["priority"] = json!(-1);
        let gateway = gateway(&stored);
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        let answer = gateway.ask(&request);
        assert_eq!(answer.status() == 200, is_retried, "{method}");
        let told = if is_retried { None } else { Some("502") };
        assert_eq!(answer.field("x-apisix-upstream-status"), told);
        assert_eq!(
            gateway.log_line(),
            if is_retried {
                "200 502, 200"
            } else {
                "502 502"
            }
        );
        if is_retried {
            assert_eq!(good.last().text(), "hello");
        }
        // A node that cannot be reached has not acted, whatever the method.
        drop(bad);
        assert_eq!(gateway.ask(&request).status(), 200, "{method}");
        assert_eq!(gateway.log_line(), "200 502, 200");
    }
}

#[test]
fn a_status_or_nonsense_is_an_answer() {
    let good = Origin::answering(OK);
    for (response, status) in [
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503),
        ("nonsense\r\n\r\n", 502),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            502,
        ),
    ] {
        let bad = Origin::answering(response);
        let mut stored = upstream(&[&bad, &good]);
        stored["nodes"][1]["priority"] = json!(-1);
        assert_eq!(gateway(&stored).get("/").status(), status);
    }
    assert_eq!(good.connections(), 0);
}

#[test]
fn retries_are_as_many_as_the_upstream_says() {
    for (retries, attempts) in [
        (json!(null), 3),
        (json!(0), 1),
        (json!(1), 2),
        (json!(9), 3),
    ] {
        let origins = [leaving(), leaving(), leaving()];
        let [a, b, c] = &origins;
        let mut stored = upstream(&[a, b, c]);
        if !retries.is_null() {
            stored["retries"] = retries;
        }
        let gateway = gateway(&stored);
        assert_eq!(gateway.get("/").status(), 502);
        let tried: usize = origins.iter().map(|origin| origin.requests().len()).sum();
        assert_eq!(tried, attempts);
        let statuses = vec!["502"; attempts].join(", ");
        assert_eq!(gateway.log_line(), format!("502 {statuses}"));
    }
    // A lone node is asked again.
    let lone = leaving();
    let mut stored = upstream(&[&lone]);
    stored["retries"] = json!(2);
    assert_eq!(gateway(&stored).get("/").status(), 502);
    assert_eq!(lone.requests().len(), 3);
}

#[test]
fn a_lone_dead_node_is_not_asked_without_end() {
    let dead = Origin::saying("x");
    let mut stored = upstream(&[&dead]);
    stored["retries"] = json!(1_000_000_000);
    drop(dead);
    let gateway = gateway(&stored);
    assert_eq!(gateway.get("/").status(), 502);
    assert_eq!(gateway.log_line().matches("502").count(), 102);
}

#[test]
fn no_attempt_begins_when_the_time_for_all_is_over() {
    let silent = || {
        Origin::start(|connection| {
            connection.request();
            connection.rest();
        })
    };
    let [a, b] = [silent(), silent()];
    let mut stored = upstream(&[&a, &b]);
    stored["timeout"] = json!({"connect": 5, "send": 5, "read": 0.1});
    stored["retry_timeout"] = json!(0.05);
    let answer = gateway(&stored).get("/");
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.field("x-apisix-upstream-status"), Some("504"));
    stored["retry_timeout"] = json!(0);
    let answer = gateway(&stored).get("/");
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.field("x-apisix-upstream-status"), Some("504, 504"));
}

#[test]
fn a_body_up_to_a_limit_is_kept_for_another_attempt() {
    for (size, is_retried) in [(1000, true), (60_000, true), (300_000, false)] {
        let bad = Origin::start(|connection| {
            connection.request();
        });
        let good = Origin::answering(OK);
        let mut stored = upstream(&[&bad, &good]);
        stored["nodes"][1]["priority"] = json!(-1);
        let gateway = gateway(&stored);
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut client = gateway.client();
        client.send(format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        ));
        client.send(&body);
        assert_eq!(client.response().status() == 200, is_retried, "{size}");
        if is_retried {
            assert_eq!(good.last().body, body);
            assert_eq!(client.get("/").status(), 200);
        }
    }
}

#[test]
fn a_kept_connection_that_died_is_replaced_without_a_failure() {
    let (release, released) = gate();
    let origin = Origin::start(move |connection| {
        connection.request();
        connection.send(OK);
        if connection.number == 0 {
            // Closed at the very moment of the next request: after it was read, before it was answered.
            connection.head();
            released();
            return;
        }
        while connection.request().is_some() {
            connection.send(OK);
        }
    });
    let gateway = gateway(&upstream(&[&origin]));
    let mut client = gateway.client();
    assert_eq!(client.get("/").status(), 200);
    client.send(GET);
    release();
    assert_eq!(client.response().text(), "ok");
    assert_eq!(origin.connections(), 2);
    gateway.log_line();
    assert_eq!(gateway.log_line(), "200 200");
}

#[test]
fn keeps_as_many_connections_as_the_pool_allows() {
    let pool = |size: u32, idle: f64, requests: u32| json!({"size": size, "idle_timeout": idle, "requests": requests});
    for (pool, expected) in [
        (pool(10, 60.0, 1000), 3),
        // One of three is kept.
        (pool(1, 60.0, 1000), 5),
        // Each carries two requests.
        (pool(10, 60.0, 2), 3),
        (pool(10, 60.0, 1), 6),
    ] {
        let (release, released) = gate();
        let origin = Origin::start(move |connection| {
            while connection.request().is_some() {
                released();
                if !connection.send(OK) {
                    break;
                }
            }
        });
        let mut stored = upstream(&[&origin]);
        stored["keepalive_pool"] = pool.clone();
        let gateway = gateway(&stored);
        for round in 1..=2 {
            let mut clients = [gateway.client(), gateway.client(), gateway.client()];
            for client in &mut clients {
                client.send(GET);
            }
            eventually("all three arrived", || origin.requests().len() == round * 3);
            for _ in 0..3 {
                release();
            }
            for client in &mut clients {
                assert_eq!(client.response().status(), 200);
            }
        }
        assert_eq!(origin.connections(), expected, "{pool}");
    }
}

#[test]
fn an_idle_connection_goes_when_its_time_is_over() {
    let (gone, is_gone) = std::sync::mpsc::channel();
    let origin = Origin::start(move |connection| {
        while connection.request().is_some() {
            connection.send(OK);
        }
        let _test_over = gone.send(());
    });
    let mut stored = upstream(&[&origin]);
    stored["keepalive_pool"] = json!({"size": 5, "idle_timeout": 0.1, "requests": 10});
    let gateway = gateway(&stored);
    assert_eq!(gateway.get("/").status(), 200);
    is_gone
        .recv_timeout(Duration::from_secs(5))
        .expect("closed");
}
