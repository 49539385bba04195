//! Consumers, their credentials and groups.

use serde_json::{Value, json};

use crate::{counted::Counted, gateway::Gateway};

fn missing() -> Value {
    json!({"message": "Key not found"})
}

fn unsupported(method: &str, words: &str) -> Value {
    json!({"error_msg": format!("not supported `{method}` method for {words}")})
}

/// The plugin is switched off where its secrets would be stored encrypted.
fn keyed(plugin: &str, field: &str, key: &str) -> Value {
    let mut config = json!({"password": "p", "secret_key": "s", "secret": "s"});
    config[field] = key.into();
    json!({plugin: config})
}

#[tokio::test]
async fn keeps_consumers_by_name() {
    let gateway = Gateway::start().await;
    let jack = json!({"username": "jack", "create_time": 1000, "update_time": 1000});
    let written = json!({"key": "/apisix/consumers/jack", "value": jack});
    let shown = json!({"key": "/apisix/consumers/jack", "value": jack, "createdIndex": 1, "modifiedIndex": 2});
    gateway
        .check(&[
            (
                "PUT consumers",
                json!({"username": "jack"}),
                201,
                written.clone(),
            ),
            (
                "PUT consumers/jack",
                json!({"username": "jack"}),
                200,
                written,
            ),
            ("GET consumers/jack", json!(""), 200, shown.clone()),
            (
                "GET consumers",
                json!(""),
                200,
                json!({"total": 1, "list": [shown]}),
            ),
            (
                "POST consumers",
                json!({"username": "jack"}),
                405,
                unsupported("POST", "consumer"),
            ),
            (
                "PATCH consumers/jack",
                json!({}),
                405,
                unsupported("PATCH", "consumer"),
            ),
            ("DELETE consumers/other", json!(""), 404, missing()),
            (
                "DELETE consumers/jack",
                json!(""),
                200,
                json!({"key": "/apisix/consumers/jack", "deleted": "1"}),
            ),
            ("GET consumers/jack", json!(""), 404, missing()),
        ])
        .await;
    gateway
        .check_refusals(&[
            ("PUT consumers", json!(""), "missing configurations"),
            (
                "PUT consumers/jill",
                json!({"username": "jack"}),
                "wrong username",
            ),
            (
                "PUT consumers",
                json!({}),
                "invalid configuration: property \"username\" is required",
            ),
            ("DELETE consumers", json!(""), "missing consumer id"),
            (
                "PUT consumers",
                json!({"username": "jack", "group_id": "g"}),
                "failed to fetch consumer group info by consumer group id [g], response code: 404",
            ),
            (
                "PUT consumers",
                json!({"username": "jack", "plugins": {"no-such-plugin": {}}}),
                "invalid plugins configuration: unknown plugin [no-such-plugin]",
            ),
        ])
        .await;
}

#[tokio::test]
async fn credentials_live_and_die_with_their_consumer() {
    let gateway = Gateway::start().await;
    let path = "consumers/jack/credentials";
    let value = json!({"id": "a", "create_time": 1000, "update_time": 1000});
    let key = "/apisix/consumers/jack/credentials/a";
    let shown = json!({"key": key, "value": value, "createdIndex": 2, "modifiedIndex": 2});
    let missing_consumer = json!({"error_msg": "consumer not found"});
    gateway
        .check(&[
            (&format!("PUT {path}/a"), json!({}), 404, missing_consumer),
            (
                "PUT consumers",
                json!({"username": "jack"}),
                201,
                json!({
                    "key": "/apisix/consumers/jack",
                    "value": {"username": "jack", "create_time": 1000, "update_time": 1000},
                }),
            ),
            (&format!("GET {path}"), json!(""), 404, missing()),
            (
                &format!("PUT {path}/a"),
                json!({}),
                201,
                json!({"key": key, "value": value}),
            ),
            (&format!("GET {path}/a"), json!(""), 200, shown.clone()),
            (
                &format!("GET {path}"),
                json!(""),
                200,
                json!({"total": 1, "list": [shown]}),
            ),
            (
                &format!("POST {path}"),
                json!({}),
                405,
                unsupported("POST", "credential"),
            ),
            (
                &format!("PATCH {path}/a"),
                json!({}),
                405,
                unsupported("PATCH", "credential"),
            ),
            (
                "DELETE consumers/jack",
                json!(""),
                200,
                json!({"key": "/apisix/consumers/jack", "deleted": "1"}),
            ),
            (&format!("GET {path}/a"), json!(""), 404, missing()),
        ])
        .await;
    gateway
        .check_refusals(&[
            (&format!("PUT {path}"), json!({}), "missing credential id"),
            (
                &format!("PUT {path}/a"),
                json!({"plugins": {"cors": {}}}),
                "only supports auth type plugins in consumer credential",
            ),
            (
                &format!("PUT {path}/a"),
                json!({"plugins": {"key-auth": {}, "basic-auth": {}}}),
                "invalid configuration: property \"plugins\" validation failed: expect object to have at most 1 properties",
            ),
            (
                &format!("PUT {path}/a"),
                json!({"plugins": {"key-auth": {}}}),
                "invalid plugins configuration: failed to check the configuration of plugin key-auth err: property \"key\" is required",
            ),
        ])
        .await;
}

