//! Secrets in etcd: the ciphertexts that the reference makes, byte for byte, in both directions.

use lockgate_testkit::eventually;
use serde_json::{Value, json};

use super::{node::Node, server::Etcd};

#[test]
fn secrets_are_in_etcd_as_the_reference_has_them() {
    let etcd = Etcd::start();
    let node = Node::start(&[&etcd]);
    for (path, body, pointer, expected) in [
        (
            "consumers/ann",
            json!({"username": "ann", "plugins": {"key-auth": {"key": "new-key"}}}),
            "/plugins/key-auth/key",
            "523EisB/dvqlIT9RzfF3ZQ==",
        ),
        (
            "services/1",
            json!({"plugins": {"csrf": {"key": "exactly 16 bytes"}}}),
            "/plugins/csrf/key",
            "F3qODiZliPL827Gu7zKX7GByDI85MvlE/tAFJu7sIec=",
        ),
    ] {
        node.put(path, &body.to_string());
        let stored = etcd.get(&format!("/apisix/{path}")).expect("stored");
        let stored: Value = serde_json::from_str(&stored).expect("JSON");
        assert_eq!(stored.pointer(pointer), Some(&json!(expected)), "{path}");
    }
}

/// The first is of the second standard key, the second of the first; the reference escapes slashes.
#[test]
fn secrets_that_the_reference_stored_are_read() {
    let etcd = Etcd::start();
    let node = Node::start(&[&etcd]);
    let of = |key: &str| {
        let plugins = format!(r#"{{"key-auth":{{"key":"{key}"}}}}"#);
        format!(r#"{{"username":"eve","plugins":{plugins},"create_time":1,"update_time":1}}"#)
    };
    for (stored, key) in [
        (r"vU\/ZHVJw7b0XscDJ1Fhtig==", "auth-two"),
        (
            r"F3qODiZliPL827Gu7zKX7GByDI85MvlE\/tAFJu7sIec=",
            "exactly 16 bytes",
        ),
    ] {
        etcd.put("/apisix/consumers/eve", &of(stored));
        let read = node.admin("GET", "consumers/eve", "").body;
        let shown = read.pointer("/value/plugins/key-auth/key");
        assert_eq!(shown, Some(&json!(key)));
        let consumer = json!({"username": "bob", "plugins": {"key-auth": {"key": key}}});
        let reason = "duplicate key of plugin key-auth found with consumer: eve";
        let refused = json!({ "error_msg": reason });
        // What others write to etcd counts when the node has seen it, as in the reference.
        eventually("the node has seen it", || {
            node.admin("PUT", "consumers", &consumer.to_string()).body == refused
        });
    }
}
