//! `key-auth`, `basic-auth`, `jwt-auth` and `consumer-restriction` as clients and upstreams see them.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::{
    echo::address_of,
    gateway::Gateway,
    support::{Process, exchange, get, lockgate},
};

/// A gateway in front of an origin that shows what it gets.
struct Scene {
    gateway: Gateway,
    origin: Process,
    node: String,
    /// How often objects were put.
    steps: Cell<u32>,
}

impl Scene {
    fn start() -> Self {
        let mut origin = Process::start(lockgate().args(["echo", "--listen", "127.0.0.1:0"]));
        let node = address_of(&mut origin).to_string();
        Self {
            gateway: Gateway::start(""),
            origin,
            node,
            steps: Cell::new(0),
        }
    }

    fn admin(&self, method: &str, path: &str, body: &Value) -> String {
        self.gateway.admin(method, path, &body.to_string())
    }

    /// Puts objects, then the route that requests take, and waits until all of them are in force.
    fn put(&self, objects: &[(&str, Value)], plugins: &Value) {
        let upstream = json!({"nodes": {&self.node: 1}});
        let route = |uri: &str, plugins: &Value| json!({"uri": uri, "plugins": plugins, "upstream": upstream});
        for (path, object) in objects {
            let made = self.admin("PUT", path, object);
            assert!(made.starts_with("HTTP/1.1 20"), "{path}: {made}");
        }
        let made = self.admin("PUT", "routes/1", &route("/*", plugins));
        assert!(made.starts_with("HTTP/1.1 20"), "{made}");
        // Changes arrive in order: when the last one is there, so are the others.
        self.steps.set(self.steps.get() + 1);
        let step = format!("/barrier/{}", self.steps.get());
        let made = self.admin("PUT", "routes/barrier", &route(&step, &json!({})));
        assert!(made.starts_with("HTTP/1.1 20"), "{made}");
        let arrived = (0..1000).any(|_| get(self.gateway.proxy, &step).contains("\"method\""));
        assert!(
            arrived,
            "{} {}",
            self.gateway.process.said,
            self.origin.id()
        );
    }

    /// Status, then what the origin saw, or what the gateway answered.
    fn ask(&self, request: &str, fields: &str) -> (u16, Value) {
        let answer = exchange(
            self.gateway.proxy,
            &format!("{request} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n"),
        );
        let status = answer.get(9..12).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        let body = body.and_then(|body| serde_json::from_str(body).ok());
        (status.expect("a status"), body.expect("JSON"))
    }
}

/// What the origin was told of who asks.
fn told(seen: &Value) -> [Option<&str>; 3] {
    [
        "x-consumer-username",
        "x-credential-identifier",
        "x-consumer-custom-id",
    ]
    .map(|name| seen.get("headers")?.get(name)?.as_str())
}

#[test]
fn consumers_and_their_credentials_are_found_by_keys() {
    let scene = Scene::start();
    let jack = json!({
        "username": "jack",
        "labels": {"custom_id": "495aec6a"},
        "plugins": {"key-auth": {"key": "old-key"}},
    });
    scene.put(
        &[
            ("consumers", jack),
            (
                "consumers/jack/credentials/first",
                json!({"plugins": {"key-auth": {"key": "new-key"}}}),
            ),
            (
                "consumers",
                json!({"username": "nobody", "labels": {"custom_id": "0"}}),
            ),
        ],
        &json!({"key-auth": {"hide_credentials": true}}),
    );
    let spoofed =
        "X-Consumer-Username: root\r\nX-Credential-Identifier: 1\r\nX-Consumer-Custom-ID: 2\r\n";
    let (status, seen) = scene.ask("GET /?a=b+c", &format!("apikey: old-key\r\n{spoofed}"));
    assert_eq!(status, 200);
    assert_eq!(told(&seen), [Some("jack"), None, Some("495aec6a")]);
    assert_eq!(seen["headers"].get("apikey"), None);
    let (_, seen) = scene.ask("GET /?a=b+c&apikey=new-key", spoofed);
    assert_eq!(told(&seen), [Some("jack"), Some("first"), Some("495aec6a")]);
    assert_eq!(seen["uri"], "/?a=b+c");
    let (status, answer) = scene.ask("GET /?apikey=x", "");
    assert_eq!(
        (status, answer),
        (401, json!({"message": "Invalid API key in request"}))
    );

    // What is gone is gone; the anonymous consumer has nothing but a name.
    scene.admin("DELETE", "consumers/jack/credentials/first", &json!({}));
    scene.put(&[], &json!({"key-auth": {"anonymous_consumer": "nobody"}}));
    let (status, seen) = scene.ask("GET /?apikey=new-key", spoofed);
    assert_eq!((status, told(&seen)), (200, [Some("nobody"), None, None]));
    scene.put(
        &[],
        &json!({"key-auth": {"anonymous_consumer": "somebody"}}),
    );
    let (status, answer) = scene.ask("GET /", "");
    assert_eq!(
        (status, answer),
        (401, json!({"message": "Invalid user authorization"}))
    );
}

