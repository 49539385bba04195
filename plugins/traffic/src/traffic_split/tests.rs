//! Rules, with shares that go where the route says: upstreams are tested over sockets.

use lockgate_plugin::testing::{Kit, Request};
use serde_json::json;

use super::*;

#[test]
fn refuses_what_the_schema_cannot() {
    let kit = Kit::new();
    let config = json!({"rules": [{"match": [{"vars": [["arg_name", "jack"]]}]}]});
    assert!(kit.plugin::<TrafficSplit>(&config).is_ok());
    let config = json!({"rules": [{"match": [{"vars": [["arg_name", "===", "jack"]]}]}]});
    let error = kit.plugin::<TrafficSplit>(&config).expect_err("a refusal");
    let begin = "failed to validate the 'vars' expression: ";
    assert!(error.to_string().starts_with(begin), "{error}");
}

#[test]
fn an_upstream_that_does_not_exist_is_said_when_its_rule_is_reached() {
    let missing = json!({"weighted_upstreams": [{"upstream_id": 7}]});
    let jack = json!({"match": [{"vars": [["arg_name", "==", "jack"]]}]});
    let sentence = "failed to fetch upstream info by upstream id: 7";
    for (rules, target, expected) in [
        (json!([missing]), "/", Some(sentence)),
        (json!([jack, missing]), "/?name=jack", None),
        (json!([jack, missing]), "/?name=jill", Some(sentence)),
        (json!([]), "/", None),
    ] {
        let plugin = Kit::new().plugin::<TrafficSplit>(&json!({"rules": rules}));
        let reply = plugin.expect("a plugin").access(&mut Request::get(target));
        assert_eq!(
            reply.as_ref().map(|reply| reply.status),
            expected.map(|_| 500)
        );
        assert_eq!(reply.map(Reply::text).as_deref(), expected, "{target}");
    }
}
