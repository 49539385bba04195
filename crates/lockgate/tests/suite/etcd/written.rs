//! What the Admin API writes, looked at in etcd itself: the fields, and their types, that the reference writes and reads.
//!
//! Stream routes are not written without stream mode. What is encrypted is replaced before it is compared: see [`Row::secret`].

use serde_json::{Map, Value, json};

use super::{node::Node, server::Etcd};

/// A request, and what it leaves in etcd.
struct Row {
    method: &'static str,
    path: &'static str,
    body: Value,
    /// Below the prefix; `None` where the id is made.
    key: Option<&'static str>,
    /// Fields that are stored besides those of the body.
    added: Value,
    /// `create_time` and `update_time` are stored.
    has_times: bool,
    /// Where a text lies that is stored encrypted.
    secret: Option<&'static str>,
}

fn row(path: &'static str, body: Value) -> Row {
    let id = path.rsplit('/').next().unwrap_or_default();
    Row {
        method: "PUT",
        path,
        body,
        key: Some(path),
        added: json!({ "id": id }),
        has_times: true,
        secret: None,
    }
}

fn rows() -> Vec<Row> {
    let pair = rcgen::generate_simple_self_signed(["test.com".to_owned()]).expect("a certificate");
    let ssl = json!({"sni": "test.com", "cert": pair.cert.pem(), "key": pair.signing_key.serialize_pem()});
    let nodes = json!({"127.0.0.1:1980": 1});
    let auth = json!({"plugins": {"key-auth": {"key": "jack-key"}}});
    vec![
        row(
            "upstreams/1",
            json!({"type": "roundrobin", "nodes": nodes, "retries": 0}),
        ),
        row(
            "services/s",
            json!({"upstream_id": "1", "labels": {"a": "b"}}),
        ),
        row(
            "routes/1",
            json!({"uri": "/a", "service_id": "s", "priority": 3, "vars": [["arg_a", "==", 1]], "plugins": {}, "enable_websocket": false}),
        ),
        Row {
            method: "POST",
            key: None,
            added: json!({}),
            ..row(
                "routes",
                json!({"uri": "/made", "upstream": {"type": "roundrobin", "nodes": nodes}}),
            )
        },
        // The id of the body: as it was given.
        Row {
            key: Some("routes/7"),
            added: json!({}),
            ..row(
                "routes",
                json!({"id": 7, "uri": "/seven", "upstream_id": "1"}),
            )
        },
        Row {
            method: "PATCH",
            added: json!({"id": "1", "desc": "patched"}),
            ..row(
                "upstreams/1",
                json!({"type": "roundrobin", "nodes": nodes, "retries": 0}),
            )
        },
        Row {
            key: Some("consumers/jack"),
            added: json!({"username": "jack"}),
            secret: Some("/plugins/key-auth/key"),
            ..row("consumers", auth)
        },
        Row {
            secret: Some("/plugins/key-auth/key"),
            ..row(
                "consumers/jack/credentials/c1",
                json!({"plugins": {"key-auth": {"key": "another-key"}}}),
            )
        },
        row(
            "consumer_groups/vip",
            json!({"plugins": {"limit-count": {"count": 2, "time_window": 60}}}),
        ),
        row("plugin_configs/1", json!({"plugins": {"cors": {}}})),
        row("global_rules/1", json!({"plugins": {"prometheus": {}}})),
        Row {
            has_times: false,
            ..row(
                "plugin_metadata/http-logger",
                json!({"log_format": {"host": "$host"}}),
            )
        },
        Row {
            secret: Some("/key"),
            ..row("ssls/1", ssl)
        },
        row(
            "protos/1",
            json!({"content": "syntax = \"proto3\";\nmessage M { string a = 1; }"}),
        ),
        Row {
            added: json!({"id": "vault/1"}),
            secret: Some("/token"),
            ..row(
                "secrets/vault/1",
                json!({"uri": "http://127.0.0.1:8200", "prefix": "kv/a", "token": "root"}),
            )
        },
        Row {
            added: json!({"id": "d1", "service_id": "s"}),
            ..row(
                "services/s/graphql_cost_decorations/d1",
                json!({"field_path": "Query.a"}),
            )
        },
    ]
}

/// Takes the time out of an object; it must be a whole number of seconds.
fn take_time(fields: &mut Map<String, Value>, name: &str) -> Option<u64> {
    fields.remove(name).map(|time| {
        let time = time.as_u64().unwrap_or_else(|| panic!("{name}: {time}"));
        assert!(time > 1_700_000_000, "{name}: {time}");
        time
    })
}

