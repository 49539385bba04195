//! What is told of requests.

use std::sync::Arc;

use lockgate_explain::Explainer;
use lockgate_keyring::Keyring;
use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_proxy::Options;
use lockgate_router::Mode;
use lockgate_secret::{Environment, Secrets};
use lockgate_snapshot::{Compiler, Plugins, Published, Settings};
use lockgate_store::{Change, Entry};
use lockgate_upstream::{Compile, Defaults, Registry};
use serde_json::{Value, json};

/// Explains by a configuration of these objects.
fn explainer(objects: &[(&str, Value)]) -> Explainer {
    let resolver = || Resolver::new(DnsOptions::default());
    let node = lockgate_plugin::testing::node();
    let mut compiler = Compiler::new(Settings {
        router: Mode::HostUri,
        upstream: Compile {
            resolver: resolver(),
            defaults: Defaults::default(),
            workers: 1,
            trusted: None,
            registry: Registry::default(),
            keyring: Keyring::default(),
            discovery: lockgate_discovery::Discovery::default(),
            all_addresses: false,
        },
        plugin_secrets: Arc::default(),
        plugins: Plugins::new(node.clone(), [], |_| true),
        secrets: Secrets::new(lockgate_secret::Options::new(
            Environment::default(),
            resolver(),
        )),
    });
    let changes: Vec<Change> = (1..)
        .zip(objects)
        .map(|(revision, (key, value))| {
            Change::Put(Entry {
                key: (*key).into(),
                value: value.to_string().into_bytes().into(),
                create_revision: revision,
                mod_revision: revision,
            })
        })
        .collect();
    compiler.apply(7, &changes);
    Explainer {
        published: Arc::new(Published::new(compiler.snapshot())),
        status: Arc::default(),
        options: Arc::new(Options {
            delete_uri_tail_slash: true,
            ..Options::default()
        }),
        node,
    }
}

fn upstream() -> Value {
    json!({"nodes": {"127.0.0.1:1980": 1}})
}

/// Why a route does not take a request.
fn why(answer: &Value, route: &str) -> Value {
    let misses = answer["near_misses"].as_array().expect("a list");
    let miss = misses.iter().find(|miss| miss["route"] == route);
    miss.map_or(Value::Null, |miss| miss["why"].clone())
}

#[tokio::test]
async fn tells_the_route_and_where_it_leads() {
    let explainer = explainer(&[
        (
            "upstreams/u",
            json!({"type": "chash", "scheme": "https", "timeout": {"connect": 1, "send": 2, "read": 0.5},
                "pass_host": "rewrite", "upstream_host": "b.com", "nodes": [
                    {"host": "127.0.0.1", "port": 1980, "weight": 3, "priority": 1},
                    {"host": "127.0.0.2", "port": 1981, "weight": 1},
                    {"host": "127.0.0.3", "port": 1982, "weight": 0}]}),
        ),
        (
            "services/s",
            json!({"name": "shop", "hosts": ["*.a.com"], "upstream_id": "u"}),
        ),
        (
            "routes/1",
            json!({"name": "all", "uri": "/users/*", "service_id": "s", "enable_websocket": true}),
        ),
    ]);
    let answer = explainer
        .explain(&[("uri", "/users//%61/?x=1"), ("host", "X.a.com:80")])
        .expect("an answer");
    assert_eq!(
        answer["answer"],
        "route 1 takes it; a node of upstreams/u is asked"
    );
    assert_eq!(answer["revision"], 7);
    assert_eq!(
        answer["request"],
        json!({"method": "GET", "uri": "/users/a", "args": "x=1", "host": "x.a.com", "remote_addr": null})
    );
    assert_eq!(
        answer["route"],
        json!({"id": "1", "name": "all", "uri": "/users/*", "host": "*.a.com", "service": {"id": "s", "name": "shop"},
            "params": {":ext": "a"}, "enable_websocket": true})
    );
    let node = |address: &str, weight: u32, priority: i32, of_node: &str| json!({"address": address, "weight": weight, "priority": priority, "health": null, "use": of_node});
    assert_eq!(
        answer["upstream"],
        json!({"from": "upstreams/u", "scheme": "https", "type": "chash", "pass_host": "rewrite", "upstream_host": "b.com",
        "retries": 1, "nodes": [
            node("127.0.0.1:1980", 3, 1, "used"),
            node("127.0.0.2:1981", 1, 0, "spare: those of a higher priority come first"),
            node("127.0.0.3:1982", 0, 0, "not used: its weight is 0"),
        ]})
    );
    assert_eq!(
        answer["timeouts"],
        json!({"connect": 1, "send": 2, "read": 0.5, "from": "upstreams/u"})
    );
    assert!(answer.get("gateway_answers").is_none());
}

