//! References inside of configurations.

use lockgate_secret::has_reference;
use lockgate_testkit::{Origin, PATIENCE};
use serde_json::json;

use crate::{put, response, secrets};

#[tokio::test]
async fn every_reference_of_a_configuration_is_replaced() {
    let vault = Origin::answering(response(
        200,
        r#"{"data":{"key":"from-vault","port":6379}}"#,
    ));
    let secrets = secrets(
        &[("HOST", "a.test"), ("JSON", r#"{"user":"jack"}"#)],
        |_| {},
    );
    put(
        &secrets,
        "vault/1",
        &json!({"uri": format!("http://{}", vault.node()), "prefix": "kv", "token": "t"}),
    );
    let stored = json!({
        "key": "$secret://vault/1/jack/key",
        "redis": {"host": "$env://HOST", "port": "$secret://vault/1/jack/port", "database": 1},
        "headers": {"set": {"X-User": "$ENV://JSON/user", "X-Plain": "$http_x"}},
        "list": [["$env://HOST", {"deep": "$env://NOT_SET"}], "$secret://nobody/1/a", true, null],
        "malformed": "$secret://vault"
    });
    let first = secrets.resolve(&stored);
    assert_eq!(first.pending.len(), 2, "not yet: {:?}", first.pending);
    assert_eq!(first.value["key"], stored["key"]);
    secrets.settled(PATIENCE).await;

    let resolved = secrets.resolve(&stored);
    assert_eq!(
        resolved.value,
        json!({
            "key": "from-vault",
            "redis": {"host": "a.test", "port": 6379, "database": 1},
            "headers": {"set": {"X-User": "jack", "X-Plain": "$http_x"}},
            "list": [["a.test", {"deep": "$env://NOT_SET"}], "$secret://nobody/1/a", true, null],
            "malformed": "$secret://vault"
        })
    );
    assert!(resolved.pending.is_empty());
    let unresolved: Vec<_> = resolved
        .unresolved
        .iter()
        .map(|one| (&*one.reference, one.field.as_str(), one.why.to_string()))
        .collect();
    assert_eq!(
        unresolved,
        [
            ("$env://NOT_SET", "deep", "no value".to_owned()),
            (
                "$secret://nobody/1/a",
                "2",
                "no secret conf, secret_uri: $secret://nobody/1/a".to_owned()
            ),
            (
                "$secret://vault",
                "malformed",
                "error format: no secret manager".to_owned()
            ),
        ]
    );
    assert_eq!(resolved.uses.len(), 8);
    assert_eq!(
        stored["key"], "$secret://vault/1/jack/key",
        "the original stays"
    );
}

#[test]
fn references_are_seen_however_deep() {
    for (value, has_one) in [
        (json!({"key": "$env://X"}), true),
        (json!({"nested": {"key": "$secret://vault/1/k"}}), true),
        (json!([[["$ENV://X"]]]), true),
        (json!({"key": "plain", "nested": {"key": "$x"}}), false),
        (json!({"$env://X": 1}), false),
    ] {
        assert_eq!(has_reference(&value), has_one, "{value}");
    }
}
