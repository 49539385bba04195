use base64::{Engine as _, prelude::BASE64_STANDARD};
use lockgate_plugin::testing::{self, Kit, Request};
use serde_json::{Value, json};

use super::BasicAuth;

fn kit() -> Kit {
    let kit = Kit::new();
    for (consumer, name, password) in [
        ("jack", "foo", "bar"),
        ("rose", "rose", "a:b"),
        ("nameless", "", "bar"),
    ] {
        let credential = json!({"username": name, "password": password});
        kit.consumer::<BasicAuth>(consumer, &credential)
            .expect("a credential");
    }
    kit.named(testing::consumer("nobody"));
    kit
}

/// What comes of a value of `Authorization`: who it is from, or the refusal; and what the upstream gets of the field.
fn check(config: &Value, value: Option<&str>, expected: &str, sent: Option<&str>) {
    let plugin = kit().plugin::<BasicAuth>(config).expect("a configuration");
    let mut request = Request::get("/");
    if let Some(value) = value {
        request = request.header("Authorization", value);
    }
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
            format!("{challenge} {}", reply.text())
        }
    };
    assert_eq!(came, expected, "{config} {value:?}");
    assert_eq!(request.sent("Authorization").as_deref(), sent, "{value:?}");
}

fn basic(text: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(text))
}

const MISSING: &str = "Basic realm=\"basic\" {\"message\":\"Missing authorization in request\"}\n";
const INVALID: &str = "Basic realm=\"basic\" {\"message\":\"Invalid authorization in request\"}\n";
const WRONG: &str = "Basic realm=\"basic\" {\"message\":\"Invalid user authorization\"}\n";

#[test]
fn finds_consumers_by_name_and_password() {
    for (text, expected) in [
        ("foo:bar", "jack"),
        ("foo:bar\n", "jack"),
        (" f oo:b\tar", "jack"),
        ("foo:baz", WRONG),
        ("foo:ba", WRONG),
        ("foo:barr", WRONG),
        ("bar:bar", WRONG),
        ("jack:bar", WRONG),
        (":bar", "nameless"),
        ("rose:a:b", "rose"),
        ("rose:a", WRONG),
        ("foo:bar:baz", WRONG),
        ("foo", INVALID),
        ("foo:", INVALID),
        ("", INVALID),
    ] {
        let value = basic(text);
        check(&json!({}), Some(&value), expected, Some(&value));
    }
}

#[test]
fn reads_the_scheme_in_any_case() {
    for (value, expected) in [
        ("Basic Zm9vOmJhcg==", "jack"),
        ("basic Zm9vOmJhcg==", "jack"),
        ("bASiC Zm9vOmJhcg", "jack"),
        ("BASIC\tZm9vOmJhcg==", "jack"),
        ("Negotiate x, basic Zm9vOmJhcg==", "jack"),
        ("Basic  Zm9vOmJhcg==", INVALID),
        ("BasicZm9vOmJhcg==", INVALID),
        ("Bad_header YmFyOmJhcgo=", INVALID),
        ("Basic aca_a", INVALID),
        ("Basic YmFy", INVALID),
        ("Basic", INVALID),
        ("Bas", INVALID),
        ("", INVALID),
    ] {
        check(&json!({}), Some(value), expected, Some(value));
    }
    check(&json!({}), None, MISSING, None);
}

#[test]
fn any_bytes_are_read() {
    for length in 0..64_u8 {
        let bytes: Vec<u8> = (0..length).map(|byte: u8| byte.wrapping_mul(37)).collect();
        let _any = super::Shown::read(&bytes);
        let _any = super::Shown::read(basic(&String::from_utf8_lossy(&bytes)).as_bytes());
    }
}

#[test]
fn hides_the_field_where_it_is_told_to() {
    let good = basic("foo:bar");
    let bad = basic("foo:x");
    let hides = json!({"hide_credentials": true});
    check(&hides, Some(&good), "jack", None);
    check(&hides, Some(&bad), WRONG, Some(&bad));
    check(
        &json!({"hide_credentials": false}),
        Some(&good),
        "jack",
        Some(&good),
    );
    let anonymous = json!({"hide_credentials": true, "anonymous_consumer": "nobody"});
    check(&anonymous, Some(&bad), "nobody", None);
    check(&anonymous, Some(&good), "jack", None);
}

#[test]
fn lets_strangers_pass_as_the_anonymous_consumer() {
    let bad = basic("foo:x");
    let config = json!({"anonymous_consumer": "nobody"});
    check(&config, None, "nobody", None);
    check(&config, Some(&bad), "nobody", Some(&bad));
    check(
        &config,
        Some(&basic("foo:bar")),
        "jack",
        Some(&basic("foo:bar")),
    );
    let missing = json!({"anonymous_consumer": "somebody", "realm": "my realm"});
    let refusal = "Basic realm=\"my realm\" {\"message\":\"Invalid user authorization\"}\n";
    check(&missing, None, refusal, None);
}

#[test]
fn checks_configurations_by_the_schema() {
    for (config, is_good) in [
        (json!({}), true),
        (json!({"hide_credentials": 1}), false),
        (json!({"realm": "é"}), false),
        (json!({"realm": ""}), false),
        (json!({"anonymous_consumer": ""}), false),
    ] {
        let compiled = kit().plugin::<BasicAuth>(&config);
        assert_eq!(compiled.is_ok(), is_good, "{config}");
    }
    for (credential, is_good) in [
        (json!({"username": "a", "password": "b"}), true),
        (json!({"username": "a"}), false),
        (json!({"username": "a", "password": 1}), false),
        (
            json!({"username": "a", "password": "$env://NOTHING"}),
            false,
        ),
    ] {
        let added = kit().consumer::<BasicAuth>("x", &credential);
        assert_eq!(added.is_ok(), is_good, "{credential}");
    }
}
