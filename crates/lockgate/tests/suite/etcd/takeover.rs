//! An etcd that the reference has filled: keys, values and placeholders as its Admin API, its command line and its nodes write
//! them (`apisix/core/etcd.lua`, `apisix/cli/etcd.lua`, `apisix/admin/`, `apisix/plugins/server-info.lua`).
//!
//! Fields that are encrypted are looked at by nobody here but as they are stored.

use serde_json::{Value, json};

use super::{
    node::{Node, until, until_status},
    server::{Etcd, Stored},
    traffic::origin,
};

/// Directories, each with its placeholder.
const DIRECTORIES: [&str; 13] = [
    "consumer_groups",
    "consumers",
    "global_rules",
    "plugin_configs",
    "plugin_metadata",
    "plugins",
    "protos",
    "routes",
    "secrets",
    "services",
    "ssls",
    "stream_routes",
    "upstreams",
];

/// Objects, in the order in which they are written. `PORT` stands for the port of an origin.
const OBJECTS: &[(&str, &str)] = &[
    (
        "upstreams/1",
        r#"{"update_time":1700000000,"type":"roundrobin","hash_on":"vars","pass_host":"pass","scheme":"http","id":"1","create_time":1700000000,"nodes":{"127.0.0.1:PORT":1}}"#,
    ),
    (
        "upstreams/2",
        r#"{"id":"2","type":"chash","key":"remote_addr","nodes":[{"host":"127.0.0.1","port":PORT,"weight":1}],"retries":1,"timeout":{"connect":6,"send":6,"read":6},"keepalive_pool":{"size":320,"idle_timeout":60,"requests":1000},"create_time":1700000000,"update_time":1700000001}"#,
    ),
    (
        "services/1",
        r#"{"id":"1","create_time":1700000001,"update_time":1700000001,"upstream_id":"1","name":"shop","enable_websocket":true}"#,
    ),
    // Put with etcdctl: neither id nor times.
    (
        "services/2",
        r#"{"hosts":["svc.test"],"upstream":{"type":"roundrobin","nodes":{"127.0.0.1:PORT":1}}}"#,
    ),
    (
        "services/1/graphql_cost_decorations/d1",
        r#"{"id":"d1","service_id":"1","field_path":"Query.products","mul_value":2,"create_time":1700000001,"update_time":1700000001}"#,
    ),
    (
        "routes/1",
        r#"{"uri":"\/hello","priority":0,"status":1,"id":"1","upstream_id":"1","methods":["GET"],"create_time":1700000002,"update_time":1700000002}"#,
    ),
    (
        "routes/by-service",
        r#"{"uri":"\/by-service","id":"by-service","service_id":"1","create_time":1700000002,"update_time":1700000002}"#,
    ),
    ("routes/no.id", r#"{"uri":"\/no-id","service_id":"2"}"#),
    ("gen_id", "1"),
    (
        "routes/00000000000000000021",
        r#"{"id":"00000000000000000021","uris":["\/made\/*"],"upstream":{"nodes":[{"host":"127.0.0.1","port":PORT,"weight":1}],"type":"roundrobin"},"create_time":1700000003,"update_time":1700000003}"#,
    ),
    // An id that a body gave as a number is stored as one.
    (
        "routes/11",
        r#"{"id":11,"uri":"\/number-id","upstream_id":2,"create_time":1700000003,"update_time":1700000003}"#,
    ),
    (
        "routes/vars",
        r#"{"id":"vars","uri":"\/vars","vars":[["arg_a","==","1"]],"upstream_id":"2","labels":{"env":"test"},"desc":"with a condition","create_time":1700000003,"update_time":1700000003}"#,
    ),
    (
        "routes/off",
        r#"{"id":"off","uri":"\/off","status":0,"upstream_id":"1","create_time":1700000003,"update_time":1700000003}"#,
    ),
    // Of a newer writer.
    (
        "routes/newer",
        r#"{"id":"newer","uri":"\/newer","upstream_id":"1","from_the_future":{"a":[1,null]},"create_time":1700000003,"update_time":1700000003}"#,
    ),
    (
        "routes/unknown-plugin",
        r#"{"id":"unknown-plugin","uri":"\/unknown-plugin","plugins":{"no-such-plugin":{"x":1}},"upstream_id":"1","create_time":1700000003,"update_time":1700000003}"#,
    ),
    (
        "consumers/jack",
        r#"{"username":"jack","plugins":{"key-auth":{"key":"4y+JvURBE6ZwRbbgaryrhg=="}},"create_time":1700000004,"update_time":1700000004}"#,
    ),
    (
        "consumers/jack/credentials/c1",
        r#"{"id":"c1","plugins":{"key-auth":{"key":"7iZ2vTbwZsYvMWfyLEWJUg=="}},"create_time":1700000004,"update_time":1700000004}"#,
    ),
    (
        "consumer_groups/vip",
        r#"{"id":"vip","plugins":{},"create_time":1700000004,"update_time":1700000004}"#,
    ),
    (
        "plugin_configs/1",
        r#"{"id":"1","plugins":{},"create_time":1700000004,"update_time":1700000004}"#,
    ),
    (
        "global_rules/1",
        r#"{"id":"1","plugins":{"prometheus":{"prefer_name":false}},"create_time":1700000004,"update_time":1700000004}"#,
    ),
    (
        "plugin_metadata/http-logger",
        r#"{"id":"http-logger","log_format":{"host":"$host"}}"#,
    ),
    (
        "ssls/1",
        r#"{"id":"1","type":"server","status":1,"sni":"test.com","cert":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n","key":"XmLHhBRa0SL9VTQyDC0d8A==","create_time":1700000005,"update_time":1700000005}"#,
    ),
    (
        "protos/1",
        r#"{"id":"1","content":"syntax = \"proto3\";\npackage a;\nmessage M { string name = 1; }","create_time":1700000005,"update_time":1700000005}"#,
    ),
    (
        "secrets/vault/1",
        r#"{"id":"vault\/1","uri":"http:\/\/127.0.0.1:8200","prefix":"kv\/apisix","token":"root","create_time":1700000005,"update_time":1700000005}"#,
    ),
    (
        "stream_routes/1",
        r#"{"id":"1","server_port":9100,"upstream_id":"1","create_time":1700000005,"update_time":1700000005}"#,
    ),
    (
        "plugins",
        r#"[{"name":"key-auth"},{"name":"mqtt-proxy","stream":true}]"#,
    ),
    (
        "data_plane/server_info/b7ce1c5c-b1aa-4df7-888a-cbe403f3e948",
        r#"{"boot_time":1700000000,"hostname":"node","etcd_version":"3.4.0","id":"b7ce1c5c-b1aa-4df7-888a-cbe403f3e948","version":"3.18.0"}"#,
    ),
];

/// What is stored and is no object of its kind; neighbours are not harmed.
const BROKEN: &[(&str, &str)] = &[
    ("routes/cut-off", r#"{"uri":"/broken","#),
    ("routes/text", r#""/broken""#),
    ("routes/wrong-type", r#"{"uri":{"a":1},"upstream_id":"1"}"#),
    ("upstreams/broken", "not json"),
];

/// An etcd with all of it.
fn filled(port: u16) -> Etcd {
    let etcd = Etcd::start();
    for directory in DIRECTORIES {
        etcd.put(&format!("/apisix/{directory}/"), "init_dir");
    }
    for (key, value) in OBJECTS.iter().chain(BROKEN) {
        let value = value.replace("PORT", &port.to_string());
        etcd.put(&format!("/apisix/{key}"), &value);
    }
    etcd
}

/// All but the list of plugins, which is that of the node that has started last, as with the reference.
fn everything(etcd: &Etcd) -> Vec<(String, String, u64)> {
    let all = etcd.everything().into_iter();
    all.filter(|(key, _)| key != "/apisix/plugins")
        .map(|(key, stored)| (key, stored.value, stored.modified))
        .collect()
}

/// What the Admin API shows of an object.
fn shown(key: &str, stored: &Stored) -> Value {
    let mut value: Value = serde_json::from_str(&stored.value).expect("JSON");
    if key.starts_with("ssls/") {
        value.as_object_mut().expect("an object").remove("key");
    }
    json!({
        "key": format!("/apisix/{key}"),
        "value": value,
        "createdIndex": stored.created,
        "modifiedIndex": stored.modified,
    })
}

/// Without stream mode the Admin API refuses everything that concerns stream routes, as the reference does; they stay as they are.
const NOT_SERVED: &str = "stream_routes";

/// Whether what is shown of it is what is stored: credentials and secrets may be stored encrypted and shown as they were sent.
fn is_shown_as_stored(key: &str) -> bool {
    !key.starts_with("consumers/") && !key.starts_with("secrets/")
}

#[test]
fn serves_what_the_reference_wrote_and_changes_nothing_of_it() {
    let (_origin, address) = origin();
    let etcd = filled(address.port());
    let before = everything(&etcd);
    let node = Node::start(&[&etcd]);
    let gateway = &node.gateway;
    for (path, status) in [
        ("/hello", "200"),
        ("/by-service", "200"),
        ("/made/at/all", "200"),
        ("/number-id", "200"),
        ("/vars?a=1", "200"),
        ("/vars?a=2", "404"),
        ("/off", "404"),
        ("/newer", "200"),
        ("/unknown-plugin", "200"),
        ("/broken", "404"),
        // Its service is for another host.
        ("/no-id", "404"),
    ] {
        until_status(gateway, path, status);
    }
    let by_host = "GET /no-id HTTP/1.1\r\nHost: svc.test\r\nConnection: close\r\n\r\n";
    let answer = crate::support::exchange(gateway.proxy, by_host);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let stored = etcd.everything();
    let find = |key: &str| {
        let full = format!("/apisix/{key}");
        let found = stored.iter().find(|(key, _)| *key == full);
        &found.expect("it was written").1
    };
    reads_every_object(&node, &find);
    lists_every_kind(&node, &find);
    shows_what_is_in_force(&node, &find);
    assert_eq!(everything(&etcd), before);
    until("the list of plugins is never this node's", || {
        let list = etcd.get("/apisix/plugins").unwrap_or_default();
        list.starts_with(r#"[{"name":"real-ip"}"#) && list.ends_with(r#","stream":true}]"#)
    });
}

fn reads_every_object<'a>(node: &Node, find: &impl Fn(&str) -> &'a Stored) {
    for (key, _) in OBJECTS {
        let is_object = key.contains('/') && !key.starts_with("data_plane");
        if !is_object || key.starts_with(NOT_SERVED) {
            continue;
        }
        let answer = node.admin("GET", key, "");
        assert_eq!(answer.status, 200, "{key}: {}", answer.head);
        let expected = shown(key, find(key));
        if is_shown_as_stored(key) {
            assert_eq!(answer.body, expected, "{key}");
        } else {
            let path = "/value/create_time";
            assert_eq!(answer.body.pointer(path), expected.pointer(path), "{key}");
            assert_eq!(answer.body["key"], expected["key"]);
        }
    }
}

fn lists_every_kind<'a>(node: &Node, find: &impl Fn(&str) -> &'a Stored) {
    for kind in DIRECTORIES
        .iter()
        .filter(|name| !["plugins", NOT_SERVED].contains(name))
    {
        let keys: Vec<&str> = OBJECTS
            .iter()
            .chain(BROKEN)
            .map(|(key, _)| *key)
            .filter(|key| key.split_once('/').is_some_and(|(first, _)| first == *kind))
            .filter(|key| key.matches('/').count() == 1 || *kind == "secrets")
            .collect();
        let answer = node.admin("GET", kind, "");
        assert_eq!(
            answer.body["total"],
            json!(keys.len()),
            "{kind}: {}",
            answer.body
        );
        let list = answer.body["list"].as_array().expect("a list");
        for key in keys {
            let full = format!("/apisix/{key}");
            let item = list.iter().find(|item| item["key"] == full.as_str());
            let item = item.unwrap_or_else(|| panic!("{key} is not listed"));
            let is_json = serde_json::from_str::<Value>(&find(key).value).is_ok();
            if is_json && is_shown_as_stored(key) {
                assert_eq!(*item, shown(key, find(key)), "{key}");
            }
        }
    }
}

/// The control API has what is in force, and names what is not.
fn shows_what_is_in_force<'a>(node: &Node, find: &impl Fn(&str) -> &'a Stored) {
    for (path, key) in [
        ("/v1/route/1", "routes/1"),
        (
            "/v1/route/00000000000000000021",
            "routes/00000000000000000021",
        ),
        ("/v1/service/1", "services/1"),
        ("/v1/upstream/1", "upstreams/1"),
    ] {
        let answer = node.control(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.head);
        let expected = shown(key, find(key));
        for field in ["key", "createdIndex", "modifiedIndex"] {
            assert_eq!(answer.body[field], expected[field], "{path}");
        }
        let id = key.rsplit('/').next();
        assert_eq!(answer.body["value"]["id"].as_str(), id, "{path}");
    }
    let routes = node.control("/v1/routes").body;
    let in_force = OBJECTS.iter().filter(|(key, _)| key.starts_with("routes/"));
    let keys: Vec<&str> = routes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|route| route["key"].as_str())
        .collect();
    assert_eq!(keys.len(), in_force.count(), "{keys:?}");
    let problems = node.control("/v1/problems").body.to_string();
    for (key, _) in BROKEN {
        assert!(
            problems.contains(&format!("\"/apisix/{key}\"")),
            "{key}: {problems}"
        );
    }
    assert!(problems.contains("no-such-plugin"), "{problems}");
}

#[test]
fn takes_over_what_the_reference_writes_while_it_runs() {
    let (_origin, address) = origin();
    let port = address.port().to_string();
    let etcd = Etcd::start();
    let node = Node::start(&[&etcd]);
    for (key, value) in OBJECTS.iter().chain(BROKEN) {
        etcd.put(&format!("/apisix/{key}"), &value.replace("PORT", &port));
    }
    let gateway = &node.gateway;
    for path in [
        "/hello",
        "/by-service",
        "/made/x",
        "/number-id",
        "/unknown-plugin",
    ] {
        until_status(gateway, path, "200");
    }
    // A version that cannot be used leaves the one before in force, whatever is wrong with it.
    for (_, broken) in BROKEN {
        etcd.put("/apisix/routes/1", broken);
        let fence = format!(
            r#"{{"uri":"/fence","upstream_id":"1","desc":"{}"}}"#,
            broken.len()
        );
        etcd.put("/apisix/routes/fence", &fence);
        until_status(gateway, "/fence", "200");
        etcd.delete("/apisix/routes/fence");
        until_status(gateway, "/fence", "404");
        until_status(gateway, "/hello", "200");
    }
    etcd.delete("/apisix/routes/1");
    until_status(gateway, "/hello", "404");
}
