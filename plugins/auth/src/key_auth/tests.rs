use std::sync::Arc;

use lockgate_plugin::{
    Consumer, Removed, Reply, Secret,
    testing::{self, Kit, Request},
};
use serde_json::{Map, Value, json};

use super::{Key, KeyAuth};

fn kit() -> Kit {
    let kit = Kit::new();
    for (name, key) in [("jack", "auth-one"), ("rose", "auth two")] {
        let added = kit.consumer::<KeyAuth>(name, &json!({"key": key}));
        added.expect("a credential");
    }
    kit.named(testing::consumer("nobody"));
    kit
}

/// What comes of a request: who it is from, or the refusal.
fn check(config: &Value, mut request: Request, expected: &str) -> Request {
    let plugin = kit().plugin::<KeyAuth>(config).expect("a configuration");
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
    assert_eq!(came, expected, "{config} {request:?}");
    request
}

const MISSING: &str = "apikey realm=\"key\" {\"message\":\"Missing API key in request\"}\n";
const INVALID: &str = "apikey realm=\"key\" {\"message\":\"Invalid API key in request\"}\n";

#[test]
fn finds_consumers_by_their_keys() {
    let default = json!({});
    for (request, expected) in [
        (Request::get("/"), MISSING),
        (Request::get("/").header("apikey", "auth-one"), "jack"),
        (Request::get("/").header("APIKEY", "auth two"), "rose"),
        (Request::get("/").header("apikey", "auth"), INVALID),
        (Request::get("/").header("apikey", ""), INVALID),
        (Request::get("/?apikey=auth-one"), "jack"),
        (Request::get("/?a=b&api%6bey=auth+two"), "rose"),
        (Request::get("/?apikey=123"), INVALID),
        (Request::get("/?apikey="), INVALID),
        (Request::get("/?apikey"), INVALID),
        // Which one would be meant?
        (Request::get("/?apikey=auth-one&apikey=auth-one"), INVALID),
        (Request::get("/?ApiKey=auth-one"), MISSING),
        // The field counts, and of its lines the first.
        (
            Request::get("/?apikey=auth-one").header("apikey", "x"),
            INVALID,
        ),
        (
            Request::get("/")
                .header("apikey", "auth-one")
                .header("apikey", "x"),
            "jack",
        ),
    ] {
        check(&default, request, expected);
    }
}

#[test]
fn looks_where_the_configuration_says() {
    for (config, request, expected) in [
        (
            json!({"header": "Authorization"}),
            Request::get("/").header("authorization", "auth-one"),
            "jack",
        ),
        (
            json!({"header": "Authorization"}),
            Request::get("/").header("apikey", "auth-one"),
            MISSING,
        ),
        (
            json!({"header": "x_key"}),
            Request::get("/").header("X-Key", "auth-one"),
            "jack",
        ),
        (
            json!({"header": "x_key"}),
            Request::get("/").header("x_key", "auth-one"),
            "jack",
        ),
        (
            json!({"query": "auth"}),
            Request::get("/?auth=auth-one"),
            "jack",
        ),
        (
            json!({"query": "auth"}),
            Request::get("/?apikey=auth-one"),
            MISSING,
        ),
        (
            json!({"realm": "my realm"}),
            Request::get("/"),
            "apikey realm=\"my realm\" {\"message\":\"Missing API key in request\"}\n",
        ),
    ] {
        check(&config, request, expected);
    }
}

#[test]
fn hides_credentials_where_it_is_told_to() {
    for (hides, target, field, query, expected_field) in [
        (false, "/?apikey=auth-one", None, "apikey=auth-one", None),
        (true, "/?apikey=auth-one", None, "", None),
        (true, "/?a=x+y&apikey=auth-one&b", None, "a=x+y&b", None),
        (false, "/", Some("auth-one"), "", Some("auth-one")),
        (true, "/", Some("auth-one"), "", None),
        // Of both, the one that counted.
        (
            true,
            "/?apikey=auth-one",
            Some("auth-one"),
            "apikey=auth-one",
            None,
        ),
    ] {
        let mut request = Request::get(target).header("other", "kept");
        if let Some(value) = field {
            request = request.header("apikey", value);
        }
        let request = check(&json!({"hide_credentials": hides}), request, "jack");
        let sent = request.state.outgoing.query.clone();
        let sent = sent.unwrap_or_else(|| request.head.query().unwrap_or_default().to_vec());
        assert_eq!(String::from_utf8_lossy(&sent), query, "{target}");
        assert_eq!(request.sent("apikey").as_deref(), expected_field);
        assert_eq!(request.sent("other").as_deref(), Some("kept"));
    }
}

