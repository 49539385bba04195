//! `/apisix/admin/configs`: a configuration that is pushed and read as a whole.

use lockgate_store::Store as _;
use serde_json::{Value, json};

use crate::{
    gateway::{Gateway, keyed_options, open_options},
    wire::Reply,
};

const PATH: &str = "/apisix/admin/configs";

/// Pushes a configuration under a digest.
async fn push(gateway: &Gateway, digest: &str, body: &str) -> Reply {
    let fields = format!("X-Digest: {digest}\r\n");
    gateway
        .ask_with(&format!("PUT {PATH}"), &fields, body)
        .await
}

async fn accept(gateway: &Gateway, digest: &str, configuration: &Value) {
    let reply = push(gateway, digest, &configuration.to_string()).await;
    assert_eq!((reply.status, &*reply.body), (202, ""), "{configuration}");
    assert_eq!(reply.field("x-digest"), Some(digest));
    assert_eq!(reply.field("x-last-modified"), Some("1000"));
}

async fn refuse(gateway: &Gateway, digest: &str, body: &str, message: &str) {
    let reply = push(gateway, digest, body).await;
    let expected = json!({ "error_msg": message }).to_string() + "\n";
    assert_eq!((reply.status, reply.body), (400, expected), "{body}");
}

async fn shown(gateway: &Gateway) -> Value {
    let reply = gateway.ask(&format!("GET {PATH}"), "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.field("content-type"), Some("application/json"));
    serde_json::from_str(&reply.body).unwrap()
}

fn route(id: &str, uri: &str) -> Value {
    json!({"id": id, "uri": uri, "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1980": 1}}})
}

#[tokio::test]
async fn is_empty_at_first() {
    let (gateway, whole) = Gateway::start_standalone(open_options()).await;
    let empty = shown(&gateway).await;
    let names = [
        "routes",
        "services",
        "upstreams",
        "consumers",
        "ssls",
        "protos",
        "global_rules",
        "stream_routes",
        "plugin_configs",
        "consumer_groups",
        "plugin_metadata",
        "secrets",
        "plugins",
    ];
    assert_eq!(empty.as_object().unwrap().len(), names.len());
    for name in names {
        assert_eq!(empty[format!("{name}_conf_version")], json!(0), "{name}");
    }
    let yaml = gateway
        .ask_with(&format!("GET {PATH}"), "Accept: application/yaml\r\n", "")
        .await;
    assert_eq!(yaml.field("content-type"), Some("application/yaml"));
    assert!(
        yaml.body.contains("routes_conf_version: 0\n"),
        "{}",
        yaml.body
    );
    let head = gateway.ask(&format!("HEAD {PATH}"), "").await;
    assert_eq!(head.status, 200);
    for reply in [yaml, head] {
        assert_eq!(
            (reply.field("x-digest"), reply.field("x-last-modified")),
            (None, None)
        );
    }
    assert!(!whole.is_filled());
}

#[tokio::test]
async fn takes_json_and_yaml_and_gives_both_back() {
    let (gateway, whole) = Gateway::start_standalone(open_options()).await;
    accept(&gateway, "1", &json!({"routes": [route("r1", "/r1")]})).await;
    assert!(whole.is_filled());
    let found = shown(&gateway).await;
    assert_eq!(found["routes"], json!([route("r1", "/r1")]));
    assert_eq!(found["routes_conf_version"], json!(1));
    assert_eq!(found["ssls_conf_version"], json!(1));
    assert_eq!(
        (&found["X-Digest"], &found["X-Last-Modified"]),
        (&json!("1"), &json!(1000))
    );
    let stored = whole.get("routes/r1").await.unwrap().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&stored.value).unwrap(),
        route("r1", "/r1")
    );

    // The same digest changes nothing, whatever comes with it.
    let reply = push(&gateway, "1", "{}").await;
    assert_eq!((reply.status, &*reply.body), (204, ""));
    assert_eq!(shown(&gateway).await, found);
    let head = gateway.ask(&format!("HEAD {PATH}"), "").await;
    assert_eq!(
        (
            head.status,
            head.field("x-digest"),
            head.field("x-last-modified")
        ),
        (200, Some("1"), Some("1000"))
    );

    let yaml = "Content-Type: application/yaml; charset=utf-8\r\nX-Digest: 2\r\n";
    let text = "routes:\n  - id: r2\n    uri: /r2\n    desc: 'yes'\n    upstream:\n      type: roundrobin\n      nodes: {'127.0.0.1:1980': 1}\n";
    let reply = gateway.ask_with(&format!("PUT {PATH}"), yaml, text).await;
    assert_eq!(reply.status, 202);
    assert!(whole.get("routes/r1").await.unwrap().is_none());
    let mut second = route("r2", "/r2");
    second["desc"] = json!("yes");
    assert_eq!(shown(&gateway).await["routes"], json!([second]));

    // What is read can be pushed again, in either language.
    let accept_yaml = "Accept: application/yaml\r\n";
    let read = gateway
        .ask_with(&format!("GET {PATH}"), accept_yaml, "")
        .await
        .body;
    assert!(read.contains("id: r2"), "{read}");
    let fields = "Content-Type: application/yaml\r\nX-Digest: 3\r\n";
    let revision = whole.list("").await.unwrap().revision;
    assert_eq!(
        gateway
            .ask_with(&format!("PUT {PATH}"), fields, &read)
            .await
            .status,
        202
    );
    accept(&gateway, "4", &shown(&gateway).await).await;
    assert_eq!(whole.list("").await.unwrap().revision, revision);
    assert_eq!(shown(&gateway).await["routes"], json!([second]));

    accept(&gateway, "5", &json!({})).await;
    assert_eq!(whole.list("").await.unwrap().entries, []);
    assert!(shown(&gateway).await.get("routes").is_none());
}

