use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use lockgate_plugin::testing::{self, Kit, Request};
use serde_json::{Value, json};

use super::JwtAuth;

const NOW: u64 = 1_700_000_000;

/// A token of HS256 over `my-secret-key`.
fn token(claims: &Value) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", encode(claims.to_string().as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"my-secret-key");
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(tag.as_ref()))
}

fn kit() -> Kit {
    let kit = Kit::new();
    for (name, credential) in [
        (
            "jack",
            json!({"key": "user-key", "secret": "my-secret-key"}),
        ),
        (
            "ann",
            json!({"key": "patient", "secret": "my-secret-key", "lifetime_grace_period": 5.0}),
        ),
        ("rose", json!({"key": "other", "secret": "another"})),
        (
            "max",
            json!({"key": "rs", "algorithm": "RS256", "public_key": "nonsense"}),
        ),
    ] {
        kit.consumer::<JwtAuth>(name, &credential).expect(name);
    }
    kit.named(testing::consumer("nobody"));
    kit
}

/// What comes of a request: who it is from, or the refusal.
fn check(config: &Value, request: Request, expected: &str) -> Request {
    let plugin = kit().plugin::<JwtAuth>(config).expect("a configuration");
    let mut request = request.at(Duration::from_millis(NOW * 1000 + 900));
    let came = match plugin.rewrite(&mut request) {
        None => {
            let consumer = request.state.consumer.as_ref().expect("a consumer");
            let told = request.sent("X-Consumer-Username");
            assert_eq!(told.as_deref(), Some(&*consumer.username));
            consumer.name.to_string()
        }
        Some(reply) => {
            assert_eq!(reply.status, 401);
            let challenge = reply.headers.get(b"www-authenticate").map(<[u8]>::to_vec);
            let challenge = String::from_utf8(challenge.expect("a challenge")).expect("ASCII");
            assert!(challenge.starts_with("Bearer realm=\""), "{challenge}");
            let body = reply.json_body();
            body["message"].as_str().expect("a message").to_owned()
        }
    };
    assert_eq!(came, expected, "{config} {request:?}");
    request
}

const MISSING: &str = "Missing JWT token in request";
const INVALID: &str = "JWT token invalid";
const NAMELESS: &str = "missing user key in JWT token";
const UNKNOWN: &str = "Invalid user key in JWT token";
const BAD: &str = "failed to verify jwt";

fn good() -> String {
    token(&json!({"key": "user-key", "exp": NOW + 10}))
}

fn bearing(value: &str) -> Request {
    Request::get("/").header("Authorization", value)
}

#[test]
fn finds_tokens_where_they_may_be() {
    let good = good();
    let default = json!({});
    let elsewhere = json!({"header": "jwt-header", "query": "jwt-query", "cookie": "jwt-cookie"});
    // On the heap: requests are large.
    let cases = vec![
        (&default, Request::get("/"), MISSING),
        (&default, bearing(&good), "jack"),
        (&default, bearing(&format!("Bearer {good}")), "jack"),
        (&default, bearing(&format!("bearer {good}")), "jack"),
        (&default, bearing(&format!("BEARER {good}")), INVALID),
        (&default, bearing(&format!("Bearer  {good}")), INVALID),
        (&default, bearing(""), INVALID),
        (&default, Request::get(&format!("/?jwt={good}")), "jack"),
        (
            &default,
            Request::get(&format!("/?jwt={good}&jwt={good}")),
            INVALID,
        ),
        (&default, Request::get("/?jwt"), INVALID),
        (&default, Request::get("/?jwt="), INVALID),
        (
            &default,
            Request::get("/").header("Cookie", &format!("a=b; jwt={good}")),
            "jack",
        ),
        (
            &default,
            Request::get("/").header("Cookie", "jwt="),
            INVALID,
        ),
        (&default, Request::get("/").header("Cookie", "a=b"), MISSING),
        // The field counts before the query, and the query before the cookie.
        (
            &default,
            Request::get(&format!("/?jwt={good}")).header("Authorization", "x"),
            INVALID,
        ),
        (
            &default,
            Request::get("/?jwt=x").header("Cookie", &format!("jwt={good}")),
            INVALID,
        ),
        (&elsewhere, bearing(&good), MISSING),
        (
            &elsewhere,
            Request::get("/").header("JWT-Header", &format!("Bearer {good}")),
            "jack",
        ),
        (
            &elsewhere,
            Request::get(&format!("/?jwt-query={good}")),
            "jack",
        ),
        (
            &elsewhere,
            Request::get("/").header("Cookie", &format!("jwt-cookie={good}")),
            "jack",
        ),
    ];
    for (config, request, expected) in cases {
        check(config, request, expected);
    }
}

