//! Google Cloud's Secret Manager.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use lockgate_testkit::{Certificate, Connection, Message, Origin, PATIENCE};
use serde_json::{Value, json};

use crate::{put, response, secrets, value};

/// A service account: its key, PEM, and a Google that knows it.
struct Google {
    origin: Origin,
    scheme: &'static str,
    private_key: String,
    tokens: Arc<AtomicUsize>,
}

impl Google {
    /// Tokens live this many seconds.
    fn start(lives: u64, certificate: Option<&Certificate>) -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("a key");
        let private_key = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let public = key.public_key().as_ref().to_vec();
        let tokens = Arc::new(AtomicUsize::new(0));
        let counted = tokens.clone();
        let script = move |connection: &mut Connection| {
            while let Some(request) = connection.request() {
                let (status, body) = answer(&request, &public, &counted, lives);
                connection.send(response(status, &body));
            }
        };
        let (origin, scheme) = match certificate {
            None => (Origin::start(script), "http"),
            Some(certificate) => (Origin::start_tls(certificate, script), "https"),
        };
        Self {
            origin,
            scheme,
            private_key,
            tokens,
        }
    }

    fn account(&self, further: &Value) -> Value {
        let base = format!("{}://{}", self.scheme, self.origin.node());
        let mut account = json!({
            "client_email": "email@apisix.iam.gserviceaccount.com",
            "private_key": self.private_key,
            "project_id": "apisix",
            "token_uri": format!("{base}/token"),
            "entries_uri": format!("{base}/v1"),
        });
        for (key, value) in further.as_object().expect("an object") {
            account[key] = value.clone();
        }
        account
    }
}

