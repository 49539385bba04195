use std::time::Duration;

use lockgate_plugin::testing::{Kit, Request, Tested};
use serde_json::{Value, json};

use super::*;

/// A configuration with some members more, in a kit of its own.
fn plugin(kit: &Kit, more: &Value) -> Tested {
    let mut config = json!({});
    let members = config.as_object_mut().expect("an object");
    if more.get("rules").is_none() {
        members.insert("count".into(), json!(2));
        members.insert("time_window".into(), json!(60));
    }
    members.extend(more.as_object().expect("an object").clone());
    kit.plugin::<LimitCount>(&config).expect("a configuration")
}

/// Status (0 for requests that go on) and fields `X-RateLimit-*` of a request.
fn ask(plugin: &Tested, mut request: Request) -> (u16, [Option<String>; 3]) {
    let status = plugin.access(&mut request).map_or(0, |reply| reply.status);
    let fields = ["Limit", "Remaining", "Reset"];
    let fields = fields.map(|name| request.answered(&format!("X-RateLimit-{name}")));
    (status, fields)
}

fn shown(limit: &str, remaining: &str, reset: &str) -> [Option<String>; 3] {
    [limit, remaining, reset].map(|text| Some(text.to_owned()))
}

fn at(seconds: f64) -> Request {
    Request::get("/").at(Duration::from_secs(1_700_000_000) + Duration::from_secs_f64(seconds))
}

#[test]
fn counts_down_and_refuses_until_the_window_ends() {
    let plugin = plugin(&Kit::new(), &json!({}));
    for (seconds, status, remaining, reset) in [
        (0.0, 0, "1", "60"),
        (1.239, 0, "0", "58.76"),
        (2.5, 503, "0", "57.5"),
        (60.0, 0, "1", "60"),
    ] {
        let expected = (status, shown("2", remaining, reset));
        assert_eq!(ask(&plugin, at(seconds)), expected, "{seconds}");
    }
}

#[test]
fn a_sliding_window_counts_what_was_before() {
    let plugin = plugin(&Kit::new(), &json!({"window_type": "sliding"}));
    // Windows of a minute begin at the full one, which 1 700 000 000 is 20 seconds behind.
    for (seconds, status, remaining, reset) in [
        (0.0, 0, "1", "40"),
        (1.0, 0, "0", "39"),
        (2.0, 503, "0", "38"),
        // 1.8 of the two count: below the limit, so that one more passes.
        (45.0, 0, "-1", "55"),
        (46.0, 503, "0", "0"),
        (130.0, 0, "0", "30"),
    ] {
        let (found, fields) = ask(&plugin, at(seconds));
        assert_eq!(
            (found, &fields[1]),
            (status, &Some(remaining.into())),
            "{seconds}"
        );
        if status == 0 {
            assert_eq!(fields, shown("2", remaining, reset), "{seconds}");
        }
    }
}

#[test]
fn refuses_as_configured() {
    for (more, status, body) in [
        (json!({}), 503, ""),
        (json!({"rejected_code": 429}), 429, ""),
        (
            json!({"rejected_code": 403, "rejected_msg": "Requests are too frequent."}),
            403,
            "{\"error_msg\":\"Requests are too frequent.\"}\n",
        ),
    ] {
        let plugin = plugin(&Kit::new(), &more);
        for _ in 0..2 {
            assert!(plugin.access(&mut at(0.0)).is_none());
        }
        let reply = plugin.access(&mut at(0.0)).expect("a refusal");
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (status, body),
            "{more}"
        );
    }
}

#[test]
fn hides_what_is_left_where_that_is_asked_for() {
    let plugin = plugin(
        &Kit::new(),
        &json!({"count": 1, "show_limit_quota_header": false}),
    );
    assert_eq!(ask(&plugin, at(0.0)), (0, [None, None, None]));
    assert_eq!(ask(&plugin, at(0.0)), (503, [None, None, None]));
}