#[test]
fn finds_consumers_by_a_claim() {
    let sub = json!({"key_claim_name": "sub"});
    for (config, claims, expected) in [
        (&json!({}), json!({"key": "user-key"}), "jack"),
        (&json!({}), json!({"key": "nobody"}), UNKNOWN),
        (&json!({}), json!({"key": ""}), UNKNOWN),
        (&json!({}), json!({"key": 1}), UNKNOWN),
        (&json!({}), json!({"key": null}), UNKNOWN),
        (&json!({}), json!({"key": ["user-key"]}), UNKNOWN),
        (&json!({}), json!({"key": false}), NAMELESS),
        (&json!({}), json!({"sub": "user-key"}), NAMELESS),
        (&json!({}), json!([]), NAMELESS),
        (&json!({}), json!("user-key"), NAMELESS),
        (&sub, json!({"sub": "user-key"}), "jack"),
        (&sub, json!({"key": "user-key"}), NAMELESS),
        (&json!({}), json!({"key": "other"}), BAD),
        (&json!({}), json!({"key": "rs"}), BAD),
    ] {
        check(config, bearing(&token(&claims)), expected);
    }
}

#[test]
fn refuses_what_is_no_token_or_was_tampered_with() {
    let good = good();
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = signed.split_once('.').expect("three parts");
    let none = BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#);
    let longer = BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"HS512"}"#);
    for (text, expected) in [
        (format!("invalid-{good}"), INVALID),
        (signed.to_owned(), INVALID),
        (format!("{signed}."), INVALID),
        (format!("{good}.{signature}"), INVALID),
        (format!("{header}.x.{signature}"), INVALID),
        (format!("{none}.{payload}.{signature}"), BAD),
        (format!("{longer}.{payload}.{signature}"), BAD),
        (format!("{signed}.YWJj"), BAD),
        (format!("{signed}.@@@@"), BAD),
        (format!("{signed}.{}", signature.to_lowercase()), BAD),
    ] {
        check(&json!({}), bearing(&text), expected);
    }
}

#[test]
fn checks_how_long_tokens_hold() {
    let exp = json!({"claims_to_verify": ["exp"]});
    let nbf = json!({"claims_to_verify": ["nbf"]});
    for (config, claims, expected) in [
        (&json!({}), json!({"key": "user-key", "exp": NOW}), BAD),
        (
            &json!({}),
            json!({"key": "user-key", "exp": NOW + 1}),
            "jack",
        ),
        (
            &json!({"claims_to_verify": []}),
            json!({"key": "user-key", "exp": 1}),
            BAD,
        ),
        (&json!({}), json!({"key": "user-key", "nbf": NOW}), BAD),
        (
            &json!({}),
            json!({"key": "user-key", "nbf": NOW - 1}),
            "jack",
        ),
        (&exp, json!({"key": "user-key"}), BAD),
        (
            &exp,
            json!({"key": "user-key", "exp": NOW + 1, "nbf": NOW + 9}),
            "jack",
        ),
        (&nbf, json!({"key": "user-key", "exp": 1}), BAD),
        (&nbf, json!({"key": "user-key", "exp": 1, "nbf": 1}), "jack"),
        (&json!({}), json!({"key": "patient", "exp": NOW - 4}), "ann"),
        (&json!({}), json!({"key": "patient", "exp": NOW - 5}), BAD),
        (&json!({}), json!({"key": "patient", "nbf": NOW + 4}), "ann"),
    ] {
        check(config, bearing(&token(&claims)), expected);
    }
}

#[test]
fn verifies_what_others_have_signed() {
    // Made with OpenSSL, by Python's `cryptography`.
    let vectors: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    let vectors = vectors.as_array().expect("a list");
    assert_eq!(vectors.len(), 24);
    for vector in vectors {
        let kit = Kit::new();
        kit.consumer::<JwtAuth>("jack", &vector["credential"])
            .expect("a credential");
        let plugin = kit.plugin::<JwtAuth>(&json!({})).expect("a configuration");
        let text = vector["token"].as_str().expect("a token");
        let ask = |text: &str| plugin.rewrite(&mut bearing(text)).is_none();
        assert_eq!(json!(ask(text)), vector["holds"], "{}", vector["what"]);
        let (signed, signature) = text.rsplit_once('.').expect("three parts");
        let changed = signature.replace(&signature[8..9], "_");
        assert!(!ask(&format!("{signed}.{changed}x")), "{}", vector["what"]);
    }
}

