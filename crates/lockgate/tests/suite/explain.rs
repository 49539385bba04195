//! `GET /v1/explain` of the whole process: with plugins, consumers and health, over sockets.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    discovery::serve,
    gateway::Gateway,
    support::{PATIENCE, exchange, get},
};

/// Where the control API is, as the file has it.
fn control(gateway: &Gateway) -> SocketAddr {
    let file = gateway.file();
    let behind = |text: &'static str| file.split_once(text).map_or("", |(_, rest)| rest);
    let port = behind("control: {ip: 127.0.0.1, port: ").split('}').next();
    let port = port.and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Asks, and gives status line and body.
fn ask(gateway: &Gateway, query: &str) -> (String, Value) {
    let reply = get(control(gateway), &format!("/v1/explain?{query}"));
    let (head, body) = reply.split_once("\r\n\r\n").expect("a response");
    let line = head.lines().next().unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}"));
    (line.to_owned(), body)
}

fn put(gateway: &Gateway, key: &str, value: &Value) {
    let made = gateway.admin("PUT", key, &value.to_string());
    assert!(made.starts_with("HTTP/1.1 20"), "{key}: {made}");
}

/// The plugins of a list as `name from phases`, with why one does not run.
fn plugins(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("a list").iter();
    list.map(|one| {
        let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let phases = one.get("phases").and_then(Value::as_array);
        let phases = phases.into_iter().flatten().filter_map(Value::as_str);
        let phases: Vec<&str> = phases.collect();
        let why = text("why");
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(" ({why})")
        };
        format!(
            "{} {} {}{why}",
            text("name"),
            text("from"),
            phases.join("+")
        )
    })
    .collect()
}

#[test]
fn plugins_are_told_with_where_they_come_from_and_what_the_consumer_brings() {
    let gateway = Gateway::start("");
    let origin = serve(|| "origin".to_owned());
    let node = json!({ origin.to_string(): 1 });
    put(
        &gateway,
        "global_rules/g",
        &json!({"plugins": {"request-id": {}}}),
    );
    put(
        &gateway,
        "consumer_groups/gold",
        &json!({"plugins": {"response-rewrite": {"headers": {"set": {"x-group": "gold"}}}}}),
    );
    put(
        &gateway,
        "consumers/jack",
        &json!({"username": "jack", "group_id": "gold", "plugins": {
            "key-auth": {"key": "secret-of-jack"},
            "proxy-rewrite": {"headers": {"set": {"x-who": "jack"}}},
        }}),
    );
    put(
        &gateway,
        "services/s",
        &json!({"upstream": {"type": "roundrobin", "nodes": node}, "plugins": {"cors": {}, "gzip": {"_meta": {"disable": true}}}}),
    );
    put(
        &gateway,
        "plugin_configs/p",
        &json!({"plugins": {"ip-restriction": {"whitelist": ["127.0.0.0/8"], "_meta": {"filter": [["arg_check", "==", "1"]]}}}}),
    );
    put(
        &gateway,
        "routes/1",
        &json!({"uri": "/a", "service_id": "s", "plugin_config_id": "p", "plugins": {
            "key-auth": {}, "proxy-rewrite": {"headers": {"set": {"x-route": "1"}}},
        }}),
    );
    let (line, answer) = ask(&gateway, "uri=/a");
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert_eq!(
        answer["answer"],
        "route 1 takes it; where the plugins let it through, a node of services/s is asked"
    );
    assert_eq!(
        plugins(&answer["global_rules"]),
        ["request-id global_rules/g rewrite+header_filter"]
    );
    let filtered = r#"(_meta.filter: ["arg_check","==","1"] is false: arg_check is absent)"#;
    assert_eq!(
        plugins(&answer["plugins"]),
        [
            "cors services/s rewrite+header_filter".to_owned(),
            format!("ip-restriction plugin_configs/p access {filtered}"),
            "key-auth routes/1 rewrite".to_owned(),
            "proxy-rewrite routes/1 rewrite".to_owned(),
            "gzip services/s  (it is switched off (_meta.disable))".to_owned(),
        ]
    );
    assert_eq!(
        answer["upstream"]["nodes"][0]["address"],
        origin.to_string()
    );

    let (_, answer) = ask(&gateway, "uri=/a?check=1&consumer=jack");
    assert_eq!(
        answer["consumer"],
        json!({"name": "jack", "group": "gold", "note": null})
    );
    assert_eq!(
        plugins(&answer["plugins"]),
        [
            // What the route says of it runs before anybody knows who asks.
            "proxy-rewrite routes/1 rewrite",
            "cors services/s rewrite+header_filter",
            "ip-restriction plugin_configs/p access",
            "key-auth routes/1 rewrite",
            "proxy-rewrite consumers/jack ",
            "response-rewrite consumer_groups/gold header_filter",
            "gzip services/s  (it is switched off (_meta.disable))",
        ]
    );
    // The request itself shows what was told.
    let reply = exchange(
        gateway.proxy,
        "GET /a?check=1 HTTP/1.1\r\nHost: test\r\napikey: secret-of-jack\r\nConnection: close\r\n\r\n",
    );
    assert!(
        reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("origin"),
        "{reply}"
    );
    assert!(
        reply.to_ascii_lowercase().contains("x-group: gold"),
        "{reply}"
    );

    put(
        &gateway,
        "routes/2",
        &json!({"uri": "/open", "service_id": "s"}),
    );
    let (_, answer) = ask(&gateway, "uri=/open&consumer=jack");
    let note = answer["consumer"]["note"].as_str().unwrap_or_default();
    assert!(
        note.starts_with("no plugin of the route authenticates"),
        "{note}"
    );
}

