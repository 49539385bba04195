use std::time::{Duration, Instant};

use lockgate_plugin::testing::{Kit, Request, Tested};
use serde_json::{Value, json};

use super::*;

/// A configuration with some members more.
fn plugin(kit: &Kit, more: &Value) -> Tested {
    let mut config = json!({"default_conn_delay": 0.05});
    let members = config.as_object_mut().expect("an object");
    if more.get("rules").is_none() {
        let rest = json!({"conn": 1, "burst": 0, "key": "remote_addr"});
        members.extend(rest.as_object().expect("an object").clone());
    }
    members.extend(more.as_object().expect("an object").clone());
    kit.plugin::<LimitConn>(&config).expect("a configuration")
}

/// A request that asks, and its status: 0 for those that go on.
fn ask(plugin: &Tested, mut request: Request) -> (u16, Request) {
    let reply = plugin.access(&mut request);
    (reply.map_or(0, |reply| reply.status), request)
}

#[test]
fn as_many_as_there_is_room_for_are_under_way() {
    for burst in [0, 1] {
        let kit = Kit::new();
        let plugin = plugin(
            &kit,
            &json!({"conn": 2, "burst": burst, "default_conn_delay": 0.002}),
        );
        let mut under_way = Vec::new();
        for _ in 0..2 + burst {
            let (status, request) = ask(&plugin, Request::get("/"));
            assert_eq!(status, 0);
            under_way.push(request);
        }
        for _ in 0..3 {
            let (status, mut refused) = ask(&plugin, Request::get("/"));
            assert_eq!(status, 503);
            plugin.log(&mut refused);
        }
        // One that is logged leaves, once, and so does one that is lost.
        let mut logged = under_way.pop().expect("a request");
        plugin.log(&mut logged);
        let (status, next) = ask(&plugin, Request::get("/"));
        assert_eq!(status, 0);
        drop(logged);
        assert_eq!(ask(&plugin, Request::get("/")).0, 503);
        drop(next);
        assert_eq!(ask(&plugin, Request::get("/")).0, 0);
    }
}

#[test]
fn those_beyond_wait_by_how_far_they_are() {
    let plugin = plugin(&Kit::new(), &json!({"conn": 1, "burst": 2}));
    let mut under_way = Vec::new();
    for at_least_ms in [0, 50, 100] {
        let began = Instant::now();
        under_way.push(ask(&plugin, Request::get("/")));
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(at_least_ms), "{took:?}");
    }
    assert!(under_way.iter().all(|(status, _)| *status == 0));
}

#[test]
fn refuses_as_configured() {
    for (more, status, body) in [
        (json!({}), 503, ""),
        (json!({"rejected_code": 429}), 429, ""),
        (
            json!({"rejected_msg": "too many"}),
            503,
            "{\"error_msg\":\"too many\"}\n",
        ),
    ] {
        let plugin = plugin(&Kit::new(), &more);
        let _under_way = ask(&plugin, Request::get("/"));
        let reply = plugin.access(&mut Request::get("/")).expect("a refusal");
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (status, body),
            "{more}"
        );
    }
}

#[test]
fn limits_may_be_variables() {
    let config = json!({"conn": "${http_most ?? 1}", "burst": "${http_burst ?? 0}"});
    let plugin = plugin(&Kit::new(), &config);
    let asking = |fields: &[(&str, &str)]| {
        let request = fields
            .iter()
            .fold(Request::get("/"), |request, (name, value)| {
                request.header(name, value)
            });
        ask(&plugin, request)
    };
    let _under_way = asking(&[]);
    for (fields, status) in [
        (&[] as &[_], 503),
        (&[("most", "2")], 0),
        (&[("burst", "1")], 0),
        (&[("most", "0")], 500),
        (&[("most", "x")], 500),
        (&[("burst", "-1")], 500),
    ] {
        assert_eq!(asking(fields).0, status, "{fields:?}");
    }
}

#[test]
fn uncounted_requests_pass_where_that_is_allowed() {
    let config = json!({"conn": "$http_none", "allow_degradation": true});
    let plugin = plugin(&Kit::new(), &config);
    assert_eq!(ask(&plugin, Request::get("/")).0, 0);
}

#[test]
fn of_several_rules_those_apply_whose_keys_are_there() {
    let plugin = plugin(
        &Kit::new(),
        &json!({"rules": [
            {"conn": 1, "burst": 0, "key": "$http_a"},
            {"conn": "${http_most ?? 2}", "burst": 0, "key": "b:$http_b"},
        ]}),
    );
    let asking = |fields: &[(&str, &str)]| {
        let request = fields
            .iter()
            .fold(Request::get("/"), |request, (name, value)| {
                request.header(name, value)
            });
        ask(&plugin, request)
    };
    assert_eq!(asking(&[]).0, 500);
    let (status, both) = asking(&[("a", "x"), ("b", "x")]);
    assert_eq!(status, 0);
    assert_eq!(asking(&[("a", "x")]).0, 503);
    let (status, second) = asking(&[("b", "x")]);
    assert_eq!(status, 0);
    // The place that it has by the first is given back when it is refused by the second.
    assert_eq!(asking(&[("a", "y"), ("b", "x")]).0, 503);
    assert_eq!(asking(&[("a", "y")]).0, 0);
    drop((both, second));
    // A limit that is none does not apply.
    assert_eq!(asking(&[("a", "x"), ("b", "x"), ("most", "-")]).0, 0);
    assert_eq!(asking(&[("b", "x"), ("most", "-")]).0, 500);
}

#[test]
fn configurations_of_one_object_count_apart() {
    let kit = Kit::new();
    let (status, _under_way) = ask(&plugin(&kit, &json!({})), Request::get("/"));
    assert_eq!(status, 0);
    assert_eq!(ask(&plugin(&kit, &json!({})), Request::get("/")).0, 503);
    assert_eq!(
        ask(&plugin(&kit, &json!({"_vid": 1})), Request::get("/")).0,
        0
    );
}
