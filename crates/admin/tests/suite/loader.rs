//! Configuration files: which objects are loaded, and why others are left out.

use std::collections::BTreeSet;

use lockgate_admin::{Environment, Loader};
use lockgate_model::document::{self, Format};
use lockgate_store::Reading;
use serde_json::{Value, json};

async fn load(text: &str) -> Reading {
    load_in(Environment::default(), text).await
}

async fn load_in(environment: Environment, text: &str) -> Reading {
    let document = document::read(text, Format::Yaml).unwrap();
    Loader::new(environment).load(&document).await
}

/// Loads a text and compares the keys that are loaded, and for the others the key and the beginning of the reason.
#[track_caller]
fn compare(reading: &Reading, loaded: &[&str], rejected: &[(&str, &str)]) {
    let keys: Vec<&str> = reading.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, loaded, "{:?}", reading.rejected);
    let found = reading.rejected.iter();
    let found: Vec<(&str, &str)> = found
        .map(|rejected| (rejected.key.as_str(), rejected.reason.as_str()))
        .collect();
    assert_eq!(found.len(), rejected.len(), "{found:?}");
    for ((key, reason), (expected_key, beginning)) in found.iter().zip(rejected) {
        assert_eq!(key, expected_key);
        assert!(reason.starts_with(beginning), "{key}: {reason}");
    }
}

const NODES: &str = "upstream: {type: roundrobin, nodes: {'127.0.0.1:1': 1}}";

#[tokio::test]
async fn a_bad_object_harms_no_other() {
    let text = format!(
        "routes:
  - {{id: 1, uri: /a, {NODES}}}
  - {{uri: /b, {NODES}}}
  - {{id: no-uri, {NODES}}}
  - {{id: wrong, uri: 1, {NODES}}}
  - nothing
  - {{id: plugin, uri: /c, plugins: {{proxy-rewrite: {{uri: 1}}}}, {NODES}}}
  - {{id: unknown, uri: /d, plugins: {{x-rewrite: {{}}}}, {NODES}}}
  - {{id: vars, uri: /e, vars: [remote_addr, =, 1], {NODES}}}
  - {{id: index, uri: /f, modifiedIndex: 1, {NODES}}}
services:
  - {{id: s, plugins: {{key-auth: }}}}
"
    );
    let reading = load(&text).await;
    compare(
        &reading,
        &["routes/1", "routes/arr_2", "routes/index", "services/s"],
        &[
            (
                "routes/no-uri",
                "allOf 1 failed: value should match only one schema",
            ),
            (
                "routes/wrong",
                "property \"uri\" validation failed: wrong type: expected string, got number",
            ),
            ("routes/arr_5", "it should be an object"),
            (
                "routes/plugin",
                "failed to check the configuration of plugin proxy-rewrite err: property \"uri\" validation failed",
            ),
            ("routes/unknown", "unknown plugin [x-rewrite]"),
            ("routes/vars", "failed to validate the 'vars' expression: "),
        ],
    );
    let value: Value = serde_json::from_slice(&reading.items[0].value).unwrap();
    assert_eq!(value["id"], json!("1"));
    assert!(reading.items.iter().all(|item| item.version.is_none()));
}