#[test]
fn an_unhealthy_node_is_told_as_one() {
    let gateway = Gateway::start("");
    let origin = serve(|| "origin".to_owned());
    // Bound and dropped: nobody listens there.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let dead = dead.expect("a port");
    put(
        &gateway,
        "upstreams/u",
        &json!({"type": "roundrobin", "nodes": {origin.to_string(): 1, dead.to_string(): 1}, "checks": {"active": {
            "type": "tcp", "healthy": {"interval": 1, "successes": 1}, "unhealthy": {"interval": 1, "tcp_failures": 1},
        }}}),
    );
    put(
        &gateway,
        "routes/1",
        &json!({"uri": "/a", "upstream_id": "u"}),
    );
    let seen = |answer: &Value| {
        let nodes = answer["upstream"]["nodes"].as_array().expect("nodes");
        let of = |address: String| {
            let node = nodes.iter().find(|node| node["address"] == address);
            let node = node.expect("a node");
            format!(
                "{}, {}",
                node["health"].as_str().unwrap_or("-"),
                node["use"].as_str().unwrap_or("-")
            )
        };
        [of(origin.to_string()), of(dead.to_string())]
    };
    // Checks begin with the first request.
    assert!(get(gateway.proxy, "/a").ends_with("origin"));
    let began = Instant::now();
    let expected = ["healthy, used", "unhealthy, not used: it is unhealthy"];
    while seen(&ask(&gateway, "uri=/a").1) != expected {
        assert!(began.elapsed() < PATIENCE, "{}", ask(&gateway, "uri=/a").1);
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn near_misses_and_bad_questions_are_answered() {
    let mut gateway = Gateway::start("");
    let upstream = json!({"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}});
    for (key, route) in [
        (
            "routes/post",
            json!({"uri": "/a", "methods": ["POST"], "upstream": upstream}),
        ),
        (
            "routes/host",
            json!({"uri": "/a", "host": "b.com", "upstream": upstream}),
        ),
        (
            "routes/canary",
            json!({"uri": "/a", "vars": [["http_x_env", "==", "canary"]], "upstream": upstream}),
        ),
        (
            "routes/off",
            json!({"uri": "/a", "status": 0, "upstream": upstream}),
        ),
    ] {
        put(&gateway, key, &route);
    }
    let (line, answer) = ask(&gateway, "uri=/a/&host=a.com&header=X-Env:%20prod");
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert_eq!(
        answer["answer"],
        "no route takes it: the gateway answers 404"
    );
    assert!(get(gateway.proxy, "/a/").starts_with("HTTP/1.1 404 "));
    // With the slash at the end taken away, as the workers take it then.
    let file = gateway
        .file()
        .replace("apisix:\n", "apisix:\n  delete_uri_tail_slash: true\n");
    assert!(gateway.reload(&file), "{}", gateway.process.said);
    let question = "uri=/a/&host=a.com&header=X-Env:%20prod";
    let began = Instant::now();
    let answer = loop {
        // Until the API before has ended, it answers too.
        let (_, answer) = ask(&gateway, question);
        if answer["request"]["uri"] == "/a" {
            break answer;
        }
        assert!(began.elapsed() < PATIENCE, "{answer}");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    let misses = answer["near_misses"].as_array().expect("a list");
    let misses: Vec<String> = misses
        .iter()
        .map(|miss| {
            format!(
                "{} {}",
                miss["route"].as_str().unwrap_or_default(),
                miss["why"]
            )
        })
        .collect();
    assert_eq!(
        misses,
        [
            r#"off ["off: it is switched off (status 0); its conditions hold"]"#,
            r#"post ["method: it takes POST; the request has GET"]"#,
            r#"canary ["vars: [\"http_x_env\",\"==\",\"canary\"] is false: http_x_env is \"prod\""]"#,
            r#"host ["host: it takes b.com; the request has a.com"]"#,
        ]
    );
    let (_, answer) = ask(&gateway, "uri=/a/&host=a.com&header=X-Env:canary");
    assert_eq!(
        answer["answer"],
        "route canary takes it; a node of routes/canary is asked"
    );
    for (query, sentence) in [
        ("", "uri: say which path"),
        (
            "uri=/a&metod=GET",
            "metod: there is no such argument; there are method, uri",
        ),
        (
            "uri=/a&header=x",
            "header: write a name, a colon and a value",
        ),
        ("uri=/a%20b", "such a request is answered with 400"),
        (
            "uri=/a&consumer=nobody",
            "consumer: there is no consumer nobody",
        ),
    ] {
        let (line, answer) = ask(&gateway, query);
        assert_eq!(line, "HTTP/1.1 400 Bad Request", "{query}");
        let said = answer["error_msg"].as_str().unwrap_or_default();
        assert!(said.starts_with(sentence), "{query}: {said}");
    }
}