#[test]
fn tells_requests_apart_by_the_key() {
    let from = |address: &str, user: Option<&str>| {
        let request = at(0.0).from(address);
        match user {
            Some(user) => request.header("user", user),
            None => request,
        }
    };
    for (more, one, other, are_apart) in [
        (
            json!({}),
            from("10.0.0.1", None),
            from("10.0.0.2", None),
            true,
        ),
        (
            json!({"key": "http_user"}),
            from("10.0.0.1", Some("a")),
            from("10.0.0.1", Some("b")),
            true,
        ),
        (
            json!({"key": "http_user"}),
            from("10.0.0.1", Some("a")),
            from("10.0.0.2", Some("a")),
            false,
        ),
        // Whoever has no user is told apart by the address.
        (
            json!({"key": "http_user"}),
            from("10.0.0.1", None),
            from("10.0.0.2", None),
            true,
        ),
        (
            json!({"key": "$remote_addr $http_user", "key_type": "var_combination"}),
            from("10.0.0.1", Some("a")),
            from("10.0.0.1", Some("b")),
            true,
        ),
        (
            json!({"key": "http_user", "key_type": "constant"}),
            from("10.0.0.1", Some("a")),
            from("10.0.0.2", Some("b")),
            false,
        ),
    ] {
        let mut more = more;
        more["count"] = json!(1);
        let plugin = plugin(&Kit::new(), &more);
        assert_eq!(ask(&plugin, one).0, 0, "{more}");
        let expected = if are_apart { 0 } else { 503 };
        assert_eq!(ask(&plugin, other).0, expected, "{more}");
    }
}

#[test]
fn the_same_configuration_counts_on_and_another_one_anew() {
    let kit = Kit::new();
    let count = |more: Value| ask(&plugin(&kit, &more), at(0.0)).0;
    assert_eq!(count(json!({"count": 1})), 0);
    assert_eq!(count(json!({"count": 1})), 503);
    assert_eq!(count(json!({"count": 1, "_meta": {"priority": 5}})), 503);
    assert_eq!(count(json!({"count": 1, "rejected_code": 429})), 0);
    assert_eq!(count(json!({"count": 1, "_vid": 1})), 0);
    assert_eq!(count(json!({"count": 1, "_vid": 2})), 0);
}

#[test]
fn members_of_a_group_count_together() {
    let kit = Kit::new();
    let member = |code: u16| {
        let config = json!({"count": 1, "group": "g", "key": "g", "key_type": "constant", "rejected_code": code});
        plugin(&kit, &config)
    };
    // Different codes, so that what they share is the group and not the configuration.
    assert_eq!(ask(&member(429), at(0.0)).0, 0);
    assert_eq!(ask(&member(403), at(0.0)).0, 403);
}

#[test]
fn limits_may_be_variables() {
    let kit = Kit::new();
    let config = json!({"count": "$http_count", "time_window": "${http_window ?? 10}"});
    let plugin = plugin(&kit, &config);
    let with = |fields: &[(&str, &str)]| {
        fields.iter().fold(at(0.0), |request, (name, value)| {
            request.header(name, value)
        })
    };
    for (fields, expected) in [
        (&[("count", "5")] as &[_], (0, shown("5", "4", "10"))),
        (
            &[("count", "3"), ("window", "20")],
            (0, shown("3", "1", "10")),
        ),
        (&[("count", "2")], (503, shown("2", "0", "10"))),
        (&[], (500, [None, None, None])),
        (&[("count", "0")], (500, [None, None, None])),
        (
            &[("count", "5"), ("window", "x")],
            (500, [None, None, None]),
        ),
    ] {
        assert_eq!(ask(&plugin, with(fields)), expected, "{fields:?}");
    }
}

#[test]
fn uncounted_requests_pass_where_that_is_allowed() {
    let config = json!({"count": "$http_count", "allow_degradation": true});
    let plugin = plugin(&Kit::new(), &config);
    assert_eq!(ask(&plugin, at(0.0)), (0, [None, None, None]));
}