#[tokio::test]
async fn every_list_is_read() {
    let text = r"
upstreams:
  - {id: 1, type: roundrobin, nodes: {'127.0.0.1:1': 1}}
  - {id: 2, type: chash, nodes: {'127.0.0.1:1': 1}}
consumers:
  - {username: jack, plugins: {key-auth: {key: a}}}
  - {id: jack/credentials/a, plugins: {key-auth: {key: b}}}
  - {id: jack/credentials/b, plugins: {key-auth: {}}}
consumer_groups:
  - {id: g, plugins: {}}
plugin_configs:
  - {id: p, plugins: {}}
global_rules:
  - {id: 1, plugins: {cors: {}}}
  - {plugins: {}}
plugin_metadata:
  - {id: http-logger, log_format: {host: $host}}
  - {id: file-logger, log_format: 1}
  - {id: nobody, whatever: 1}
protos:
  - {id: 1, content: 'syntax = proto3;'}
secrets:
  - {id: vault/1, uri: 'http://127.0.0.1:8200', prefix: kv, token: root}
  - {id: vault/2, uri: '127.0.0.1:8200', prefix: kv, token: root}
  - {id: hhh/1}
  - {prefix: kv}
stream_routes:
  - {id: 1, server_addr: 127.0.0.1, upstream_id: 1}
  - {id: 2, server_addr: x}
  - {id: 3, plugins: {x-rewrite: {}}}
ssls:
  - {id: 1, cert: no, key: no, sni: a}
services:
  - {id: s, upstream_id: none}
  - {id: s/graphql_cost_decorations/d, decoration_name: a}
routes: {id: no list}
route: []
";
    let reading = load(text).await;
    compare(
        &reading,
        &[
            "plugin_metadata/http-logger",
            "plugin_metadata/nobody",
            "services/s",
            "upstreams/1",
            "consumers/jack",
            "consumers/jack/credentials/a",
            "protos/1",
            "global_rules/1",
            "stream_routes/1",
            "plugin_configs/p",
            "consumer_groups/g",
            "secrets/vault/1",
        ],
        &[
            (
                "plugin_metadata/file-logger",
                "failed to check the configuration of plugin file-logger err: property \"log_format\" validation failed",
            ),
            ("services/s/graphql_cost_decorations/d", "property "),
            ("upstreams/2", "missing key"),
            (
                "consumers/jack/credentials/b",
                "failed to check the configuration of plugin key-auth err: property \"key\" is required",
            ),
            ("ssls/1", "property \"cert\" validation failed: "),
            ("global_rules/arr_2", "property \"id\" is required"),
            (
                "stream_routes/2",
                "property \"server_addr\" validation failed: ",
            ),
            ("stream_routes/3", "unknown plugin [x-rewrite]"),
            ("secrets/vault/2", "property \"uri\" validation failed: "),
            ("secrets/hhh/1", "secret manager not exits, manager: hhh"),
            ("secrets/arr_4", "no secret id"),
        ],
    );
}

#[tokio::test]
async fn plugins_are_those_of_config_yaml_unless_the_file_has_a_list() {
    let names = |names: &[&str]| -> Option<BTreeSet<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    };
    let routes = format!(
        "routes: [{{id: 1, uri: /, plugins: {{cors: {{}}}}, {NODES}}}]\nstream_routes: [{{id: 1, plugins: {{ip-restriction: {{whitelist: [127.0.0.1]}}}}}}]\n"
    );
    let both: &[&str] = &["routes/1", "stream_routes/1"];
    let unknown = |key, name| (key, name);
    let no_cors = unknown("routes/1", "unknown plugin [cors]");
    let no_restriction = unknown("stream_routes/1", "unknown plugin [ip-restriction]");
    for (http, stream, list, loaded, rejected) in [
        (None, None, "", both, vec![]),
        (
            names(&["cors"]),
            names(&["ip-restriction"]),
            "",
            both,
            vec![],
        ),
        (
            names(&[]),
            None,
            "",
            &["stream_routes/1"][..],
            vec![no_cors],
        ),
        (
            None,
            names(&[]),
            "",
            &["routes/1"][..],
            vec![no_restriction],
        ),
        (
            names(&["cors"]),
            names(&[]),
            "plugins: [{name: ip-restriction, stream: true}]\n",
            &["plugins", "stream_routes/1"][..],
            vec![no_cors],
        ),
        (
            None,
            None,
            "plugins:\n",
            &["plugins"][..],
            vec![no_cors, no_restriction],
        ),
        (
            None,
            None,
            "plugins: [{name: x, stream: cors}]\n",
            both,
            vec![(
                "plugins",
                "failed to validate item 1: property \"stream\" validation failed",
            )],
        ),
    ] {
        let environment = Environment {
            plugins: http,
            stream_plugins: stream,
            ..Environment::default()
        };
        let reading = load_in(environment, &format!("{list}{routes}")).await;
        // What is left out stands in the order of the lists.
        compare(&reading, loaded, &rejected);
    }
}
