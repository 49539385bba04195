use std::time::{Duration, Instant};

use lockgate_plugin::testing::{Kit, Request, Tested};
use serde_json::{Value, json};

use super::*;

/// A configuration with some members more.
fn plugin(kit: &Kit, more: &Value) -> Tested {
    let mut config = json!({"rate": 2, "burst": 1, "key": "remote_addr", "nodelay": true});
    let members = config.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    kit.plugin::<LimitReq>(&config).expect("a configuration")
}

fn at(milliseconds: u64) -> Request {
    Request::get("/").at(Duration::from_secs(1_700_000_000) + Duration::from_millis(milliseconds))
}

/// Status; 0 for requests that go on.
fn ask(plugin: &Tested, mut request: Request) -> u16 {
    plugin.access(&mut request).map_or(0, |reply| reply.status)
}

#[test]
fn lets_pass_what_leaks_out_in_time() {
    let plugin = plugin(&Kit::new(), &json!({}));
    // Two per second and one in excess.
    for (milliseconds, status) in [
        (0, 0),
        (0, 0),
        (0, 503),
        (499, 503),
        (500, 0),
        (1_500, 0),
        (1_500, 0),
        (1_500, 503),
    ] {
        assert_eq!(ask(&plugin, at(milliseconds)), status, "{milliseconds}");
    }
}

#[test]
fn refuses_as_configured() {
    for (more, status, body) in [
        (json!({}), 503, ""),
        (json!({"rejected_code": 429}), 429, ""),
        (
            json!({"rejected_msg": "slow down"}),
            503,
            "{\"error_msg\":\"slow down\"}\n",
        ),
    ] {
        let mut more = more;
        more["burst"] = json!(0);
        let plugin = plugin(&Kit::new(), &more);
        assert_eq!(ask(&plugin, at(0)), 0, "{more}");
        let reply = plugin.access(&mut at(0)).expect("a refusal");
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (status, body),
            "{more}"
        );
    }
}

#[test]
fn what_is_in_excess_waits_for_its_turn() {
    let kit = Kit::new();
    let plugin = plugin(&kit, &json!({"rate": 20, "burst": 5, "nodelay": false}));
    let took = |request: Request| {
        let began = Instant::now();
        assert_eq!(ask(&plugin, request), 0);
        began.elapsed()
    };
    took(at(0));
    for expected_ms in [50, 100] {
        assert!(
            took(at(0)) >= Duration::from_millis(expected_ms),
            "{expected_ms}"
        );
    }
}

#[test]
fn tells_requests_apart_by_the_key() {
    for (more, one, other, are_apart) in [
        (json!({}), "10.0.0.1", "10.0.0.2", true),
        (json!({"key": "http_host"}), "10.0.0.1", "10.0.0.2", false),
        (json!({"key": "http_none"}), "10.0.0.1", "10.0.0.2", true),
        (
            json!({"key": "$http_none$remote_addr", "key_type": "var_combination"}),
            "10.0.0.1",
            "10.0.0.2",
            true,
        ),
    ] {
        let mut more = more;
        more["burst"] = json!(0);
        let plugin = plugin(&Kit::new(), &more);
        assert_eq!(ask(&plugin, at(0).from(one)), 0, "{more}");
        let expected = if are_apart { 0 } else { 503 };
        assert_eq!(ask(&plugin, at(0).from(other)), expected, "{more}");
    }
}

#[test]
fn the_same_configuration_goes_on_and_another_one_begins_anew() {
    let kit = Kit::new();
    let ask = |more: Value| ask(&plugin(&kit, &more), at(0));
    assert_eq!(ask(json!({"burst": 0})), 0);
    assert_eq!(ask(json!({"burst": 0})), 503);
    assert_eq!(ask(json!({"burst": 0, "rejected_code": 429})), 0);
}

#[test]
fn a_rate_without_end_is_refused() {
    let config = json!({"rate": 1e308, "burst": 0, "key": "remote_addr"});
    assert!(Kit::new().plugin::<LimitReq>(&config).is_err());
}