#[tokio::test]
async fn tells_why_near_routes_do_not_take_the_request() {
    let explainer = explainer(&[
        (
            "routes/method",
            json!({"uri": "/a", "methods": ["POST", "PUT"], "upstream": upstream()}),
        ),
        (
            "routes/host",
            json!({"uri": "/a", "hosts": ["b.com", "*.c.com"], "upstream": upstream()}),
        ),
        (
            "routes/vars",
            json!({"uri": "/a", "vars": [["arg_env", "==", "canary"], ["http_x", "!", "==", "1"]], "upstream": upstream()}),
        ),
        (
            "routes/address",
            json!({"uri": "/a", "remote_addr": "10.0.0.0/8", "upstream": upstream()}),
        ),
        (
            "routes/off",
            json!({"uri": "/a", "status": 0, "upstream": upstream()}),
        ),
        (
            "routes/lua",
            json!({"uri": "/a", "filter_func": "function() end", "upstream": upstream()}),
        ),
        ("routes/far", json!({"uri": "/zoo", "upstream": upstream()})),
        (
            "routes/off_and_far",
            json!({"uri": "/zoo", "status": 0, "upstream": upstream()}),
        ),
        (
            "routes/path",
            json!({"uri": "/a/b", "upstream": upstream()}),
        ),
    ]);
    let ask = |further: &[(&str, &str)]| {
        let question = [&[("uri", "/a"), ("host", "a.com")], further].concat();
        explainer.explain(&question).expect("an answer")
    };
    let answer = ask(&[("remote_addr", "1.2.3.4"), ("header", "x: 1")]);
    assert_eq!(
        answer["answer"],
        "no route takes it: the gateway answers 404"
    );
    assert_eq!(answer["route"], Value::Null);
    assert_eq!(
        answer["gateway_answers"],
        json!({"status": 404, "reason": "no route"})
    );
    for (route, expected) in [
        (
            "method",
            json!(["method: it takes POST, PUT; the request has GET"]),
        ),
        (
            "host",
            json!(["host: it takes b.com, *.c.com; the request has a.com"]),
        ),
        (
            "vars",
            json!([r#"vars: ["arg_env","==","canary"] is false: arg_env is absent"#]),
        ),
        (
            "address",
            json!(["remote_addr: it takes 10.0.0.0/8; the client is 1.2.3.4"]),
        ),
        (
            "off",
            json!(["off: it is switched off (status 0); its conditions hold"]),
        ),
        (
            "lua",
            json!([
                "off: filter_func and script need Lua, which is not built in; the route is off; its conditions hold"
            ]),
        ),
        ("path", json!(["uri: it takes /a/b; the request has /a"])),
        ("far", Value::Null),
        ("off_and_far", Value::Null),
    ] {
        assert_eq!(why(&answer, route), expected, "{route}");
    }
    assert_eq!(
        answer["near_misses"][0]["route"], "off",
        "the likeliest cause comes first"
    );
    let answer = explainer.explain(&[("uri", "/a?env=canary"), ("header", "X: 1")]);
    assert_eq!(
        why(&answer.expect("an answer"), "vars"),
        json!([r#"vars: ["http_x","!","==","1"] is false: http_x is "1""#])
    );
    let answer = ask(&[("remote_addr", "1.2.3.4"), ("limit", "2")]);
    assert_eq!(answer["near_misses"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer["more_near_misses"], 5);
    // What the question does not say is not made up.
    let answer = ask(&[]);
    assert_eq!(
        answer["answer"],
        "no route takes it: the gateway answers 404; unless route address does, which depends on remote_addr"
    );
    assert_eq!(answer["undecided"][0]["route"], "address");
}

#[tokio::test]
async fn tells_where_a_route_leads_that_leads_nowhere() {
    let explainer = explainer(&[
        (
            "routes/1",
            json!({"uri": "/upstream", "upstream_id": "gone"}),
        ),
        ("routes/2", json!({"uri": "/service", "service_id": "gone"})),
        ("routes/3", json!({"uri": "/nothing"})),
        (
            "routes/4",
            json!({"uri": "/empty", "upstream": {"nodes": []}}),
        ),
        (
            "routes/5",
            json!({"uri": "/config", "plugin_config_id": "gone", "upstream": upstream()}),
        ),
    ]);
    for (uri, status, reason, has_upstream) in [
        ("/upstream", 502, "no such upstream", false),
        ("/service", 404, "no such service", false),
        ("/nothing", 503, "no upstream", false),
        ("/empty", 503, "no nodes", true),
        ("/config", 503, "no such plugin config", false),
    ] {
        let answer = explainer.explain(&[("uri", uri)]).expect("an answer");
        assert_eq!(
            answer["gateway_answers"],
            json!({"status": status, "reason": reason}),
            "{uri}"
        );
        assert_eq!(answer["upstream"].is_object(), has_upstream, "{uri}");
        let sentence = answer["answer"].as_str().expect("a sentence");
        assert!(
            sentence.ends_with(&format!(
                "leads nowhere: the gateway answers {status}, {reason}"
            )),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn refuses_what_is_no_question() {
    let explainer = explainer(&[]);
    for (question, sentence) in [
        (
            vec![],
            "uri: say which path the request has, such as uri=/api/users?id=1, percent-encoded where it has a query",
        ),
        (
            vec![("uri", "/.."), ("host", "a.com")],
            "such a request is answered with 400 before a route is looked for: the path has no normal form",
        ),
        (
            vec![("uri", "/"), ("method", "TRACE")],
            "such a request is answered with 405 before a route is looked for: the method is not allowed",
        ),
        (
            vec![("uri", "/"), ("consumer", "jack")],
            "consumer: there is no consumer jack, or none that is in force",
        ),
    ] {
        assert_eq!(explainer.explain(&question), Err(sentence.to_owned()));
    }
}