#[tokio::test]
async fn the_version_of_a_list_says_whether_it_is_taken() {
    let (gateway, whole) = Gateway::start_standalone(open_options()).await;
    accept(
        &gateway,
        "1",
        &json!({"routes": [route("a", "/a")], "routes_conf_version": 100}),
    )
    .await;
    let versions = |found: &Value| {
        (
            found["routes_conf_version"].clone(),
            found["ssls_conf_version"].clone(),
        )
    };
    assert_eq!(versions(&shown(&gateway).await), (json!(100), json!(1)));

    // The same version: what comes with it is not looked at.
    accept(
        &gateway,
        "2",
        &json!({"routes": [route("b", "/b")], "routes_conf_version": 100}),
    )
    .await;
    assert!(whole.get("routes/a").await.unwrap().is_some());
    assert_eq!(shown(&gateway).await["routes"], json!([route("a", "/a")]));

    refuse(
        &gateway,
        "3",
        r#"{"routes_conf_version": 99, "ssls_conf_version": 50}"#,
        "routes_conf_version must be greater than or equal to (100)",
    )
    .await;
    assert_eq!(versions(&shown(&gateway).await), (json!(100), json!(2)));

    refuse(
        &gateway,
        "3",
        r#"{"routes_conf_version": "x"}"#,
        "routes_conf_version must be a number",
    )
    .await;

    // None: the next one.
    accept(
        &gateway,
        "3",
        &json!({"routes": [route("b", "/b")], "ssls_conf_version": 2}),
    )
    .await;
    assert_eq!(versions(&shown(&gateway).await), (json!(101), json!(2)));
    assert!(whole.get("routes/b").await.unwrap().is_some());
    assert!(whole.get("routes/a").await.unwrap().is_none());

    accept(&gateway, "4", &json!({"routes_conf_version": 200})).await;
    assert_eq!(
        whole.list("").await.unwrap().entries,
        [],
        "a list that does not come is empty"
    );
}

#[tokio::test]
async fn modified_index_says_whether_an_object_is_taken() {
    let (gateway, whole) = Gateway::start_standalone(open_options()).await;
    let indexed = |uri: &str, index: Value| {
        let mut route = route("a", uri);
        route["modifiedIndex"] = index;
        json!({ "routes": [route] })
    };
    for (digest, uri, index, expected) in [
        ("1", "/1", 1, "/1"),
        ("2", "/2", 1, "/1"),
        ("3", "/2", 2, "/2"),
    ] {
        accept(&gateway, digest, &indexed(uri, json!(index))).await;
        let stored = whole.get("routes/a").await.unwrap().unwrap();
        let stored: Value = serde_json::from_slice(&stored.value).unwrap();
        assert_eq!(stored["uri"], json!(expected));
        assert!(stored.get("modifiedIndex").is_none());
        assert_eq!(
            shown(&gateway).await["routes"][0]["uri"],
            json!(uri),
            "as it was pushed"
        );
    }
    refuse(
        &gateway,
        "4",
        &indexed("/3", json!("x")).to_string(),
        "invalid configuration: property \"modifiedIndex\" validation failed: wrong type: expected integer, got string",
    )
    .await;
}