fn answer(request: &Message, public: &[u8], tokens: &AtomicUsize, lives: u64) -> (u16, String) {
    let path = request.start.split(' ').nth(1).unwrap_or_default();
    if path == "/token" {
        let form = request.text();
        let assertion = form
            .strip_prefix(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=",
            )
            .expect("a form");
        let Some(claims) = claims(assertion, public) else {
            return (400, r#"{"error":"invalid_grant"}"#.into());
        };
        let expected = "https://www.googleapis.com/auth/cloud-platform";
        if claims["scope"] != expected {
            return (400, r#"{"error":"no access to this scope"}"#.into());
        }
        let lived =
            claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time");
        assert_eq!(
            (lived, claims["iss"].as_str()),
            (3600, Some("email@apisix.iam.gserviceaccount.com"))
        );
        assert!(
            claims["aud"]
                .as_str()
                .is_some_and(|aud| aud.ends_with("/token"))
        );
        let number = tokens.fetch_add(1, Ordering::SeqCst);
        let token = json!({"access_token": format!("token-{number}"), "expires_in": lives, "token_type": "Bearer"});
        return (200, token.to_string());
    }
    let is_known = request
        .field("authorization")
        .is_some_and(|shown| shown.starts_with("Bearer token-"));
    let secret = path
        .strip_prefix("/v1/projects/apisix/secrets/")
        .and_then(|rest| rest.strip_suffix("/versions/latest:access"));
    let data = match secret {
        _ if !is_known => return (401, r#"{"error":"no token"}"#.into()),
        Some("jack") => STANDARD.encode(r#"{"key":"value"}"#),
        Some("mysql") => STANDARD.encode("secret"),
        Some("binary") => STANDARD.encode([0xff, 0xfe]),
        Some("strange") => return (200, "{}".into()),
        _ => return (404, r#"{"error":{"status":"NOT_FOUND"}}"#.into()),
    };
    (
        200,
        json!({"name": path, "payload": {"data": data}}).to_string(),
    )
}

/// What an assertion says, if the account's key has signed it.
fn claims(assertion: &str, public: &[u8]) -> Option<Value> {
    let (text, signature) = assertion.rsplit_once('.')?;
    let (header, payload) = text.split_once('.')?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64");
    let header: Value = serde_json::from_slice(&decoded(header)).expect("JSON");
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT"}));
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(text.as_bytes(), &decoded(signature))
        .ok()?;
    serde_json::from_slice(&decoded(payload)).ok()
}

#[tokio::test]
async fn secrets_are_fetched_with_one_token_until_it_ends() {
    let google = Google::start(3600, None);
    let secrets = secrets(&[], |_| {});
    put(
        &secrets,
        "gcp/1",
        &json!({"auth_config": google.account(&json!({}))}),
    );
    let failed = "failed to retrtive data from gcp secret manager: ";
    // All at once: the first token serves all of them.
    let used: Vec<_> = ["jack/key", "mysql", "binary"]
        .map(|key| secrets.look_up(&format!("$secret://gcp/1/{key}")))
        .into();
    secrets.settled(PATIENCE).await;
    for (key, expected) in [
        ("jack/key", Ok("value")),
        ("jack", Ok(r#"{"key":"value"}"#)),
        ("mysql", Ok("secret")),
        ("jack/none", Err("no value".to_owned())),
        (
            "mysql/key",
            Err("failed to decode result, err: expected value at line 1 column 1".to_owned()),
        ),
        ("/jack", Err("can't find main key, key: /jack".to_owned())),
        ("binary", Err(format!("{failed}invalid payload"))),
        ("strange", Err(format!("{failed}invalid payload"))),
        (
            "nobody",
            Err(format!(
                "{failed}{{\"error\":{{\"status\":\"NOT_FOUND\"}}}}"
            )),
        ),
    ] {
        let found = value(&secrets, &format!("$secret://gcp/1/{key}")).await;
        assert_eq!(found, expected.map(Value::from), "{key}");
    }
    assert_eq!((google.tokens.load(Ordering::SeqCst), used.len()), (1, 3));

    // A token that is about to end serves once.
    let google = Google::start(60, None);
    put(
        &secrets,
        "gcp/1",
        &json!({"auth_config": google.account(&json!({}))}),
    );
    for key in ["mysql", "jack", "jack/key"] {
        let found = value(&secrets, &format!("$secret://gcp/1/{key}")).await;
        assert!(found.is_ok(), "{found:?}");
    }
    let later: Vec<_> = ["none/1", "none/2"]
        .map(|key| format!("$secret://gcp/1/{key}"))
        .into();
    for reference in later {
        assert!(value(&secrets, &reference).await.is_err());
    }
    assert!(google.tokens.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn an_account_that_is_refused_says_why() {
    let google = Google::start(3600, None);
    let stranger = Google::start(3600, None);
    let secrets = secrets(&[], |_| {});
    let failed =
        "failed to retrtive data from gcp secret manager: failed to get google oauth token: ";
    for (number, (further, expected)) in [
        (
            json!({"scope": ["https://www.googleapis.com/auth/root/cloud-platform"]}),
            r#"{"error":"no access to this scope"}"#,
        ),
        (
            json!({"private_key": stranger.private_key}),
            r#"{"error":"invalid_grant"}"#,
        ),
        (
            json!({"private_key": "no key"}),
            "the private key cannot be used: no items found",
        ),
        (
            json!({"token_uri": format!("http://{}/elsewhere", google.origin.node())}),
            r#"{"error":"no token"}"#,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("gcp/{number}");
        put(
            &secrets,
            &id,
            &json!({"auth_config": google.account(&further)}),
        );
        let found = value(&secrets, &format!("$secret://{id}/jack/key")).await;
        assert_eq!(found, Err(format!("{failed}{expected}")), "{further}");
    }
}

#[tokio::test]
async fn the_account_may_stand_in_a_file() {
    let google = Google::start(3600, None);
    let files = tempfile::tempdir().expect("a directory");
    let path = |name: &str| files.path().join(name).to_string_lossy().into_owned();
    let whole = google.account(&json!({"scope": "https://www.googleapis.com/auth/cloud-platform", "type": "service_account"}));
    let mut partial = whole.clone();
    partial
        .as_object_mut()
        .expect("an object")
        .remove("client_email");
    for (name, text) in [
        ("whole", whole.to_string()),
        ("partial", partial.to_string()),
        ("broken", "{".into()),
        ("long", format!("{whole}{}", " ".repeat(64 * 1024))),
    ] {
        std::fs::write(path(name), text).expect("written");
    }
    let failed = "failed to retrtive data from gcp secret manager: ";
    let secrets = secrets(&[], |_| {});
    for (name, expected) in [
        ("whole", Ok("value")),
        (
            "partial",
            Err(format!(
                "{failed}config parse failure, file: {}, err: property \"auth_config\" validation failed: property \"client_email\" is required",
                path("partial")
            )),
        ),
        (
            "broken",
            Err(format!(
                "{failed}config parse failure, file: {}, err: EOF while parsing an object at line 1 column 1",
                path("broken")
            )),
        ),
        (
            "long",
            Err(format!(
                "{failed}failed to read configuration, file: {0}, err: {0}: it is longer than 64 KiB",
                path("long")
            )),
        ),
        (
            "",
            Err(format!(
                "{failed}failed to read configuration, file: {0}, err: {0}: it is no file",
                path("")
            )),
        ),
        (
            "none",
            Err(format!(
                "{failed}failed to read configuration, file: {0}, err: {0}: No such file or directory (os error 2)",
                path("none")
            )),
        ),
    ] {
        let id = format!("gcp/of-{name}");
        put(&secrets, &id, &json!({"auth_file": path(name)}));
        let found = value(&secrets, &format!("$secret://{id}/jack/key")).await;
        assert_eq!(found, expected.map(Value::from), "{name}");
    }
}

#[tokio::test]
async fn certificates_are_verified_unless_that_is_switched_off() {
    let certificate = Certificate::of(&["127.0.0.1"]);
    let google = Google::start(3600, Some(&certificate));
    let files = tempfile::tempdir().expect("a directory");
    let roots = files.path().join("roots.pem");
    for (root, verify, is_believed) in [
        (&certificate.pem, json!(true), true),
        (&certificate.pem, json!(null), true),
        (&Certificate::of(&["127.0.0.1"]).pem, json!(true), false),
        (&Certificate::of(&["127.0.0.1"]).pem, json!(false), true),
    ] {
        std::fs::write(&roots, root).expect("written");
        let secrets = secrets(&[], |options| options.trusted = Some(roots.clone()));
        let mut stored = json!({"auth_config": google.account(&json!({}))});
        if !verify.is_null() {
            stored["ssl_verify"] = verify.clone();
        }
        put(&secrets, "gcp/1", &stored);
        let found = value(&secrets, "$secret://gcp/1/jack/key").await;
        if is_believed {
            assert_eq!(found, Ok(json!("value")), "{verify}");
        } else {
            let error = found.expect_err("not believed");
            assert!(error.contains("cannot agree on TLS"), "{error}");
        }
    }
}
