//! Where secrets are kept.

use serde_json::{Value, json};

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

/// What `t/secret/aws.t`, `t/secret/gcp.t` and `t/admin/secrets.t` refuse.
#[tokio::test]
async fn what_managers_need_is_checked() {
    let gateway = Gateway::start().await;
    let aws = |key: &str, value: Value| {
        let mut body = json!({"access_key_id": "access", "secret_access_key": "secret"});
        body[key] = value;
        ("PUT secrets/aws/1", body)
    };
    let gcp = |key: &str, value: Value| {
        let mut account =
            json!({"client_email": "client", "private_key": "key", "project_id": "project"});
        account[key] = value;
        ("PUT secrets/gcp/1", json!({"auth_config": account}))
    };
    let text = "wrong type: expected string, got number";
    let account = "invalid configuration: property \"auth_config\" validation failed: property";
    let cases = [
        ("access_key_id", format!("validation failed: {text}")),
        ("secret_access_key", format!("validation failed: {text}")),
        ("session_token", format!("validation failed: {text}")),
        ("region", format!("validation failed: {text}")),
        ("endpoint_url", format!("validation failed: {text}")),
    ]
    .map(|(name, said)| {
        let (request, body) = aws(name, json!(1234));
        (request, body, format!("invalid configuration: property \"{name}\" {said}"))
    })
    .into_iter()
    .chain(
        [
            ("client_email", text),
            ("private_key", text),
            ("project_id", text),
            ("token_uri", text),
            ("scope", "wrong type: expected array, got number"),
            ("entries_uri", text),
        ]
        .map(|(name, said)| {
            let (request, body) = gcp(name, json!(1234));
            (request, body, format!("{account} \"{name}\" validation failed: {said}"))
        }),
    )
    .chain([
        (
            "PUT secrets/gcp/1",
            json!({"auth_file": 123}),
            format!("invalid configuration: property \"auth_file\" validation failed: {text}"),
        ),
        (
            "PUT secrets/gcp/1",
            json!({"auth_config": {"private_key": "key", "project_id": "project"}}),
            format!("{account} \"client_email\" is required"),
        ),
        (
            "PUT secrets/gcp/1",
            json!({"auth_file": "file", "ssl_verify": 1234}),
            "invalid configuration: property \"ssl_verify\" validation failed: wrong type: expected boolean, got number".to_owned(),
        ),
        (
            "PUT secrets/vault/1",
            json!({"uri": "/get", "prefix": "apisix", "token": "apisix"}),
            r#"invalid configuration: property "uri" validation failed: failed to match pattern "^[^\\/]+:\\/\\/([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?" with "/get""#.to_owned(),
        ),
    ]);
    let cases: Vec<_> = cases.collect();
    let refused: Vec<_> = cases
        .iter()
        .map(|(request, body, said)| (*request, body.clone(), said.as_str()))
        .collect();
    gateway.check_refusals(&refused).await;
    let accepted = [
        aws("session_token", json!("token")),
        aws("endpoint_url", json!("http://127.0.0.1:4566")),
        gcp("scope", json!(["scope"])),
        ("PUT secrets/gcp/1", json!({"auth_file": "123"})),
        // What is an addition here passes the reference's schema too.
        (
            "PUT secrets/vault/1",
            json!({"uri": "http://127.0.0.1:8200", "prefix": "kv", "token": "$env://TOKEN", "kv_version": 2}),
        ),
    ];
    for (request, body) in accepted {
        let path = request.replacen(' ', " /apisix/admin/", 1);
        let reply = gateway.ask(&path, &body.to_string()).await;
        assert!(
            [200, 201].contains(&reply.status),
            "{request} {body}: {}",
            reply.body
        );
    }
}