#[tokio::test]
async fn credentials_and_secrets_have_their_owners_in_their_ids() {
    let (gateway, whole) = Gateway::start_standalone(open_options()).await;
    let configuration = json!({
        "consumers": [
            {"username": "john_1"},
            {"id": "john_1/credentials/john-a", "plugins": {"key-auth": {"key": "auth-a"}}, "modifiedIndex": 1},
        ],
        "secrets": [{"id": "vault/1", "uri": "http://127.0.0.1:8200", "prefix": "kv", "token": "t"}],
        "plugin_metadata": [{"id": "http-logger", "log_format": {"host": "$host"}}],
        "plugins": [{"name": "cors"}],
        "stream_routes": [{"id": 1, "server_port": 1985, "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1995": 1}}}],
    });
    accept(&gateway, "1", &configuration).await;
    let entries = whole.list("").await.unwrap().entries;
    let keys: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(
        keys,
        [
            "consumers/john_1",
            "consumers/john_1/credentials/john-a",
            "stream_routes/1",
            "plugin_metadata/http-logger",
            "secrets/vault/1",
        ]
    );
}

#[tokio::test]
async fn refuses_what_does_not_fit() {
    let (gateway, whole) = Gateway::start_standalone(open_options()).await;
    let reply = gateway.ask(&format!("PUT {PATH}"), "{}").await;
    assert_eq!(
        (reply.status, &*reply.body),
        (400, "{\"error_msg\":\"missing digest header\"}\n")
    );
    let two = |list: &str, object: Value| json!({ list: [object, object] }).to_string();
    let credential = json!({"id": "a/credentials/b", "plugins": {"key-auth": {"key": "k"}}});
    let hash = json!({"nodes": {"127.0.0.1:1": 1}, "type": "chash", "hash_on": "vars", "key": "args_invalid"});
    for (body, message) in [
        ("", "invalid request body: empty request body"),
        (
            "{abcd",
            "invalid request body: Expected object key string but found invalid token at character 2",
        ),
        (
            "[1]",
            "invalid request body: a configuration is an object of lists",
        ),
        (
            r#"{"routes": [{"id": "a", "uri": 123}]}"#,
            "invalid configuration: property \"uri\" validation failed: wrong type: expected string, got number",
        ),
        (
            &two("routes", route("r1", "/")),
            "found duplicate id r1 in routes",
        ),
        (
            &two("consumers", json!({"username": "a"})),
            "found duplicate username a in consumers",
        ),
        (
            &two("consumers", credential),
            "found duplicate credential id a/credentials/b in consumers",
        ),
        (
            r#"{"services": [{"id": "s", "plugins": {"invalid-plugin": {}}}]}"#,
            "unknown plugin [invalid-plugin]",
        ),
        (
            &json!({"routes": [{"id": "r", "uri": "/", "upstream": hash}]}).to_string(),
            "invalid configuration: failed to match pattern \"^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$\" with \"args_invalid\"",
        ),
        (
            r#"{"secrets": [{"id": "vault"}]}"#,
            "invalid secret id: vault",
        ),
    ] {
        refuse(&gateway, "1", body, message).await;
    }
    let yaml = "Content-Type: application/yaml\r\nX-Digest: 1\r\n";
    for text in ["a: b: c", "- a", "a", "~", "#", "\u{0}"] {
        let reply = gateway.ask_with(&format!("PUT {PATH}"), yaml, text).await;
        assert_eq!(
            (reply.status, &*reply.body),
            (
                400,
                "{\"error_msg\":\"invalid request body: invalid yaml request body\"}\n"
            ),
            "{text:?}"
        );
    }
    assert!(!whole.is_filled(), "nothing was taken");
}

#[tokio::test]
async fn nothing_else_is_served() {
    let (gateway, _whole) = Gateway::start_standalone(keyed_options()).await;
    let key = "X-API-KEY: full\r\n";
    for (request, fields, status) in [
        ("GET /apisix/admin/configs", "", 401),
        (
            "PUT /apisix/admin/configs",
            "X-API-KEY: look\r\nX-Digest: 1\r\n",
            401,
        ),
        ("GET /apisix/admin/configs", "X-API-KEY: look\r\n", 200),
        ("HEAD /apisix/admin/configs", key, 200),
        ("HEAD /apisix/admin", "", 200),
        ("POST /apisix/admin/configs/validate", "", 401),
        ("POST /apisix/admin/configs", key, 404),
        ("DELETE /apisix/admin/configs", key, 404),
        ("GET /apisix/admin/configs/", key, 404),
        ("GET /apisix/admin/configs/x", key, 404),
        ("GET /apisix/admin/routes", key, 404),
        ("PUT /apisix/admin/routes/1", key, 404),
        ("GET /apisix/admin/plugins/list", key, 404),
        ("GET /apisix/admin/schema/route", key, 404),
    ] {
        let reply = gateway.ask_with(request, fields, "").await;
        assert_eq!(reply.status, status, "{request} {fields}");
    }
    let reply = gateway
        .ask_with(
            "POST /apisix/admin/configs/validate",
            key,
            r#"{"routes": [{"id": 1}]}"#,
        )
        .await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.body.contains("Configuration validation failed"),
        "{}",
        reply.body
    );
}
