//! Where secrets are kept.

use serde_json::json;

use crate::gateway::Gateway;

#[tokio::test]
async fn secrets_are_kept_by_manager() {
    let gateway = Gateway::start().await;
    let body = json!({"uri": "http://127.0.0.1:8200", "prefix": "kv", "token": "t"});
    let mut value = body.clone();
    value["id"] = json!("vault/1");
    value["create_time"] = json!(1000);
    value["update_time"] = json!(1000);
    let key = "/apisix/secrets/vault/1";
    let mut patched = value.clone();
    patched["token"] = json!("u");
    let shown = json!({"key": key, "value": patched, "createdIndex": 1, "modifiedIndex": 2});
    let unsupported = json!({"error_msg": "not supported `POST` method for secret"});
    let whole = json!({"total": 1, "list": [shown]});
    gateway
        .check(&[
            (
                "PUT secrets/vault/1",
                body,
                201,
                json!({"key": key, "value": value}),
            ),
            (
                "PATCH secrets/vault/1/token",
                json!("\"u\""),
                200,
                json!({"key": key, "value": patched}),
            ),
            ("GET secrets/vault/1", json!(""), 200, shown),
            ("GET secrets", json!(""), 200, whole.clone()),
            ("GET secrets/vault", json!(""), 200, whole),
            ("POST secrets/vault", json!({}), 405, unsupported),
            (
                "DELETE secrets/vault/1",
                json!(""),
                200,
                json!({"key": key, "deleted": "1"}),
            ),
            (
                "GET secrets/vault/1",
                json!(""),
                404,
                json!({"message": "Key not found"}),
            ),
        ])
        .await;
    gateway
        .check_refusals(&[
            (
                "PUT secrets/none/1",
                json!({}),
                "invalid secret manager: none",
            ),
            (
                "PUT secrets/vault/1",
                json!({}),
                "invalid configuration: property \"prefix\" is required",
            ),
            (
                "PUT secrets/aws/1",
                json!({"access_key_id": "a"}),
                "invalid configuration: property \"secret_access_key\" is required",
            ),
            (
                "PUT secrets/gcp/1",
                json!({}),
                "invalid configuration: value should match only one schema, but matches none",
            ),
            ("PUT secrets/vault/1", json!({"id": "1"}), "wrong secret id"),
            ("PATCH secrets/vault", json!({}), "no secret id"),
            ("DELETE secrets/vault", json!(""), "missing secret id"),
        ])
        .await;
}
