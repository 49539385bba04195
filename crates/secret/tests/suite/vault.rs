//! Vault.

use lockgate_testkit::{Connection, Origin};
use serde_json::{Value, json};

use crate::{put, response, secrets, value};

/// A Vault with engines of both versions. The token is `root`.
fn vault() -> Origin {
    Origin::start(|connection: &mut Connection| {
        while let Some(request) = connection.request() {
            let path = request.start.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match (request.field("x-vault-token"), path) {
                (Some("root"), "/v1/kv/apisix/apisix-key/jack") => {
                    (200, r#"{"data":{"key":"value","number":5,"off":false}}"#)
                }
                (Some("root"), "/v1/two/data/app/db") => (
                    200,
                    r#"{"data":{"data":{"password":"p"},"metadata":{"version":3}}}"#,
                ),
                (Some("root"), "/v1/two/data/app/deleted") => {
                    (404, r#"{"data":{"data":null,"metadata":{"version":3}}}"#)
                }
                (Some("root"), "/v1/kv/apisix/broken") => (200, r#"{"data":{"key":"hush"#),
                (Some("root"), "/v1/kv/apisix/empty") => (200, r#"{"data":null}"#),
                (Some("root"), "/v1/kv/apisix/silent") => {
                    connection.rest();
                    return;
                }
                (Some("root"), _) => (404, r#"{"errors":[]}"#),
                _ => (403, "{\"errors\":[\"permission denied\"]}\n"),
            };
            connection.send(response(status, body));
        }
    })
}

fn stored(vault: &Origin, further: &Value) -> Value {
    let uri = format!("http://{}", vault.node());
    let mut stored = json!({"uri": uri, "prefix": "kv/apisix", "token": "root", "timeout": 0.3});
    for (key, value) in further.as_object().expect("an object") {
        stored[key] = value.clone();
    }
    stored
}

#[tokio::test]
async fn keys_are_paths_with_the_name_of_a_field_behind() {
    let vault = vault();
    let secrets = secrets(&[("TOKEN", "root"), ("WRONG", "guess")], |_| {});
    put(&secrets, "vault/1", &stored(&vault, &json!({})));
    let denied = "failed to decode result, res: {\"errors\":[\"permission denied\"]}\n";
    for (id, further) in [
        ("vault/env", json!({"token": "$ENV://TOKEN"})),
        ("vault/wrong", json!({"token": "$env://WRONG"})),
        ("vault/missing", json!({"token": "$ENV://VALT_TOKEN"})),
        ("vault/two", json!({"prefix": "two", "kv_version": 2})),
        ("vault/shape", json!({"prefix": "two/data"})),
        ("vault/patient", json!({"timeout": 1e19})),
    ] {
        put(&secrets, id, &stored(&vault, &further));
    }
    for (reference, expected) in [
        ("1/apisix-key/jack/key", Ok(json!("value"))),
        ("1//apisix-key/jack/key", Ok(json!("value"))),
        ("patient/apisix-key/jack/key", Ok(json!("value"))),
        ("1/apisix-key/jack/number", Ok(json!(5))),
        ("1/apisix-key/jack/off", Err("no value")),
        ("1/apisix-key/jack/none", Err("no value")),
        ("1/apisix", Err("error key format, key: apisix")),
        ("1//apisix", Err("can't find main key, key: /apisix")),
        ("1/apisix/", Err("can't find sub key, key: apisix/")),
        (
            "1/nobody/key",
            Err("failed to decode result, res: {\"errors\":[]}"),
        ),
        (
            "1/broken/key",
            Err("failed to decode result, res: status 200"),
        ),
        (
            "1/empty/key",
            Err("failed to decode result, res: status 200"),
        ),
        ("env/apisix-key/jack/key", Ok(json!("value"))),
        ("wrong/apisix-key/jack/key", Err(denied)),
        ("missing/apisix-key/jack/key", Err(denied)),
        ("two/app/db/password", Ok(json!("p"))),
        ("two/app/deleted/password", Err("no value")),
        ("shape/app/db/password", Ok(json!("p"))),
        (
            "none/app/db/password",
            Err("no secret conf, secret_uri: $secret://vault/none/app/db/password"),
        ),
    ] {
        let found = value(&secrets, &format!("$secret://vault/{reference}")).await;
        assert_eq!(found, expected.map_err(str::to_owned), "{reference}");
    }
}

#[tokio::test]
async fn the_namespace_is_a_header() {
    let vault = vault();
    let secrets = secrets(&[], |_| {});
    put(
        &secrets,
        "vault/1",
        &stored(&vault, &json!({"namespace": "apisix"})),
    );
    let found = value(&secrets, "$secret://vault/1/apisix-key/jack/key").await;
    assert_eq!(found, Ok(json!("value")));
    assert_eq!(vault.last().field("x-vault-namespace"), Some("apisix"));
    assert_eq!(
        vault.last().start,
        "GET /v1/kv/apisix/apisix-key/jack HTTP/1.1"
    );
}

#[tokio::test]
async fn a_vault_that_is_away_or_silent_is_given_up() {
    let gone = {
        let vault = vault();
        stored(&vault, &json!({}))
    };
    let vault = vault();
    let secrets = secrets(&[], |_| {});
    put(&secrets, "vault/gone", &gone);
    put(&secrets, "vault/here", &stored(&vault, &json!({})));
    for (reference, expected) in [
        ("gone/a/b", "Connection refused"),
        ("here/silent/key", "no answer in time"),
    ] {
        let error = value(&secrets, &format!("$secret://vault/{reference}")).await;
        let error = error.expect_err(reference);
        assert!(
            error.starts_with("failed to retrtive data from vault kv engine: ")
                && error.contains(expected),
            "{error}"
        );
    }
    // A silent secret holds up no other one.
    let _silent = secrets.look_up("$secret://vault/here/silent/other");
    let found = value(&secrets, "$secret://vault/here/apisix-key/jack/key").await;
    assert_eq!(found, Ok(json!("value")));
}
