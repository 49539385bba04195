//! An etcd that the reference has filled, and goes on using.
//!
//! Keys and values are those that the reference's Admin API and command line write (features of its `apisix/core/etcd.lua`,
//! `apisix/cli/etcd.lua` and `apisix/plugins/server-info.lua`), put through the JSON interface that it uses.

use lockgate_store::{Change, Store};
use serde_json::json;

use super::server::Server;
use crate::writes::{next, put, remove, write};

/// In the order in which they are written.
const OBJECTS: &[(&str, &str)] = &[
    (
        "upstreams/1",
        r#"{"update_time":1700000000,"type":"roundrobin","hash_on":"vars","pass_host":"pass","scheme":"http","id":"1","create_time":1700000000,"nodes":{"127.0.0.1:1980":1}}"#,
    ),
    (
        "services/1",
        r#"{"id":"1","create_time":1700000001,"update_time":1700000001,"upstream_id":"1"}"#,
    ),
    (
        "routes/1",
        r#"{"uri":"/hello","priority":0,"status":1,"id":"1","service_id":"1","create_time":1700000002,"update_time":1700000002}"#,
    ),
    ("gen_id", "1"),
    (
        "routes/00000000000000000021",
        r#"{"id":"00000000000000000021","uri":"\/a\/*","methods":["GET"],"upstream":{"nodes":[{"host":"::1","port":1980,"weight":1}],"type":"chash","key":"remote_addr"}}"#,
    ),
    (
        "consumers/jack",
        r#"{"username":"jack","plugins":{"key-auth":{"key":"4y+JvURBE6ZwRbbgaryrhg=="}}}"#,
    ),
    (
        "consumers/jack/credentials/c1",
        r#"{"id":"c1","plugins":{"key-auth":{"key":"7iZ2vTbwZsYvMWfyLEWJUg=="}}}"#,
    ),
    ("consumer_groups/vip", r#"{"id":"vip","plugins":{}}"#),
    (
        "plugin_configs/1",
        r#"{"id":"1","plugins":{"prometheus":{}}}"#,
    ),
    (
        "global_rules/1",
        r#"{"id":"1","plugins":{"prometheus":{"prefer_name":false}}}"#,
    ),
    (
        "plugin_metadata/http-logger",
        r#"{"id":"http-logger","log_format":{"host":"$host"}}"#,
    ),
    (
        "ssls/1",
        r#"{"id":"1","sni":"test.com","cert":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n","key":"XmLHhBRa0SL9VTQyDC0d8OYX=="}"#,
    ),
    (
        "protos/1",
        "{\"id\":\"1\",\"content\":\"syntax = \\\"proto3\\\";\"}",
    ),
    (
        "secrets/vault/1",
        r#"{"id":"vault\/1","uri":"http:\/\/127.0.0.1:8200","prefix":"kv\/apisix","token":"root"}"#,
    ),
    (
        "stream_routes/1",
        r#"{"id":"1","server_port":9100,"upstream_id":"1"}"#,
    ),
    (
        "plugins",
        r#"[{"name":"key-auth"},{"name":"mqtt-proxy","stream":true}]"#,
    ),
    (
        "data_plane/server_info/b7ce1c5c",
        r#"{"boot_time":1700000000,"id":"b7ce1c5c","version":"3.18.0"}"#,
    ),
];

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

async fn fill(server: &Server) {
    for directory in DIRECTORIES {
        server
            .put(&format!("/apisix/{directory}/"), b"init_dir")
            .await;
    }
    for (key, value) in OBJECTS {
        server
            .put(&format!("/apisix/{key}"), value.as_bytes())
            .await;
    }
    // Of others who use the same etcd.
    for key in ["/apisix2/routes/1", "/apisi", "/apisix", "/b"] {
        server.put(key, b"{}").await;
    }
}

#[tokio::test]
async fn reads_what_the_reference_wrote() {
    let server = Server::start().await;
    fill(&server).await;
    let store = server.connect().await;
    let listing = store.list("").await.unwrap();
    let listed: Vec<(&str, &str)> = listing
        .entries
        .iter()
        .map(|entry| (&*entry.key, std::str::from_utf8(&entry.value).unwrap()))
        .collect();
    assert_eq!(listed, OBJECTS);
    let routes = store.list("routes/").await.unwrap();
    assert_eq!(routes.entries.len(), 2);
    let entry = store.get("consumers/jack").await.unwrap().unwrap();
    assert_eq!(&*entry.value, OBJECTS[5].1.as_bytes());
    assert_eq!(store.get("routes/").await.unwrap(), None);
}

#[tokio::test]
async fn follows_what_the_reference_writes() {
    let server = Server::start().await;
    fill(&server).await;
    let store = server.connect().await;
    let start = store.list("").await.unwrap().revision;
    let mut watch = store.watch(start).unwrap();
    // A start of the reference writes its placeholders again.
    server.put("/apisix/routes/", b"init_dir").await;
    server.put("/apisix2/routes/1", b"{}").await;
    let written = server.put("/apisix/routes/1", b"{\"uri\":\"/new\"}").await;
    let batch = next(&mut *watch).await;
    let [Change::Put(entry)] = &batch.changes[..] else {
        panic!("{batch:?}");
    };
    assert_eq!(
        (&*entry.key, &*entry.value, entry.mod_revision),
        ("routes/1", &b"{\"uri\":\"/new\"}"[..], written)
    );
    assert!(entry.create_revision < start);

    let removed = server.delete("/apisix/routes/1").await;
    let batch = next(&mut *watch).await;
    assert!(
        matches!(&batch.changes[..], [Change::Delete { key, revision }]
            if &**key == "routes/1" && *revision == removed),
        "{batch:?}"
    );
}

#[tokio::test]
async fn writes_what_the_reference_reads() {
    let server = Server::start().await;
    let store = server.connect().await;
    for (key, value) in OBJECTS {
        write(&store, key, value).await;
    }
    write(&store, "routes/gone", "{}").await;
    remove(&store, "routes/gone").await;
    let mut expected: Vec<(String, Vec<u8>)> = OBJECTS
        .iter()
        .map(|(key, value)| (format!("/apisix/{key}"), value.as_bytes().to_vec()))
        .collect();
    expected.sort();
    assert_eq!(server.everything().await, expected);
}

#[tokio::test]
async fn writes_the_placeholders_of_the_reference() {
    let server = Server::start().await;
    let store = server.connect().await;
    server.put("/apisix/routes/", b"init_dir").await;
    assert_eq!(store.init_directories().await.unwrap(), 12);
    let expected: Vec<(String, Vec<u8>)> = DIRECTORIES
        .iter()
        .map(|name| (format!("/apisix/{name}/"), b"init_dir".to_vec()))
        .collect();
    assert_eq!(server.everything().await, expected);
    assert_eq!(store.list("").await.unwrap().entries, []);
    let before = store.list("").await.unwrap().revision;
    assert_eq!(store.init_directories().await.unwrap(), 0);
    assert_eq!(store.list("").await.unwrap().revision, before);
}

#[tokio::test]
async fn keeps_its_lease_on_what_expires() {
    let server = Server::start().await;
    let store = server.connect().await;
    let with_ttl = lockgate_store::Put {
        ttl: Some(std::time::Duration::from_mins(5)),
        ..put("routes/1", "{}")
    };
    store.put(with_ttl).await.unwrap();
    let leases = server.ask("/v3/lease/leases", json!({})).await;
    let id = &leases["leases"][0]["ID"];
    let question = json!({"ID": id, "keys": true});
    let lease = server.ask("/v3/lease/timetolive", question).await;
    // The key in base64: /apisix/routes/1.
    assert_eq!(lease["keys"], json!(["L2FwaXNpeC9yb3V0ZXMvMQ=="]));
    assert_eq!(lease["grantedTTL"], "300");
}