#[test]
fn of_several_rules_those_apply_whose_keys_are_there() {
    let kit = Kit::new();
    let plugin = plugin(
        &kit,
        &json!({"rules": [
            {"count": 1, "time_window": 10, "key": "$http_a"},
            {"count": "${http_most ?? 5}", "time_window": 20, "key": "b:$http_b", "header_prefix": "B"},
            {"count": 1, "time_window": 1, "key": "no variable"},
        ]}),
    );
    let run = |fields: &[(&str, &str)]| {
        let mut request = fields.iter().fold(at(0.0), |request, (name, value)| {
            request.header(name, value)
        });
        let status = plugin.access(&mut request).map_or(0, |reply| reply.status);
        let left = |prefix: &str| request.answered(&format!("X-{prefix}-RateLimit-Remaining"));
        (status, left("1"), left("B"))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(run(&[]), (500, None, None));
    assert_eq!(run(&[("a", "x"), ("b", "x")]), (0, text("0"), text("4")));
    assert_eq!(run(&[("b", "x")]), (0, None, text("3")));
    // Refused by the first, so that the second does not count.
    assert_eq!(run(&[("a", "x"), ("b", "x")]), (503, text("0"), None));
    assert_eq!(run(&[("b", "x")]), (0, None, text("2")));
    // Nothing counts where a limit is none.
    assert_eq!(
        run(&[("a", "y"), ("b", "x"), ("most", "-")]),
        (500, None, None)
    );
    assert_eq!(run(&[("a", "y")]), (0, text("0"), None));
}

#[test]
fn metadata_names_the_fields() {
    let kit = Kit::new();
    let one = plugin(&kit, &json!({}));
    let rule = json!({"count": 1, "time_window": 10, "key": "$http_a", "header_prefix": "P"});
    let several = plugin(&kit, &json!({"rules": [rule]}));
    let names = json!({"limit_header": "A-RateLimit-Most", "remaining_header": "Left"});
    kit.metadata::<LimitCount>(&names).expect("metadata");
    for (plugin, limit, reset) in [
        (one, "A-RateLimit-Most", "X-RateLimit-Reset"),
        (several, "A-P-RateLimit-Most", "X-P-RateLimit-Reset"),
    ] {
        let mut request = at(0.0).header("a", "1");
        assert!(plugin.access(&mut request).is_none());
        for name in [limit, "Left", reset] {
            assert!(request.answered(name).is_some(), "{name}");
        }
        assert!(request.answered("X-RateLimit-Limit").is_none());
    }
}

#[test]
fn logs_are_told_what_was_counted() {
    let plugin = plugin(&Kit::new(), &json!({"key": "http_host"}));
    let mut request = at(0.0).header("host", "a");
    assert!(plugin.access(&mut request).is_none());
    let ex = Exchange::new(&mut request);
    let info = ex.variable("rate_limiting_info").expect("something");
    let info: Value = serde_json::from_slice(&info).expect("JSON");
    let key = info["rate_limiting_key"].as_str().expect("a key");
    let (object, key) = key.split_once(':').expect("an object");
    let (version, value) = key.split_once(':').expect("a version");
    assert_eq!((object, value), ("/apisix/routes/1", "localhost"));
    assert!(version.parse::<u32>().is_ok(), "{version}");
    let rest = ["limit", "remaining", "reset"].map(|name| &info[format!("rate_limiting_{name}")]);
    assert_eq!(rest, [&json!(2), &json!(1), &json!(60)]);
}

#[test]
fn refuses_what_the_schema_cannot() {
    let kit = Kit::new();
    let redis = |interval: f64| json!({"count": 1, "time_window": 60, "policy": "redis", "redis_host": "127.0.0.1", "sync_interval": interval});
    let rule = |key: &str| json!({"count": 1, "time_window": 60, "key": key});
    for (config, sentence) in [
        (
            json!({"rules": [rule("$a"), rule("$a")]}),
            "duplicate key '$a' in rules",
        ),
        (
            json!({"rules": [rule("$a")], "group": "g"}),
            "group and rules cannot be specified at the same time",
        ),
        (
            json!({"count": 1, "time_window": 60, "group": "g", "_vid": 1}),
            "group is not supported",
        ),
        (redis(0.05), "sync_interval should not be smaller than 0.1"),
        (
            redis(60.0),
            "sync_interval should be smaller than time_window",
        ),
    ] {
        let error = kit.plugin::<LimitCount>(&config).expect_err("a refusal");
        assert_eq!(error.to_string(), sentence, "{config}");
    }
}