#[test]
fn a_key_that_changes_hands_is_the_new_owners() {
    let scene = Scene::start();
    let with =
        |name: &str, key: &str| json!({"username": name, "plugins": {"key-auth": {"key": key}}});
    scene.put(
        &[
            ("consumers", with("ann", "one")),
            ("consumers", with("zoe", "two")),
        ],
        &json!({"key-auth": {}}),
    );
    // Both directions: whichever of them is looked at first.
    for (first, second) in [("ann", "zoe"), ("zoe", "ann")] {
        scene.put(
            &[
                ("consumers", with(first, "spare")),
                ("consumers", with(second, "one")),
                ("consumers", with(first, "two")),
            ],
            &json!({"key-auth": {}}),
        );
        for (key, owner) in [("one", second), ("two", first)] {
            let (status, seen) = scene.ask("GET /", &format!("apikey: {key}\r\n"));
            assert_eq!((status, told(&seen)[0]), (200, Some(owner)), "{key}");
        }
        assert_eq!(scene.ask("GET /", "apikey: spare\r\n").0, 401);
    }
}

#[test]
fn names_and_passwords_are_read() {
    let scene = Scene::start();
    let foo = json!({"username": "foo", "password": "bar"});
    scene.put(
        &[(
            "consumers",
            json!({"username": "jack", "plugins": {"basic-auth": foo}}),
        )],
        &json!({"basic-auth": {"hide_credentials": true}}),
    );
    // "foo:bar", "foo:foo"
    let (status, seen) = scene.ask("GET /", "Authorization: basic Zm9vOmJhcg==\r\n");
    assert_eq!((status, told(&seen)[0]), (200, Some("jack")));
    assert_eq!(seen["headers"].get("authorization"), None);
    let (status, answer) = scene.ask("GET /", "Authorization: Basic Zm9vOmZvbw==\r\n");
    assert_eq!(
        (status, answer),
        (401, json!({"message": "Invalid user authorization"}))
    );
    let answer = get(scene.gateway.proxy, "/");
    assert!(
        answer.contains("WWW-Authenticate: Basic realm=\"basic\"\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\n{\"message\":\"Missing authorization in request\"}\n"),
        "{answer}"
    );
}

#[test]
fn tokens_are_verified_and_their_claims_are_variables() {
    // {"alg":"HS256","typ":"JWT"}.{"key":"user-key","exp":4102444800}, by "my-secret-key"
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJrZXkiOiJ1c2VyLWtleSIsImV4cCI6NDEwMjQ0NDgwMH0.Vvic3mhd6gbgARxkxqhMpPP3ztQv08bELL9zrsGED8o";
    let scene = Scene::start();
    let credential = json!({"key": "user-key", "secret": "my-secret-key"});
    let chosen = json!({
        "jwt-auth": {"store_in_ctx": true, "hide_credentials": true},
        "consumer-restriction": {
            "whitelist": ["nobody"],
            "_meta": {"filter": [["jwt_auth_payload", "~~", "4102444801"]]},
        },
    });
    scene.put(
        &[(
            "consumers",
            json!({"username": "jack", "plugins": {"jwt-auth": credential}}),
        )],
        &chosen,
    );
    let (status, seen) = scene.ask("GET /", &format!("Cookie: a=1; jwt={TOKEN}; b=%20\r\n"));
    assert_eq!((status, told(&seen)[0]), (200, Some("jack")));
    assert_eq!(seen["headers"]["cookie"], "a=1; b=%20");
    let (status, answer) = scene.ask(&format!("GET /?jwt={TOKEN}x"), "");
    assert_eq!(
        (status, answer),
        (401, json!({"message": "failed to verify jwt"}))
    );

    let mut chosen = chosen;
    chosen["consumer-restriction"]["_meta"]["filter"][0][2] = json!("4102444800");
    scene.put(&[], &chosen);
    let (status, answer) = scene.ask(&format!("GET /?jwt={TOKEN}"), "");
    assert_eq!(
        (status, answer),
        (403, json!({"message": "The consumer_name is forbidden."}))
    );
}

#[test]
fn consumers_bring_their_restrictions_along() {
    let scene = Scene::start();
    let restricted = json!({
        "username": "jack",
        "group_id": "staff",
        "plugins": {
            "key-auth": {"key": "jack-key"},
            "consumer-restriction": {"type": "route_id", "whitelist": ["2"], "rejected_msg": "elsewhere"},
        },
    });
    scene.put(
        &[
            ("consumer_groups/staff", json!({"plugins": {}})),
            ("consumers", restricted),
            ("consumers", json!({"username": "rose", "plugins": {"key-auth": {"key": "rose-key"}}})),
        ],
        &json!({"key-auth": {}, "consumer-restriction": {"type": "consumer_group_id", "whitelist": ["staff"]}}),
    );
    // What the consumer says counts more than what the route says.
    let (status, answer) = scene.ask("GET /", "apikey: jack-key\r\n");
    assert_eq!((status, answer), (403, json!({"message": "elsewhere"})));
    let (status, answer) = scene.ask("GET /", "apikey: rose-key\r\n");
    let refusal = "The request is rejected, please check the consumer_group_id for this request";
    assert_eq!((status, answer), (401, json!({"message": refusal})));
    let allowed = json!({"username": "jack", "group_id": "staff", "plugins": {"key-auth": {"key": "jack-key"}}});
    scene.put(
        &[("consumers", allowed)],
        &json!({"key-auth": {}, "consumer-restriction": {"type": "consumer_group_id", "whitelist": ["staff"]}}),
    );
    assert_eq!(scene.ask("GET /", "apikey: jack-key\r\n").0, 200);
}