#[test]
fn hides_tokens_where_it_is_told_to() {
    let good = good();
    let hides = json!({"hide_credentials": true});
    let request = check(&hides, bearing(&good).header("Other", "kept"), "jack");
    assert_eq!(request.sent("Authorization"), None);
    assert_eq!(request.sent("Other").as_deref(), Some("kept"));
    let request = check(&json!({}), bearing(&good), "jack");
    assert_eq!(request.sent("Authorization"), Some(good.clone()));

    let request = Request::get(&format!("/?foo=b+r&jwt={good}&hello"));
    let request = check(&hides, request, "jack");
    let query = request.state.outgoing.query.as_deref();
    assert_eq!(query, Some(&b"foo=b+r&hello"[..]));

    for (cookies, expected) in [
        (format!("jwt={good}"), None),
        (format!("hello=world; jwt={good}"), Some("hello=world")),
        (
            format!("jwt={good};a=%20==; jwts=1;b"),
            Some("a=%20==; jwts=1; b"),
        ),
    ] {
        let request = Request::get("/").header("Cookie", &cookies);
        let request = check(&hides, request, "jack");
        assert_eq!(request.sent("Cookie").as_deref(), expected);
    }
    // A bad one as well, wherever the request goes.
    let request = check(&hides, bearing("x"), INVALID);
    assert_eq!(request.sent("Authorization"), None);
}

#[test]
fn stores_the_payload_where_it_is_told_to() {
    let claims = json!({"key": "user-key", "role": "admin"});
    for (stores, expected) in [(false, None), (true, Some(claims.to_string()))] {
        let config = json!({"store_in_ctx": stores});
        let request = check(&config, bearing(&token(&claims)), "jack");
        let stored = request.state.variables.first();
        let stored = stored.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        assert_eq!(stored, expected);
    }
}

#[test]
fn lets_strangers_pass_as_the_anonymous_consumer() {
    let config = json!({"anonymous_consumer": "nobody"});
    check(&config, Request::get("/"), "nobody");
    check(&config, bearing("x"), "nobody");
    check(&config, bearing(&good()), "jack");
    let missing = json!({"anonymous_consumer": "somebody"});
    check(&missing, Request::get("/"), "Invalid user authorization");
}

#[test]
fn checks_configurations_by_the_schema() {
    for (config, is_good) in [
        (json!({"claims_to_verify": ["exp", "nbf"]}), true),
        (json!({"claims_to_verify": ["exp", "exp"]}), false),
        (json!({"claims_to_verify": ["iat"]}), false),
        (json!({"key_claim_name": ""}), false),
        (json!({"header": 1}), false),
        (json!({"realm": "\\"}), false),
        (json!({"anonymous_consumer": ""}), false),
    ] {
        let compiled = kit().plugin::<JwtAuth>(&config);
        assert_eq!(compiled.is_ok(), is_good, "{config}");
    }
    let pem = "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----";
    for (credential, refusal) in [
        (json!({"key": "k", "secret": "s"}), ""),
        (
            json!({"key": "k", "algorithm": "ES512", "public_key": pem}),
            "",
        ),
        (
            json!({"key": "k"}),
            "property \"secret\" is required when using HS based algorithms",
        ),
        (
            json!({"key": "k", "secret": "?", "base64_secret": true}),
            "base64_secret required but the secret is not in base64 format",
        ),
        (
            json!({"key": "k", "algorithm": "RS256"}),
            "failed to validate dependent schema",
        ),
        (json!({"key": "k", "secret": ""}), "string too short"),
        (json!({"key": "", "secret": "s"}), "string too short"),
        (
            json!({"key": "k", "secret": "$env://NOTHING"}),
            "has no value",
        ),
        (
            json!({"key": "k", "secret": "s", "lifetime_grace_period": -1}),
            "expected -1",
        ),
    ] {
        let added = kit().consumer::<JwtAuth>("x", &credential);
        match (&added, refusal) {
            (Ok(()), "") => {}
            (Err(error), expected) if !expected.is_empty() && error.0.contains(expected) => {}
            _ => panic!("{credential}: {added:?}"),
        }
    }
}
