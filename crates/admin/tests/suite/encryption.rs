//! Secrets that are stored encrypted, in the format of the reference.

use lockgate_admin::Environment;
use lockgate_keyring::Keyring;
use serde_json::{Value, json};

use crate::{gateway::Gateway, rules::pem};

/// What the reference stores for `new-key` with its first standard key.
pub(crate) const NEW_KEY: &str = "523EisB/dvqlIT9RzfF3ZQ==";

/// The key in the reference's tests, `t/node/data_encrypt.t` and others.
const TEST_KEY: &str = "edd1c9f0985e76a2";

fn keyed(keys: &[&str]) -> Environment {
    Environment {
        keyring: Keyring::new(keys),
        has_stream_mode: true,
        ..Environment::default()
    }
}

impl Gateway {
    /// Asks below `/apisix/admin/` and takes the answer's JSON.
    async fn read(&self, request: &str, body: &Value) -> Value {
        let (method, path) = request.split_once(' ').unwrap();
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let reply = self
            .ask(&format!("{method} /apisix/admin/{path}"), &body)
            .await;
        assert!(reply.status < 300, "{request} {body}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    /// What a pointer leads to in a stored object.
    fn stored(&self, key: &str, pointer: &str) -> Value {
        let value: Value = serde_json::from_str(&self.store.value(key).unwrap()).unwrap();
        value.pointer(pointer).unwrap().clone()
    }
}

#[tokio::test]
async fn secrets_of_plugins_are_stored_encrypted_and_read_as_they_were() {
    let gateway = Gateway::start().await;
    gateway.store.seed("consumers/ann", r#"{"username":"ann"}"#);
    let csrf = json!({"plugins": {"csrf": {"key": "new-key"}}});
    let route = json!({"uri": "/", "plugins": csrf["plugins"]});
    let csrf_key = "/plugins/csrf/key";
    for (path, body, pointer, is_listed_plain) in [
        ("routes/1", route, csrf_key, true),
        ("services/1", csrf.clone(), csrf_key, true),
        ("plugin_configs/1", csrf.clone(), csrf_key, true),
        ("consumer_groups/1", csrf.clone(), csrf_key, true),
        ("global_rules/1", csrf.clone(), csrf_key, true),
        (
            "consumers/jack",
            json!({"username": "jack", "plugins": {"key-auth": {"key": "new-key"}}}),
            "/plugins/key-auth/key",
            true,
        ),
        // A plugin without a schema for consumers has its fields in consumers too.
        (
            "consumers/jill",
            json!({"username": "jill", "plugins": csrf["plugins"]}),
            csrf_key,
            true,
        ),
        (
            "consumers/ann/credentials/1",
            json!({"plugins": {"basic-auth": {"username": "ann", "password": "new-key"}}}),
            "/plugins/basic-auth/password",
            true,
        ),
        (
            "plugin_metadata/azure-functions",
            json!({"master_apikey": "new-key"}),
            "/master_apikey",
            false,
        ),
    ] {
        let key = path;
        let written = gateway.read(&format!("PUT {path}"), &body).await;
        let in_answer = written["value"].pointer(pointer);
        assert_eq!(in_answer, Some(&json!(NEW_KEY)), "{path}");
        assert_eq!(gateway.stored(key, pointer), json!(NEW_KEY), "{path}");
        let read = gateway.read(&format!("GET {path}"), &Value::Null).await;
        let shown = read["value"].pointer(pointer);
        assert_eq!(shown, Some(&json!("new-key")), "{path}");
        let (collection, _) = path.rsplit_once('/').unwrap();
        let request = format!("GET {collection}");
        let list = gateway.read(&request, &Value::Null).await;
        let mut listed = list["list"].as_array().unwrap().iter();
        let listed = listed.find_map(|entry| entry["value"].pointer(pointer));
        let expected = if is_listed_plain { "new-key" } else { NEW_KEY };
        assert_eq!(listed, Some(&json!(expected)), "{path}");
    }
    let posted = gateway
        .read("POST services", &json!({"plugins": {"csrf": {"key": ""}}}))
        .await;
    assert_eq!(
        posted["value"].pointer(csrf_key),
        Some(&json!("CEGh183MAO3X8/ZV2jzHeA=="))
    );
}

#[tokio::test]
async fn what_is_not_secret_is_stored_as_it_was_sent() {
    let gateway = Gateway::start_in(keyed(&[TEST_KEY])).await;
    let redis = json!({"policy": "redis", "redis_host": "127.0.0.1", "redis_password": "new-key"});
    let mut conn = json!({"conn": 1, "burst": 1, "default_conn_delay": 0.1, "key": "remote_addr"});
    let fields = redis.as_object().unwrap().clone();
    conn.as_object_mut().unwrap().extend(fields);
    for (path, body, pointer) in [
        // The reference encrypts nothing in the plugins of stream routes.
        (
            "stream_routes/1",
            json!({"plugins": {"limit-conn": conn}, "upstream": {"nodes": {"a:1": 1}}}),
            "/plugins/limit-conn/redis_password",
        ),
        (
            "consumers/jack",
            json!({"username": "jack", "plugins": {"basic-auth": {"username": "jack", "password": "p"}}}),
            "/plugins/basic-auth/username",
        ),
        (
            "plugin_metadata/syslog",
            json!({"log_format": {"key": "new-key"}}),
            "/log_format/key",
        ),
        (
            "secrets/vault/1",
            json!({"uri": "http://a", "prefix": "p", "token": "new-key"}),
            "/token",
        ),
    ] {
        gateway.read(&format!("PUT {path}"), &body).await;
        let expected = body.pointer(pointer).unwrap();
        assert_eq!(&gateway.stored(path, pointer), expected, "{path}");
    }
    // The HTTP plugin of the same name has secrets.
    let route = json!({"uri": "/", "plugins": {"limit-conn": conn}});
    gateway.read("PUT routes/1", &route).await;
    let pointer = "/plugins/limit-conn/redis_password";
    assert_eq!(
        gateway.stored("routes/1", pointer),
        json!("UeJuAFvpOGP7/yzKCoRCPA==")
    );
}

#[tokio::test]
async fn fields_are_found_through_maps_and_lists() {
    let gateway = Gateway::start_in(keyed(&[TEST_KEY])).await;
    let instance = |name: &str| {
        json!({
            "name": name, "provider": "openai", "weight": 1,
            "auth": {"header": {"Authorization": "new-key", "X-Other": "bar"}},
            "options": {"model": "m"},
        })
    };
    let plugins = json!({"ai-proxy-multi": {"instances": [instance("a"), instance("b")]}});
    let route = json!({"uri": "/", "plugins": plugins});
    gateway.read("PUT routes/1", &route).await;
    for (pointer, expected) in [
        ("0/auth/header/Authorization", "UeJuAFvpOGP7/yzKCoRCPA=="),
        ("1/auth/header/X-Other", "77+NmbYqNfN+oLm0aX5akg=="),
        ("1/options/model", "m"),
    ] {
        let pointer = format!("/plugins/ai-proxy-multi/instances/{pointer}");
        assert_eq!(
            gateway.stored("routes/1", &pointer),
            json!(expected),
            "{pointer}"
        );
    }
    let read = gateway.read("GET routes/1", &Value::Null).await;
    assert_eq!(read["value"]["plugins"], plugins);
}

#[tokio::test]
async fn a_change_encrypts_once() {
    let gateway = Gateway::start().await;
    let stored = || {
        let found = ["key", "name", "expires"].map(|name| {
            let pointer = format!("/plugins/csrf/{name}");
            gateway.stored("routes/1", &pointer)
        });
        found.map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
    };
    let route =
        json!({"uri": "/", "plugins": {"csrf": {"key": "new-key", "name": "n", "expires": 1}}});
    gateway.read("PUT routes/1", &route).await;
    for (path, change, expected) in [
        ("routes/1", json!({"uri": "/a"}), [NEW_KEY, "n", "1"]),
        (
            "routes/1",
            json!({"plugins": {"csrf": {"expires": 2}}}),
            [NEW_KEY, "n", "2"],
        ),
        (
            "routes/1/plugins/csrf/name",
            json!("m"),
            [NEW_KEY, "m", "2"],
        ),
        (
            "routes/1/plugins/csrf/key",
            json!(""),
            ["CEGh183MAO3X8/ZV2jzHeA==", "m", "2"],
        ),
    ] {
        let answer = gateway.read(&format!("PATCH {path}"), &change).await;
        assert_eq!(stored(), expected, "{path} {change}");
        let shown = answer["value"].pointer("/plugins/csrf/key");
        assert_eq!(shown, Some(&json!(expected[0])), "{path} {change}");
    }
}

#[tokio::test]
async fn private_keys_are_encrypted_whatever_is_set_for_plugins() {
    for encrypts in [true, false] {
        let environment = Environment {
            encrypts,
            ..keyed(&["qeddd145sfvddff3"])
        };
        let ring = environment.keyring.clone();
        let gateway = Gateway::start_in(environment).await;
        let (certificate, key) = (pem("CERTIFICATE"), pem("PRIVATE KEY"));
        let encrypted = ring.encrypt(&key);
        let upstream =
            json!({"nodes": {"a:1": 1}, "tls": {"client_cert": certificate, "client_key": key}});
        let ssl = json!({"sni": "a", "cert": certificate, "key": key, "certs": [certificate, certificate], "keys": [key, encrypted]});
        let (inner, own) = ("/upstream/tls/client_key", "/tls/client_key");
        for (path, body, pointer) in [
            ("upstreams/1", upstream.clone(), own),
            ("services/1", json!({"upstream": upstream}), inner),
            ("routes/1", json!({"uri": "/", "upstream": upstream}), inner),
            ("stream_routes/1", json!({"upstream": upstream}), inner),
            ("ssls/1", ssl.clone(), "/key"),
            ("ssls/1", ssl.clone(), "/keys/0"),
            // What is encrypted already stays.
            ("ssls/1", ssl.clone(), "/keys/1"),
        ] {
            let written = gateway.read(&format!("PUT {path}"), &body).await;
            let expected = json!(encrypted);
            assert_eq!(written["value"].pointer(pointer), Some(&expected), "{path}");
            assert_eq!(gateway.stored(path, pointer), expected, "{path}");
            if !path.starts_with("ssls") {
                let read = gateway.read(&format!("GET {path}"), &Value::Null).await;
                assert_eq!(read["value"].pointer(pointer), Some(&expected), "{path}");
            }
        }
        let other = format!("{key}\n");
        let changed = ring.encrypt(&other);
        for (path, change, pointer) in [
            ("upstreams/1", json!({"tls": {"client_key": other}}), own),
            ("upstreams/1/tls/client_key", json!(key), own),
            ("routes/1/upstream/tls/client_key", json!(other), inner),
            (
                "ssls/1",
                json!({"key": other, "keys": [other, other]}),
                "/keys/1",
            ),
            ("ssls/1/key", json!(key), "/key"),
            ("ssls/1/keys", json!([key, key]), "/keys/0"),
        ] {
            gateway.read(&format!("PATCH {path}"), &change).await;
            let object: Vec<&str> = path.splitn(3, '/').take(2).collect();
            let stored = gateway.stored(&object.join("/"), pointer);
            let is_other = change.to_string().contains("\\n\\n");
            let expected = if is_other { &changed } else { &encrypted };
            assert_eq!(stored, json!(expected), "{path}");
        }
        for reference in ["$env://KEY", "$secret://vault/1/key"] {
            let ssl = json!({"sni": "a", "cert": reference, "key": reference});
            gateway.read("PUT ssls/2", &ssl).await;
            assert_eq!(gateway.stored("ssls/2", "/key"), json!(reference));
        }
    }
}

#[tokio::test]
async fn keys_that_no_key_of_the_keyring_opens_are_refused() {
    let gateway = Gateway::start().await;
    let (certificate, key) = (pem("CERTIFICATE"), pem("PRIVATE KEY"));
    let undecryptable = "failed to decrypt previous encrypted key";
    let foreign = Keyring::new(["0123456789abcdef"]).encrypt(&key);
    let standard = Environment::default().keyring;
    for (key, refusal) in [
        (foreign.clone(), Some(undecryptable)),
        ("a".repeat(128), Some(undecryptable)),
        (
            standard.encrypt(&"no key ".repeat(20)),
            Some("failed to parse key: PEM_read_bio_PrivateKey() failed"),
        ),
        (standard.encrypt(&key), None),
        (Keyring::new([TEST_KEY]).encrypt(&key), None),
    ] {
        let ssl = json!({"sni": "a", "cert": certificate, "key": key});
        let upstream =
            json!({"nodes": {"a:1": 1}, "tls": {"client_cert": certificate, "client_key": key}});
        for (path, body) in [("ssls/1", ssl), ("upstreams/1", upstream)] {
            let request = format!("PUT {path}");
            match refusal {
                Some(refusal) => gateway.check_refusals(&[(&request, body, refusal)]).await,
                None => drop(gateway.read(&request, &body).await),
            }
        }
    }
}

/// Values of `t/node/data_encrypt.t` and `t/node/data_encrypt2.t`, as the reference writes them: `/` is escaped.
#[tokio::test]
async fn what_the_reference_stored_is_read() {
    let stored = [
        (
            "consumers/foo",
            r#"{"username":"foo","plugins":{"basic-auth":{"username":"foo","password":"77+NmbYqNfN+oLm0aX5akg=="},"key-auth":{"key":"vU\/ZHVJw7b0XscDJ1Fhtig=="}}}"#,
        ),
        // Stored before encryption was on.
        (
            "consumers/foo2",
            r#"{"username":"foo2","plugins":{"basic-auth":{"username":"foo2","password":"bar"}}}"#,
        ),
        // Of a key that the keyring lacks.
        (
            "consumers/foo3",
            r#"{"username":"foo3","plugins":{"basic-auth":{"username":"foo3","password":"523EisB\/dvqlIT9RzfF3ZQ=="}}}"#,
        ),
    ];
    for keys in [
        &[TEST_KEY][..],
        &["0123456789abcdef0123456789abcdef", TEST_KEY],
    ] {
        let gateway = Gateway::start_in(keyed(keys)).await;
        for (key, value) in stored {
            gateway.store.seed(key, value);
        }
        for (key, pointer, expected) in [
            ("consumers/foo", "/plugins/basic-auth/password", "bar"),
            ("consumers/foo", "/plugins/key-auth/key", "auth-two"),
            ("consumers/foo2", "/plugins/basic-auth/password", "bar"),
            ("consumers/foo3", "/plugins/basic-auth/password", NEW_KEY),
        ] {
            let read = gateway.read(&format!("GET {key}"), &Value::Null).await;
            assert_eq!(
                read["value"].pointer(pointer),
                Some(&json!(expected)),
                "{key}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_is_found_twice_however_it_is_stored() {
    let consumer =
        |name: &str, key: &str| json!({"username": name, "plugins": {"key-auth": {"key": key}}});
    let refusal = "duplicate key of plugin key-auth found with consumer: ann";
    for (stored, key, is_taken) in [
        // Of both standard keys, as the reference and others write it, and as it is.
        (r#""523EisB\/dvqlIT9RzfF3ZQ==""#, "new-key", true),
        (r#""523EisB/dvqlIT9RzfF3ZQ==""#, "new-key", true),
        (r#""UeJuAFvpOGP7\/yzKCoRCPA==""#, "new-key", true),
        (r#""new-key""#, "new-key", true),
        (r#""a\/b""#, "a/b", true),
        // A ciphertext is no key.
        (r#""523EisB\/dvqlIT9RzfF3ZQ==""#, NEW_KEY, false),
        (r#""523EisB\/dvqlIT9RzfF3ZQ==""#, "other", false),
    ] {
        let gateway = Gateway::start().await;
        let ann = format!(r#"{{"username":"ann","plugins":{{"key-auth":{{"key":{stored}}}}}}}"#);
        gateway.store.seed("consumers/ann", &ann);
        let request = "PUT consumers";
        if is_taken {
            let step = (request, consumer("bob", key), refusal);
            gateway.check_refusals(&[step]).await;
            gateway.read(request, &consumer("ann", key)).await;
        } else {
            gateway.read(request, &consumer("bob", key)).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_encrypted_where_that_is_off_or_there_are_no_keys() {
    let off = Environment {
        encrypts: false,
        ..Environment::default()
    };
    for (environment, key) in [
        (
            off,
            Environment::default().keyring.encrypt(&pem("PRIVATE KEY")),
        ),
        (keyed(&[]), pem("PRIVATE KEY")),
    ] {
        let gateway = Gateway::start_in(environment).await;
        let consumer = json!({"username": "jack", "plugins": {"key-auth": {"key": "new-key"}}});
        gateway.read("PUT consumers", &consumer).await;
        let pointer = "/plugins/key-auth/key";
        assert_eq!(gateway.stored("consumers/jack", pointer), json!("new-key"));
        let ciphertext =
            r#"{"username":"jill","plugins":{"key-auth":{"key":"523EisB/dvqlIT9RzfF3ZQ=="}}}"#;
        gateway.store.seed("consumers/jill", ciphertext);
        let read = gateway.read("GET consumers/jill", &Value::Null).await;
        assert_eq!(read["value"].pointer(pointer), Some(&json!(NEW_KEY)));
        let ssl = json!({"sni": "a", "cert": pem("CERTIFICATE"), "key": pem("PRIVATE KEY")});
        gateway.read("PUT ssls/1", &ssl).await;
        assert_eq!(gateway.stored("ssls/1", "/key"), json!(key));
    }
}

#[tokio::test]
async fn the_control_api_shows_secrets_as_plugins_get_them() {
    let gateway = Gateway::start_control(&[]).await;
    let stored = r#"{"uri":"/","plugins":{"csrf":{"key":"523EisB\/dvqlIT9RzfF3ZQ=="}}}"#;
    gateway.store.seed("routes/1", stored);
    let reply = gateway.ask("GET /v1/route/1", "").await;
    let shown: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(shown["value"]["plugins"]["csrf"]["key"], json!("new-key"));
}