#[test]
fn writes_what_the_reference_writes() {
    let etcd = Etcd::start();
    let node = Node::start(&[&etcd]);
    for row in rows() {
        let what = format!("{} {}", row.method, row.path);
        let mut body = row.body.clone();
        let mut expected = row.body.as_object().cloned().expect("an object");
        expected.extend(row.added.as_object().cloned().expect("an object"));
        match row.method {
            "PATCH" => body = json!({"desc": "patched"}),
            _ if row.key == Some("consumers/jack") => body["username"] = json!("jack"),
            _ => {}
        }
        let answer = node.admin(row.method, row.path, &body.to_string());
        let is_done = matches!(answer.status, 200 | 201);
        assert!(is_done, "{what}: {} {}", answer.head, answer.body);
        let key = row.key.map_or_else(
            || {
                let key = answer.body["key"].as_str().expect("a key");
                key.trim_start_matches("/apisix/").to_owned()
            },
            str::to_owned,
        );
        if row.key.is_none() {
            let id = key.rsplit('/').next().expect("an id");
            let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
            assert!(id.len() == 20 && is_number, "{what}: {id}");
            expected.insert("id".to_owned(), json!(id));
            // What gave the number.
            assert_eq!(etcd.get("/apisix/gen_id").as_deref(), Some("1"));
        }
        let raw = etcd.get(&format!("/apisix/{key}"));
        let raw = raw.unwrap_or_else(|| panic!("{what}: nothing is stored as {key}"));
        let mut stored: Value = serde_json::from_str(&raw).expect("JSON");
        // No spaces, as the reference's encoder writes none.
        assert_eq!(raw, stored.to_string(), "{what}");
        if let Some(path) = row.secret {
            let secret = stored.pointer_mut(path).expect("it is stored");
            assert!(
                secret.as_str().is_some_and(|text| !text.is_empty()),
                "{what}: {secret}"
            );
            *secret = row.body.pointer(path).cloned().expect("it was sent");
        }
        let fields = stored.as_object_mut().expect("an object");
        let made = take_time(fields, "create_time");
        let changed = take_time(fields, "update_time");
        assert_eq!(made.is_some(), row.has_times, "{what}: {raw}");
        assert!(made <= changed, "{what}: {raw}");
        assert_eq!(stored, Value::Object(expected), "{what}");
    }
    // Nothing else is there but placeholders.
    let mut others: Vec<String> = etcd
        .everything()
        .into_iter()
        .filter(|(_, stored)| stored.value != "init_dir")
        .map(|(key, _)| key)
        .collect();
    others.retain(|key| !key.starts_with("/apisix/routes/0000"));
    let keys: std::collections::BTreeSet<String> = rows()
        .iter()
        .filter_map(|row| row.key)
        .chain(["gen_id"])
        .map(|key| format!("/apisix/{key}"))
        .collect();
    assert_eq!(others, keys.into_iter().collect::<Vec<String>>());
}

#[test]
fn a_put_is_one_call_to_etcd() {
    let etcd = Etcd::start();
    let node = Node::start(&[&etcd]);
    node.put("routes/first", r#"{"uri": "/first", "plugins": {}}"#);
    let before = ["Range", "Txn", "Put"].map(|method| etcd.answered(method));
    for n in 0..20 {
        // New ones, and ones that were there.
        let body = json!({"uri": format!("/{n}"), "plugins": {}}).to_string();
        node.put(&format!("routes/{}", n % 10), &body);
    }
    let after = ["Range", "Txn", "Put"].map(|method| etcd.answered(method));
    let calls: Vec<u64> = after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect();
    assert_eq!(calls, [0, 20, 0]);
}

#[test]
fn a_put_keeps_the_time_that_another_writer_has_just_stored() {
    let etcd = Etcd::start();
    let node = Node::start(&[&etcd]);
    for n in 0..50 {
        let made = 1_600_000_000 + n;
        let theirs = json!({"id": "1", "uri": "/theirs", "create_time": made, "update_time": made});
        etcd.put("/apisix/routes/1", &theirs.to_string());
        node.put("routes/1", r#"{"uri": "/ours", "plugins": {}}"#);
        let stored = etcd.get("/apisix/routes/1").expect("it is stored");
        let stored: Value = serde_json::from_str(&stored).expect("JSON");
        assert_eq!(
            (&stored["uri"], &stored["create_time"]),
            (&json!("/ours"), &json!(made))
        );
        // Taken away behind its back: it is made anew.
        etcd.delete("/apisix/routes/1");
        let answer = node.admin("PUT", "routes/1", r#"{"uri": "/ours", "plugins": {}}"#);
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}