#[tokio::test]
async fn a_key_belongs_to_one_consumer() {
    // One store can be followed, the other cannot.
    check_keys(async || Gateway::start_over(Counted::empty()).await).await;
    check_keys(Gateway::start).await;
}

async fn check_keys(start: impl AsyncFn() -> Gateway) {
    for (plugin, field) in [
        ("key-auth", "key"),
        ("basic-auth", "username"),
        ("jwt-auth", "key"),
        ("hmac-auth", "key_id"),
        ("ldap-auth", "user_dn"),
        ("ldap-auth-advanced", "user_dn"),
    ] {
        let gateway = start().await;
        let put = async |path: &str, body: Value| {
            let reply = gateway
                .ask(&format!("PUT /apisix/admin/{path}"), &body.to_string())
                .await;
            if reply.status < 300 {
                return Ok(());
            }
            let body: Value = serde_json::from_str(&reply.body).unwrap();
            Err(body["error_msg"].as_str().unwrap().to_owned())
        };
        let consumer =
            |name: &str, key: &str| json!({"username": name, "plugins": keyed(plugin, field, key)});
        let credential = |key: &str| json!({"plugins": keyed(plugin, field, key)});
        let taken = |owner: &str| {
            Err(format!(
                "duplicate {field} of plugin {plugin} found with {owner}"
            ))
        };
        for (path, body, expected) in [
            ("consumers", consumer("ann", "a\"1"), Ok(())),
            ("consumers", consumer("ann", "a\"1"), Ok(())),
            ("consumers", consumer("bob", "a\"1"), taken("consumer: ann")),
            ("consumers", consumer("bob", "b1"), Ok(())),
            ("consumers/ann/credentials/c", credential("c1"), Ok(())),
            ("consumers/ann/credentials/c", credential("c1"), Ok(())),
            ("consumers", consumer("ann", "c1"), Ok(())),
            ("consumers", consumer("ann", "a\"1"), Ok(())),
            (
                "consumers",
                consumer("bob", "c1"),
                taken("credential: c of consumer: ann"),
            ),
            (
                "consumers/bob/credentials/d",
                credential("c1"),
                taken("credential: c of consumer: ann"),
            ),
            (
                "consumers/ann/credentials/d",
                credential("c1"),
                taken("credential: c of consumer: ann"),
            ),
            (
                "consumers/bob/credentials/d",
                credential("a\"1"),
                taken("consumer: ann"),
            ),
            // What a reference to a secret leads to is not known.
            ("consumers", consumer("ann", "$env://KEY"), Ok(())),
            ("consumers", consumer("bob", "$env://KEY"), Ok(())),
            // Who has another key has the one before no more.
            ("consumers", consumer("bob", "a\"1"), Ok(())),
            ("consumers", consumer("ann", "b1"), Ok(())),
            ("consumers/ann/credentials/c", credential("c2"), Ok(())),
            ("consumers/bob/credentials/d", credential("c1"), Ok(())),
        ] {
            assert_eq!(put(path, body.clone()).await, expected, "{path} {body}");
        }
    }
}

#[tokio::test]
async fn a_write_of_a_consumer_does_not_read_all_of_them() {
    let store = Counted::empty();
    let gateway = Gateway::start_over(store.clone()).await;
    let writes = 100;
    for number in 0..writes {
        let key = number.to_string();
        let consumer = json!({"username": &key, "plugins": keyed("key-auth", "key", &key)});
        let reply = gateway
            .ask("PUT /apisix/admin/consumers", &consumer.to_string())
            .await;
        assert_eq!(reply.status, 201, "{}", reply.body);
    }
    // Once to begin with, and where the index is late because the machine is busy.
    assert!(store.listed() <= writes / 2, "{}", store.listed());
}

#[tokio::test]
async fn groups_are_kept_while_they_have_consumers() {
    let gateway = Gateway::start().await;
    let value = json!({"plugins": {}, "id": "g", "create_time": 1000, "update_time": 1000});
    let member =
        json!({"username": "jack", "group_id": "g", "create_time": 1000, "update_time": 1000});
    gateway
        .check(&[
            (
                "POST consumer_groups",
                json!({}),
                405,
                unsupported("POST", "consumer group"),
            ),
            (
                "PUT consumer_groups/g",
                json!({"plugins": {}}),
                201,
                json!({"key": "/apisix/consumer_groups/g", "value": value}),
            ),
            (
                "PUT consumers",
                json!({"username": "jack", "group_id": "g"}),
                201,
                json!({"key": "/apisix/consumers/jack", "value": member}),
            ),
        ])
        .await;
    gateway
        .check_refusals(&[
            (
                "DELETE consumer_groups/g",
                json!(""),
                "can not delete this consumer group, consumer [jack] is still using it now",
            ),
            (
                "PUT consumer_groups/h",
                json!({}),
                "invalid configuration: property \"plugins\" is required",
            ),
            (
                "PUT consumer_groups",
                json!({"plugins": {}}),
                "missing consumer group id",
            ),
            (
                "PUT consumer_groups/h",
                json!({"plugins": {}, "id": "i"}),
                "wrong consumer group id",
            ),
        ])
        .await;
    let deleted = json!({"key": "/apisix/consumer_groups/g", "deleted": "1"});
    gateway
        .check(&[(
            "DELETE consumer_groups/g?force=true",
            json!(""),
            200,
            deleted,
        )])
        .await;
}