#[test]
fn lets_strangers_pass_as_the_anonymous_consumer() {
    let config = json!({"anonymous_consumer": "nobody", "hide_credentials": true});
    for request in [
        Request::get("/"),
        Request::get("/").header("apikey", "x"),
        Request::get("/?apikey=x"),
        Request::get("/?apikey=x&apikey").header("apikey", "x"),
    ] {
        let request = check(&config, request, "nobody");
        assert_eq!(request.sent("apikey"), None);
        let query = request.state.outgoing.query.as_deref();
        assert!(query.is_none_or(<[u8]>::is_empty));
    }
    let request = Request::get("/?apikey=x").header("apikey", "x");
    let request = check(&json!({"anonymous_consumer": "nobody"}), request, "nobody");
    assert_eq!(request.sent("apikey").as_deref(), Some("x"));
    check(&config, Request::get("/?apikey=auth-one"), "jack");
}

#[test]
fn refuses_strangers_where_the_anonymous_consumer_does_not_exist() {
    check(
        &json!({"anonymous_consumer": "somebody"}),
        Request::get("/"),
        "apikey realm=\"key\" {\"message\":\"Invalid user authorization\"}\n",
    );
}

#[test]
fn tells_the_upstream_who_asks_and_nothing_that_the_client_made_up() {
    let spoofed = |target: &str| {
        [
            "X-Consumer-Username",
            "X-Credential-Identifier",
            "X-Consumer-Custom-ID",
        ]
        .into_iter()
        .fold(Request::get(target), |request, name| {
            request.header(name, "me")
        })
    };
    let consumer = Arc::new(Consumer {
        name: "ann".into(),
        username: "ann".into(),
        group_id: Some("staff".into()),
        credential_id: Some("34010989-ce4e-4d61-9493-b54cca8edb31".into()),
        custom_id: Some("495aec6a".into()),
        labels: Map::new(),
        credential: Secret(Arc::new(Key)),
        plugins: Arc::default(),
        revision: 1,
    });
    let kit = kit();
    let plugin = kit
        .plugin::<KeyAuth>(&json!({"anonymous_consumer": "ann"}))
        .expect("a configuration");
    kit.named(consumer.clone());
    kit.node
        .consumers("key-auth")
        .update([], [(b"k".as_slice().into(), consumer)]);
    for (target, username, credential, custom) in [
        (
            "/?apikey=k",
            "ann",
            Some("34010989-ce4e-4d61-9493-b54cca8edb31"),
            Some("495aec6a"),
        ),
        ("/?apikey=auth-one", "jack", None, None),
    ] {
        let mut request = spoofed(target);
        assert!(plugin.rewrite(&mut request).is_none());
        assert_eq!(
            request.sent("X-Consumer-Username").as_deref(),
            Some(username)
        );
        assert_eq!(
            request.sent("X-Credential-Identifier").as_deref(),
            credential
        );
        assert_eq!(request.sent("X-Consumer-Custom-ID").as_deref(), custom);
    }
    // Found by name, nobody has a custom id.
    let mut request = spoofed("/");
    assert!(plugin.rewrite(&mut request).is_none());
    assert_eq!(request.sent("X-Consumer-Username").as_deref(), Some("ann"));
    assert_eq!(request.sent("X-Consumer-Custom-ID"), None);
}

#[test]
fn follows_what_becomes_of_consumers() {
    let kit = Kit::new();
    let plugin = kit.plugin::<KeyAuth>(&json!({})).expect("a configuration");
    let ask = |key: &str| {
        let mut request = Request::get("/").header("apikey", key);
        plugin.rewrite(&mut request).map(Reply::text)
    };
    let invalid = Some("{\"message\":\"Invalid API key in request\"}\n".to_owned());
    assert_eq!(ask("a"), invalid);
    kit.consumer::<KeyAuth>("jack", &json!({"key": "a"}))
        .expect("a credential");
    assert_eq!(ask("a"), None);
    let removed = Removed {
        key: b"a".as_slice().into(),
        name: "jack".into(),
        credential_id: None,
    };
    kit.node.consumers("key-auth").update([removed], []);
    assert_eq!(ask("a"), invalid);
}

#[test]
fn takes_no_credential_whose_secret_has_no_value() {
    let kit = Kit::new();
    for key in ["$env://KEY", "$ENV://KEY", "$secret://vault/1/jack/key"] {
        let refused = kit.consumer::<KeyAuth>("jack", &json!({"key": key}));
        assert!(refused.is_err(), "{key}");
    }
    assert!(
        kit.consumer::<KeyAuth>("jack", &json!({"key": "$5"}))
            .is_ok()
    );
}

#[test]
fn checks_configurations_by_the_schema() {
    for (config, is_good) in [
        (json!({}), true),
        (json!({"header": 1}), false),
        (json!({"query": true}), false),
        (json!({"hide_credentials": "yes"}), false),
        (json!({"realm": ""}), false),
        (json!({"realm": "a\"b"}), false),
        (json!({"realm": "x".repeat(129)}), false),
        (json!({"anonymous_consumer": ""}), false),
    ] {
        let compiled = kit().plugin::<KeyAuth>(&config);
        assert_eq!(compiled.is_ok(), is_good, "{config}");
    }
    assert!(
        kit()
            .consumer::<KeyAuth>("x", &json!({"key": 123}))
            .is_err()
    );
}
