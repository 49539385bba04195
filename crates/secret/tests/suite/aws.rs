//! AWS Secrets Manager.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use lockgate_testkit::{Connection, Message, Origin};
use serde_json::{Value, json};

use crate::{put, response, secrets, value};

/// A Secrets Manager of the account `access` with the key `secret`.
fn aws() -> Origin {
    Origin::start(|connection: &mut Connection| {
        while let Some(request) = connection.request() {
            let (status, body) = answer(&request);
            connection.send(response(status, &body.to_string()));
        }
    })
}

fn answer(request: &Message) -> (u16, Value) {
    let problem = |kind: &str| (400, json!({"__type": kind, "message": kind}));
    if request.field("x-amz-target") != Some("secretsmanager.GetSecretValue") {
        return problem("UnknownOperationException");
    }
    if !is_signed(request, "secret") {
        return problem("InvalidSignatureException");
    }
    let asked: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(asked["VersionStage"], "AWSCURRENT");
    let said = match asked["SecretId"].as_str() {
        Some("apisix-key") => json!({"jack": "value", "off": false}).to_string(),
        Some("apisix-mysql") => "secret".into(),
        Some("john/secret") => json!({"john-key-auth": "value"}).to_string(),
        Some("apisix/full/path") => "full-value".into(),
        Some("binary") => return (200, json!({"SecretBinary": "AAEC"})),
        Some("broken/denied") => return problem("AccessDeniedException"),
        _ => return problem("com.amazonaws#ResourceNotFoundException"),
    };
    (
        200,
        json!({"Name": asked["SecretId"], "SecretString": said}),
    )
}

/// Checks a signature, by other means than it was made.
fn is_signed(request: &Message, secret: &str) -> bool {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    };
    let sha256 = |bytes: &[u8]| hex(digest::digest(&digest::SHA256, bytes).as_ref());
    let hmac = |key: &[u8], data: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, data.as_bytes()).as_ref().to_vec()
    };
    let authorization = request.field("authorization").expect("signed");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).expect("a part");
        rest.split(',').next().expect("a value").to_owned()
    };
    let (credential, names) = (part("Credential="), part("SignedHeaders="));
    let mut text = String::from("POST\n/\n\n");
    for name in names.split(';') {
        let value = request.field(name).expect("a field");
        let _infallible = writeln!(text, "{name}:{value}");
    }
    let _infallible = write!(text, "\n{names}\n{}", sha256(&request.body));
    let (id, scope) = credential.split_once('/').expect("a scope");
    let date = request.field("x-amz-date").expect("a date");
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha256(text.as_bytes())
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part);
    }
    assert!(
        names.contains("host;x-amz-date") && names.contains("x-amz-target"),
        "{names}"
    );
    assert!(scope.ends_with("/secretsmanager/aws4_request"), "{scope}");
    id == "access" && part("Signature=") == hex(&hmac(&key, &text))
}

fn stored(aws: &Origin, further: &Value) -> Value {
    let mut stored = json!({
        "endpoint_url": format!("http://{}", aws.node()),
        "access_key_id": "access",
        "secret_access_key": "secret"
    });
    for (key, value) in further.as_object().expect("an object") {
        stored[key] = value.clone();
    }
    stored
}

#[tokio::test]
async fn the_longest_name_of_a_secret_wins() {
    let aws = aws();
    let secrets = secrets(&[], |_| {});
    put(&secrets, "aws/1", &stored(&aws, &json!({})));
    let failed = "failed to retrieve data from aws secret manager: ";
    for (key, expected) in [
        ("apisix-mysql", Ok("secret")),
        ("apisix-key/jack", Ok("value")),
        ("john/secret/john-key-auth", Ok("value")),
        ("apisix/full/path", Ok("full-value")),
        ("apisix-key/off", Err("no value".to_owned())),
        ("apisix-key/none", Err("no value".to_owned())),
        (
            "apisix-mysql/field",
            Err("failed to decode result, err: expected value at line 1 column 1".to_owned()),
        ),
        (
            "/apisix",
            Err("can't find main key, key: /apisix".to_owned()),
        ),
        (
            "binary",
            Err(format!("{failed}the answer has no SecretString")),
        ),
        (
            "nobody/here",
            Err(format!(
                "{failed}invalid status code 400, {}",
                json!({"__type": "com.amazonaws#ResourceNotFoundException", "message": "com.amazonaws#ResourceNotFoundException"})
            )),
        ),
    ] {
        let found = value(&secrets, &format!("$secret://aws/1/{key}")).await;
        assert_eq!(found, expected.map(Value::from), "{key}");
    }
    let before = aws.requests().len();
    let denied = value(&secrets, "$secret://aws/1/broken/denied").await;
    assert!(
        denied
            .expect_err("denied")
            .contains("AccessDeniedException")
    );
    assert_eq!(aws.requests().len(), before + 1, "no shorter name is tried");
}

#[tokio::test]
async fn credentials_may_stand_in_the_environment_and_are_signed_with() {
    let aws = aws();
    let variables = [("ID", "access"), ("KEY", "secret"), ("SESSION", "token")];
    let secrets = secrets(&variables, |_| {});
    let from_environment = json!({
        "access_key_id": "$ENV://ID",
        "secret_access_key": "$env://KEY",
        "session_token": "$ENV://SESSION",
        "region": "eu-west-3"
    });
    put(&secrets, "aws/1", &stored(&aws, &from_environment));
    let found = value(&secrets, "$secret://aws/1/apisix-mysql").await;
    assert_eq!(found, Ok(json!("secret")));
    let request = aws.last();
    assert_eq!(request.field("x-amz-security-token"), Some("token"));
    let authorization = request.field("authorization").expect("signed");
    assert!(
        authorization.contains("/eu-west-3/secretsmanager/"),
        "{authorization}"
    );
    assert!(
        authorization.contains(";x-amz-security-token;"),
        "{authorization}"
    );

    put(
        &secrets,
        "aws/2",
        &stored(&aws, &json!({"secret_access_key": "guess"})),
    );
    let refused = value(&secrets, "$secret://aws/2/apisix-mysql").await;
    assert!(
        refused
            .expect_err("refused")
            .contains("InvalidSignatureException")
    );
}

#[tokio::test]
async fn a_manager_that_is_away_is_named() {
    let gone = {
        let aws = aws();
        stored(&aws, &json!({}))
    };
    let secrets = secrets(&[], |_| {});
    put(&secrets, "aws/1", &gone);
    let error = value(&secrets, "$secret://aws/1/apisix-key/jack").await;
    let error = error.expect_err("away");
    assert!(
        error
            .starts_with("failed to retrieve data from aws secret manager: POST http://127.0.0.1:")
            && error.contains("Connection refused"),
        "{error}"
    );
}
