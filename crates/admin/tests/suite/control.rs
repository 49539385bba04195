//! The control API.

use lockgate_admin::{PluginLists, Plugins, Problem};
use lockgate_model::{
    health::{CheckedNode, CheckedUpstream, Counters, Health},
    resource::ProbeKind,
};
use serde_json::{Value, json};

use crate::{encryption::NEW_KEY, gateway::Gateway, memory::Trouble, wire::Reply};

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

fn json_of(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn shows_objects_as_the_data_plane_sees_them() {
    let problem = |key: &str, problem: &str, is_in_force| Problem {
        key: key.into(),
        problem: problem.into(),
        is_in_force,
    };
    let gateway = Gateway::start_control(&[
        problem("routes/bad", "the path is empty", false),
        problem("routes/1", "the plugin x does nothing", true),
    ])
    .await;
    for (key, value) in [
        (
            "routes/1",
            json!({"uri": "/a", "id": 1, "upstream": {"nodes": {"127.0.0.1:1980": 1, "[::1]:80": 2}}}),
        ),
        (
            "routes/2",
            json!({"uri": "/b", "status": 0, "upstream": {"type": "chash", "nodes": [{"host": "a.b", "port": 1, "weight": 0}]}}),
        ),
        ("routes/bad", json!({"uri": ""})),
        ("services/200", json!({"upstream": {"nodes": {"a.b": 1}}})),
        ("services/200/graphql_cost_decorations/1", json!({})),
        (
            "upstreams/1",
            json!({"nodes": {"127.0.0.1:8001": 1}, "keepalive_pool": {}}),
        ),
        (
            "upstreams/2",
            json!({"service_name": "s", "discovery_type": "dns"}),
        ),
    ] {
        gateway.store.seed(key, &value.to_string());
    }
    gateway.store.seed("routes/broken", "init_dir");
    let upstream = |fields: Value| {
        let mut upstream =
            json!({"type": "roundrobin", "hash_on": "vars", "pass_host": "pass", "scheme": "http"});
        upstream
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        upstream
    };
    let entry = |key: &str, index: u64, has_domain: bool, value: Value| json!({"key": format!("/apisix/{key}"), "value": value, "createdIndex": index, "modifiedIndex": index, "has_domain": has_domain});
    let nodes = json!([{"host": "127.0.0.1", "port": 1980, "weight": 1}, {"host": "[::1]", "port": 80, "weight": 2}]);
    let first = entry(
        "routes/1",
        1,
        false,
        json!({"uri": "/a", "id": "1", "priority": 0, "status": 1, "upstream": upstream(json!({"nodes": nodes}))}),
    );
    let second_nodes = json!([{"host": "a.b", "port": 1, "weight": 0, "priority": 0}]);
    let second = entry(
        "routes/2",
        2,
        true,
        json!({"uri": "/b", "id": "2", "priority": 0, "status": 0, "upstream": upstream(json!({"type": "chash", "nodes": second_nodes}))}),
    );
    let service = entry(
        "services/200",
        4,
        true,
        json!({"id": "200", "upstream": upstream(json!({"nodes": [{"host": "a.b", "weight": 1}]}))}),
    );
    let pool = json!({"size": 320, "idle_timeout": 60, "requests": 1000});
    let mut plain = upstream(
        json!({"nodes": [{"host": "127.0.0.1", "port": 8001, "weight": 1}], "keepalive_pool": pool}),
    );
    plain["id"] = json!("1");
    let plain = entry("upstreams/1", 6, false, plain);
    let mut discovered = upstream(json!({"service_name": "s", "discovery_type": "dns"}));
    discovered["id"] = json!("2");
    let discovered = entry("upstreams/2", 7, false, discovered);
    let missing = |what: &str| json!({"error_msg": format!("{what} not found")});
    for (path, status, expected) in [
        ("routes", 200, json!([first, second])),
        ("route/1", 200, first.clone()),
        ("route/1/ignored", 200, first),
        ("route/2", 200, second),
        ("route/3", 404, missing("route[3]")),
        ("route/bad", 404, missing("route[bad]")),
        ("route/broken", 404, missing("route[broken]")),
        ("services", 200, json!([service])),
        ("service/200", 200, service),
        ("service/5", 404, missing("service[5]")),
        ("upstreams", 200, json!([plain, discovered])),
        ("upstream/1", 200, plain),
        ("upstream/3", 404, missing("upstream[3]")),
        (
            "problems",
            200,
            json!([
                {"key": "/apisix/routes/bad", "problem": "the path is empty"},
                {"key": "/apisix/routes/1", "problem": "the plugin x does nothing"},
            ]),
        ),
    ] {
        let reply = gateway.ask(&format!("GET /v1/{path}"), "").await;
        assert_eq!(
            (reply.status, json_of(&reply)),
            (status, expected),
            "{path}"
        );
        assert_eq!(reply.field("content-type"), Some(JSON));
    }
}

#[tokio::test]
async fn shows_schemas() {
    let gateway = Gateway::start_control(&[]).await;
    let reply = gateway.ask("GET /v1/schema", "").await;
    let schemas = json_of(&reply);
    for name in ["route", "service", "upstream", "upstream_hash_vars_schema"] {
        assert_eq!(
            schemas["main"][name],
            lockgate_model::schema::of(name).unwrap(),
            "{name}"
        );
    }
    assert_eq!(schemas["main"].as_object().unwrap().len(), 14);
    assert_eq!(schemas["plugins"].as_object().unwrap().len(), 107);
    assert_eq!(schemas["stream_plugins"].as_object().unwrap().len(), 5);
    let limit = &schemas["stream_plugins"]["limit-conn"];
    assert_eq!(
        (&limit["priority"], &limit["version"]),
        (&json!(1003), &json!(0.1))
    );
}

#[tokio::test]
async fn does_as_it_is_told() {
    let gateway = Gateway::start_control(&[]).await;
    for (request, status, content_type, body) in [
        ("POST /v1/gc", 200, TEXT, Some("")),
        ("PUT /v1/plugins/reload", 200, TEXT, Some("done")),
        ("GET /v1/problems", 200, JSON, Some("[]\n")),
        ("GET /v1/routes", 200, JSON, Some("{}\n")),
        ("GET /v1/plugin_metadatas", 200, JSON, Some("{}\n")),
        ("GET /v1/discovery/dns/dump", 404, HTML, None),
        ("GET /v1/plugin_metadata", 404, HTML, None),
        ("GET /v1/gc", 404, HTML, None),
        ("POST /v1/plugins/reload", 404, HTML, None),
        ("POST /v1/routes", 404, HTML, None),
        ("GET /v1/no_such_thing", 404, HTML, None),
        ("GET /v1", 404, HTML, None),
        ("GET /", 404, HTML, None),
        ("GET /apisix/admin/routes", 404, HTML, None),
        ("GET /%zz", 400, HTML, None),
    ] {
        let reply = gateway.ask(request, "").await;
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.field("content-type"), Some(content_type), "{request}");
        assert_eq!(reply.field("server"), Some("APISIX/3.18.0"), "{request}");
        if let Some(body) = body {
            assert_eq!(reply.body, body, "{request}");
        }
    }
}

