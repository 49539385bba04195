//! Shares of the traffic go to other upstreams.

use std::collections::BTreeMap;

use lockgate_testkit::{Certificate, Client, Gateway, Origin};
use serde_json::{Value, json};

use crate::{get, route, setup};

/// How often each origin answers one client's requests, all of which one worker serves.
fn answers(gateway: &Gateway, path: &str, count: usize) -> BTreeMap<String, usize> {
    let mut client = Client::connect(gateway.address);
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        *answers.entry(client.get(path).text()).or_default() += 1;
    }
    answers
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

fn split(rules: &Value) -> Value {
    json!({"traffic-split": {"rules": rules}})
}

#[test]
fn upstreams_take_turns_by_their_weights() {
    let [own, inline, named] = ["own", "inline", "named"].map(Origin::saying);
    let rules = json!([{"weighted_upstreams": [
        {"upstream": {"type": "roundrobin", "nodes": {inline.node(): 1}}, "weight": 3},
        {"upstream_id": 7, "weight": 2},
        {"weight": 5},
    ]}]);
    let gateway = setup()
        .put("upstreams/7", &json!({"nodes": {named.node(): 1}}))
        .put("routes/1", &route(&own, &split(&rules)))
        .start_silent();
    let expected = counts([("inline", 6), ("named", 4), ("own", 10)]);
    assert_eq!(answers(&gateway, "/", 20), expected);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let [own, jack, other] = ["own", "jack", "other"].map(Origin::saying);
    let to = |origin: &Origin| json!([{"upstream": {"nodes": {origin.node(): 1}}}]);
    let rules = json!([
        {
            "match": [{"vars": [["arg_name", "==", "jack"], ["http_age", ">", "23"]]}, {"vars": [["arg_name", "==", "rose"]]}],
            "weighted_upstreams": to(&jack),
        },
        {"match": [{"vars": [["arg_name", "~~", "^o"]]}], "weighted_upstreams": to(&other)},
    ]);
    let gateway = setup()
        .put("routes/1", &route(&own, &split(&rules)))
        .start_silent();
    for (path, fields, expected) in [
        ("/?name=jack", "Age: 30\r\n", "jack"),
        ("/?name=jack", "Age: 20\r\n", "own"),
        ("/?name=rose", "", "jack"),
        ("/?name=otto", "", "other"),
        ("/", "", "own"),
    ] {
        assert_eq!(get(&gateway, path, fields).text(), expected, "{path}");
    }
}

#[test]
fn an_upstream_of_the_plugins_says_what_the_node_is_told() {
    let own = Origin::saying("own");
    let certificate = Certificate::of(&["a.test"]);
    let inline = Origin::start_tls(&certificate, |connection| {
        while connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ninline");
        }
    });
    let node = inline.node();
    for (more, expected) in [
        (json!({}), "a.test"),
        (
            json!({"pass_host": "rewrite", "upstream_host": "b.test"}),
            "b.test",
        ),
        (json!({"pass_host": "node"}), &*node),
    ] {
        let mut upstream = json!({"scheme": "https", "nodes": {inline.node(): 1}});
        let members = upstream.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        let rules = json!([{"weighted_upstreams": [{"upstream": upstream}]}]);
        let gateway = setup()
            .with(|setup| setup.log_format = "$upstream_scheme $upstream_host".into())
            .put("routes/1", &route(&own, &split(&rules)))
            .start();
        assert_eq!(get(&gateway, "/", "").text(), "inline");
        assert_eq!(inline.last().field("Host"), Some(expected));
        assert_eq!(gateway.log_line(), format!("https {expected}"));
    }
}

#[test]
fn turns_go_on_where_the_service_is_edited() {
    let [own, other] = ["own", "other"].map(Origin::saying);
    let inline = json!({"nodes": {other.node(): 1}});
    let rules = json!([{"weighted_upstreams": [{"upstream": inline, "weight": 1}, {"weight": 1}]}]);
    let mut split = route(&own, &split(&rules));
    split["service_id"] = json!("1");
    let service = |name: &str| json!({"name": name});
    let gateway = setup()
        .put("services/1", &service("a"))
        .put("routes/1", &split)
        .start_silent();
    let mut client = Client::connect(gateway.address);
    let answers: Vec<String> = (0..20)
        .map(|number| {
            gateway.put("services/1", &service(&number.to_string()));
            client.get("/").text()
        })
        .collect();
    for turn in answers.chunks(2) {
        assert_ne!(turn[0], turn[1], "{answers:?}");
    }
}

#[test]
fn an_upstream_that_comes_and_goes_is_noticed() {
    let [own, named, newer] = ["own", "named", "newer"].map(Origin::saying);
    let rules = json!([{"weighted_upstreams": [{"upstream_id": "7"}]}]);
    let gateway = setup()
        .put("routes/1", &route(&own, &split(&rules)))
        .start();
    let missing = get(&gateway, "/", "");
    assert_eq!(missing.status(), 500);
    assert_eq!(
        missing.text(),
        "failed to fetch upstream info by upstream id: 7"
    );
    for (origin, expected) in [(&named, "named"), (&newer, "newer")] {
        gateway.put("upstreams/7", &json!({"nodes": {origin.node(): 1}}));
        assert_eq!(get(&gateway, "/", "").text(), expected);
    }
    gateway.delete("upstreams/7");
    assert_eq!(get(&gateway, "/", "").status(), 500);
}

#[test]
fn health_of_an_inline_upstream_outlives_edits_and_ends_with_it() {
    let [own, inline] = ["own", "inline"].map(Origin::saying);
    let checks = json!({
        "active": {"http_path": "/", "healthy": {"interval": 1}, "unhealthy": {"interval": 1}},
    });
    let upstream = json!({"nodes": {inline.node(): 1}, "checks": checks});
    let rules = json!([{"weighted_upstreams": [{"upstream": upstream}]}]);
    let gateway = setup()
        .put("routes/1", &route(&own, &split(&rules)))
        .start();
    let keys = |gateway: &Gateway| -> Vec<String> {
        let checked = gateway.health();
        checked.iter().map(|one| one.key.clone()).collect()
    };
    assert_eq!(get(&gateway, "/", "").text(), "inline");
    let before = keys(&gateway);
    assert_eq!(before, ["routes/1#traffic-split#0#0"]);
    let mut edited = route(&own, &split(&rules));
    edited["desc"] = json!("edited");
    gateway.put("routes/1", &edited);
    assert_eq!(keys(&gateway), before);
    gateway.put("routes/1", &route(&own, &json!({})));
    // Workers hold what was in force until their next request.
    lockgate_testkit::eventually("the checks end", || {
        get(&gateway, "/", "");
        keys(&gateway).is_empty()
    });
}