/// As `t/control/services.t` has it.
#[tokio::test]
async fn shows_what_plugins_take_for_what_is_not_said() {
    let gateway = Gateway::start_control(&[]).await;
    gateway.store.seed(
        "services/5",
        r#"{"plugins": {"limit-count": {"count": 2, "time_window": 60, "rejected_code": 503, "key": "remote_addr"}, "none": {}}}"#,
    );
    let service = json_of(&gateway.ask("GET /v1/service/5", "").await);
    let expected = json!({
        "_meta": {}, "allow_degradation": false, "count": 2, "key": "remote_addr", "key_type": "var",
        "policy": "local", "rejected_code": 503, "show_limit_quota_header": true, "sync_interval": -1,
        "time_window": 60, "window_type": "fixed",
    });
    assert_eq!(
        service["value"]["plugins"],
        json!({"limit-count": expected, "none": {"_meta": {}}})
    );
}

#[tokio::test]
async fn shows_plugin_metadata() {
    let gateway = Gateway::start_control(&[]).await;
    gateway.store.seed(
        "plugin_metadata/example-plugin",
        r#"{"skey": "val", "ikey": 1}"#,
    );
    gateway
        .store
        .seed("plugin_metadata/cors", r#"{"allow_origins": {}}"#);
    gateway.store.seed("plugin_metadata/server-info", "{}");
    gateway.store.seed("plugin_metadata/", "init_dir");
    let example = json!({"skey": "val", "ikey": 1, "id": "example-plugin"});
    let cors = json!({"allow_origins": {}, "id": "cors"});
    let missing = |name: &str| json!({"error_msg": format!("plugin metadata[{name}] not found")});
    for (path, status, expected) in [
        ("plugin_metadatas", 200, json!([cors, example])),
        ("plugin_metadata/cors", 200, cors),
        ("plugin_metadata/gzip", 404, missing("gzip")),
        // Not switched on.
        (
            "plugin_metadata/server-info",
            200,
            json!({"id": "server-info"}),
        ),
        ("plugin_metadata/none", 404, missing("none")),
    ] {
        let reply = gateway.ask(&format!("GET /v1/{path}"), "").await;
        assert_eq!(
            (reply.status, json_of(&reply)),
            (status, expected),
            "{path}"
        );
    }
}

/// Of a plugin that is off the reference knows no schema, and so no field to decrypt.
#[tokio::test]
async fn decrypts_the_metadata_of_plugins_that_are_on() {
    for (names, expected) in [
        (vec!["error-log-logger".into()], "new-key"),
        (vec![], NEW_KEY),
    ] {
        let plugins = Plugins::new(PluginLists {
            http: names,
            stream: Vec::new(),
        });
        let gateway = Gateway::start_control_knowing(&[], Vec::new(), plugins).await;
        let stored = json!({"clickhouse": {"password": NEW_KEY}});
        let key = "plugin_metadata/error-log-logger";
        gateway.store.seed(key, &stored.to_string());
        let shown = json_of(&gateway.ask(&format!("GET /v1/{key}"), "").await);
        assert_eq!(shown["clickhouse"]["password"], expected);
        let all = json_of(&gateway.ask("GET /v1/plugin_metadatas", "").await);
        let is_on = expected != NEW_KEY;
        assert_eq!(all, if is_on { json!([shown]) } else { json!({}) });
    }
}

#[tokio::test]
async fn survives_a_store_that_fails() {
    let gateway = Gateway::start_control(&[]).await;
    gateway.store.trouble(Trouble::Unavailable);
    let reply = gateway.ask("GET /v1/routes", "").await;
    let expected = json!({"error_msg": "listing routes/ failed: the disk is gone"});
    assert_eq!((reply.status, json_of(&reply)), (503, expected));
    gateway.store.trouble(Trouble::Panic);
    assert_eq!(gateway.ask("GET /v1/route/1", "").await.status, 500);
    gateway.store.trouble(Trouble::None);
    assert_eq!(gateway.ask("GET /v1/routes", "").await.status, 200);
}

#[tokio::test]
async fn shows_the_health_of_nodes() {
    let node = |port, status, tcp_failure, hostheader: Option<&str>| CheckedNode {
        ip: "127.0.0.1".into(),
        port,
        hostname: "127.0.0.1".into(),
        hostheader: hostheader.map(str::to_owned),
        status,
        counter: Counters {
            tcp_failure,
            ..Counters::default()
        },
    };
    let checked = |key: &str, nodes| CheckedUpstream {
        key: key.into(),
        kind: ProbeKind::Http,
        nodes,
    };
    let unhealthy = node(1988, Health::Unhealthy, 2, Some("a<b"));
    let health = vec![
        checked("services/1", vec![]),
        checked(
            "upstreams/1",
            vec![node(1980, Health::MostlyHealthy, 1, None), unhealthy],
        ),
        checked("routes/1", vec![node(1980, Health::Healthy, 0, None)]),
    ];
    let gateway = Gateway::start_control_with(&[], health).await;
    gateway.store.seed("routes/2", r#"{"uri":"/"}"#);
    let healthy = json!({
        "ip": "127.0.0.1", "port": 1980, "hostname": "127.0.0.1", "status": "healthy",
        "counter": {"success": 0, "http_failure": 0, "tcp_failure": 0, "timeout_failure": 0},
    });
    let route = json!({"name": "/apisix/routes/1", "type": "http", "nodes": [healthy]});
    let all = json_of(&gateway.ask("GET /v1/healthcheck", "").await);
    assert_eq!(all[0], route);
    assert_eq!(
        all[1],
        json!({"name": "/apisix/services/1", "type": "http", "nodes": {}})
    );
    let nodes = &all[2]["nodes"];
    assert_eq!(nodes[0]["status"], "mostly_healthy");
    assert_eq!(nodes[1]["status"], "unhealthy");
    assert_eq!(nodes[1]["hostheader"], "a<b");
    assert_eq!(nodes[1]["counter"]["tcp_failure"], 2);
    assert_eq!(
        json_of(&gateway.ask("GET /v1/healthcheck/routes/1", "").await),
        route
    );
    for (path, status, message) in [
        ("routes/2", 404, "no checker for routes[2]"),
        ("routes/3", 404, "routes[3] not found"),
        ("stream_routes/1", 404, "stream_routes[1] not found"),
        ("routes", 404, "missing src id for src type routes"),
        ("route/1", 400, "invalid src type route"),
    ] {
        let reply = gateway
            .ask(&format!("GET /v1/healthcheck/{path}"), "")
            .await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(json_of(&reply), json!({"error_msg": message}));
    }
    let accept = "Accept: text/html,*/*\r\n";
    let page = gateway.ask_with("GET /v1/healthcheck", accept, "").await;
    assert_eq!(page.field("content-type"), Some(HTML));
    let rows: Vec<&str> = page
        .body
        .lines()
        .filter(|line| line.contains("<td>"))
        .collect();
    assert_eq!(rows.len(), 3, "{}", page.body);
    assert_eq!(
        rows[2],
        "<tr bgcolor=\"#FF0000\"><td>3</td><td>/apisix/upstreams/1</td><td>http</td><td>127.0.0.1:1988</td>\
         <td>unhealthy</td><td>0</td><td>2</td><td>0</td><td>0</td></tr>"
    );
    assert!(rows[1].starts_with("<tr><td>2</td>"), "{}", rows[1]);
    let one = gateway
        .ask_with("GET /v1/healthcheck/routes/1", accept, "")
        .await;
    assert_eq!(one.body.matches("<td>").count(), 9);
    let empty = Gateway::start_control(&[]).await;
    assert_eq!(empty.ask("GET /v1/healthcheck", "").await.body, "{}\n");
}

#[tokio::test]
async fn shows_what_registries_have() {
    let gateway = Gateway::start_control(&[]).await;
    for (path, status, kind, body) in [
        ("eureka/dump", 200, JSON, "{\"services\":{}}\n"),
        ("consul/show_dump_file", 200, TEXT, "{}"),
        ("consul_kv/show_dump_file", 503, TEXT, "dump params is nil"),
    ] {
        let reply = gateway.ask(&format!("GET /v1/discovery/{path}"), "").await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(
            (reply.field("content-type"), &*reply.body),
            (Some(kind), body)
        );
    }
    for path in ["dns/dump", "eureka", "eureka/dump/x", "eureka/other"] {
        let reply = gateway.ask(&format!("GET /v1/discovery/{path}"), "").await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[tokio::test]
async fn explains_what_is_asked_in_lines_that_people_read() {
    let gateway = Gateway::start_control(&[]).await;
    for (request, status, body) in [
        (
            "GET /v1/explain?uri=/a%3Fx%3D1&header=X-A:+1&header=b",
            200,
            "{\n  \"asked\": [[\"uri\",\"/a?x=1\"],[\"header\",\"X-A: 1\"],[\"header\",\"b\"]]\n}\n",
        ),
        (
            "GET /v1/explain?bad=1",
            400,
            "{\"error_msg\":\"bad: there is no such argument\"}\n",
        ),
    ] {
        let reply = gateway.ask(request, "").await;
        assert_eq!((reply.status, &*reply.body), (status, body), "{request}");
        assert_eq!(reply.field("content-type"), Some(JSON));
    }
}
