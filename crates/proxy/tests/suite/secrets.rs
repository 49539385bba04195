//! References to secrets, in what the data plane uses today: certificates shown to upstreams.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lockgate_testkit::{Certificate, Gateway, Origin, Setup, eventually};
use serde_json::{Value, json};

use crate::OK;

/// An origin that asks for one of these certificates, and which was shown to it last.
struct Asking {
    origin: Origin,
    shown: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Asking {
    fn start(clients: &[&Certificate]) -> Self {
        let shown: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
        let last = shown.clone();
        let certificate = Certificate::asking(&["a.test"], clients);
        let origin = Origin::start_tls(&certificate, move |connection| {
            while connection.request().is_some() {
                *last.lock().expect("alive") = connection.shown();
                connection.send(OK);
            }
        });
        Self { origin, shown }
    }

    fn upstream(&self, tls: &Value) -> Value {
        json!({"scheme": "https", "nodes": {self.origin.node(): 1}, "tls": tls})
    }

    /// Whether a request gets through, and with this certificate.
    fn sees(&self, gateway: &Gateway, certificate: &Certificate) -> bool {
        let status = gateway.get("/").status();
        status == 200 && self.shown.lock().expect("alive").as_ref() == Some(&certificate.der)
    }
}

/// A gateway with the certificates in its environment.
fn setup(certificate: &Certificate) -> Setup {
    Setup::new().with(|setup| {
        setup.environment = vec![
            ("CERT".into(), certificate.pem.clone()),
            ("KEY".into(), certificate.key.clone()),
            ("PAIR".into(), json!({"key": certificate.key}).to_string()),
        ];
    })
}

fn route(upstream: &Value) -> Value {
    json!({"uri": "/*", "upstream": upstream})
}

#[test]
fn certificates_for_upstreams_are_found_wherever_they_are_kept() {
    let client = Certificate::of(&["client.test"]);
    let asking = Asking::start(&[&client]);
    let inline = json!({"client_cert": "$env://CERT", "client_key": "$ENV://PAIR/key"});
    let by_id = json!({"client_cert_id": "1"});
    let plain = json!({"type": "client", "cert": client.pem, "key": client.key});
    let referring = json!({"type": "client", "cert": "$env://CERT", "key": "$env://KEY"});
    let (own, by_id) = (asking.upstream(&inline), asking.upstream(&by_id));
    for objects in [
        vec![("routes/1", route(&own))],
        vec![("routes/1", route(&by_id)), ("ssls/1", plain)],
        vec![("routes/1", route(&by_id)), ("ssls/1", referring.clone())],
        vec![
            ("routes/1", json!({"uri": "/*", "service_id": "1"})),
            ("services/1", json!({"upstream": by_id})),
            ("ssls/1", referring.clone()),
        ],
        vec![
            ("routes/1", json!({"uri": "/*", "upstream_id": "1"})),
            ("ssls/1", referring),
            ("upstreams/1", by_id),
        ],
    ] {
        let mut setup = setup(&client);
        for (key, object) in &objects {
            setup = setup.put(key, object);
        }
        let gateway = setup.start();
        assert!(
            asking.sees(&gateway, &client),
            "{objects:?} {:?}",
            gateway.problems()
        );
        assert_eq!(gateway.problems(), []);
    }
}

#[test]
fn what_has_no_value_is_named_and_what_was_there_stays() {
    let client = Certificate::of(&["client.test"]);
    let asking = Asking::start(&[&client]);
    let by_id = route(&asking.upstream(&json!({"client_cert_id": "1"})));
    let gateway = setup(&client).put("routes/1", &by_id).start();
    let problem = |gateway: &Gateway| {
        let problems = gateway.problems();
        problems
            .first()
            .map(|(key, problem)| format!("{key}: {problem}"))
    };
    let none = "routes/1: failed to get ssl cert: ssl id [1] not exits";
    assert_eq!(problem(&gateway).as_deref(), Some(none));
    assert_ne!(gateway.get("/").status(), 200);

    let ssl = |kind: &str, cert: &str| json!({"type": kind, "cert": cert, "key": "$env://KEY"});
    gateway.put("ssls/1", &ssl("server", "$env://CERT"));
    let wrong = "routes/1: failed to get ssl cert: ssl type should be 'client'";
    assert_eq!(problem(&gateway).as_deref(), Some(wrong));

    gateway.put("ssls/1", &ssl("client", "$env://CERT"));
    assert_eq!(problem(&gateway), None);
    assert!(asking.sees(&gateway, &client));

    for (cert, expected) in [
        (
            "$env://NOT_SET",
            "routes/1: $env://NOT_SET has no value: no value",
        ),
        (
            "$secret://vault/1/a/b",
            "routes/1: $secret://vault/1/a/b has no value: no secret conf, secret_uri: $secret://vault/1/a/b",
        ),
        (
            "$secret://vault/1",
            "routes/1: $secret://vault/1 has no value: error format: no secret conf id",
        ),
    ] {
        gateway.put("ssls/1", &ssl("client", cert));
        assert_eq!(problem(&gateway).as_deref(), Some(expected));
        assert!(asking.sees(&gateway, &client), "it stays as it was");
    }
    gateway.delete("ssls/1");
    assert_eq!(problem(&gateway).as_deref(), Some(none));
    gateway.put("routes/1", &route(&asking.upstream(&json!({}))));
    assert_eq!(problem(&gateway), None, "nothing is needed any more");
}

/// A Vault that keeps one certificate, which can be replaced; without one, it hangs up.
fn vault(first: &Certificate) -> (Origin, Arc<Mutex<Option<Certificate>>>) {
    let kept = Arc::new(Mutex::new(Some(first.clone())));
    let shared = kept.clone();
    let vault = Origin::start(move |connection| {
        while let Some(request) = connection.request() {
            let Some(kept) = shared.lock().expect("alive").clone() else {
                return;
            };
            let body = if request.field("x-vault-token") == Some("root") {
                json!({"data": {"cert": kept.pem, "key": kept.key}})
            } else {
                json!({"errors": ["permission denied"]})
            };
            let body = body.to_string();
            let length = body.len();
            connection.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
        }
    });
    (vault, kept)
}

#[test]
fn a_secret_that_changes_is_used_without_a_change_of_the_configuration() {
    let (first, second) = (
        Certificate::of(&["one.test"]),
        Certificate::of(&["two.test"]),
    );
    let asking = Asking::start(&[&first, &second]);
    let (vault, kept) = vault(&first);
    let manager = |token: &str| json!({"uri": format!("http://{}", vault.node()), "prefix": "kv", "token": token});
    let ssl = json!({
        "type": "client",
        "cert": "$secret://vault/1/gateway/cert",
        "key": "$secret://vault/1/gateway/key"
    });
    let gateway = Setup::new()
        .with(|setup| setup.secrets_kept = Duration::from_millis(100))
        .put(
            "routes/1",
            &route(&asking.upstream(&json!({"client_cert_id": 1}))),
        )
        .put("ssls/1", &ssl)
        .put("secrets/vault/1", &manager("$env://NOT_SET"))
        .start();
    // Requests never wait for a manager; what refers to one that refuses is not in force.
    eventually("it is named", || {
        gateway
            .problems()
            .iter()
            .any(|(_, problem)| problem.contains("failed to decode result"))
    });
    assert_ne!(gateway.get("/").status(), 200);
    gateway.put("secrets/vault/1", &manager("root"));
    eventually("the first certificate is shown", || {
        asking.sees(&gateway, &first)
    });
    assert_eq!(gateway.problems(), []);
    *kept.lock().expect("alive") = Some(second.clone());
    eventually("the second certificate is shown", || {
        asking.sees(&gateway, &second)
    });
    *kept.lock().expect("alive") = None;
    let asked = vault.requests().len();
    // A question follows the answer before it, of which there are at most two for each of two references.
    eventually("the vault fails more than once", || {
        vault.requests().len() >= asked + 10
    });
    assert!(
        asking.sees(&gateway, &second),
        "a vault that fails takes nothing away"
    );
    gateway.put_text("secrets/vault/1", "{}");
    let problems = gateway.problems();
    assert_eq!(
        problems,
        [("secrets/vault/1".into(), "missing field `uri`".into())]
    );
    assert!(
        asking.sees(&gateway, &second),
        "a manager that is none changes nothing"
    );
    gateway.delete("secrets/vault/1");
    eventually("what has no manager is named", || {
        let gone = gateway.problems();
        gone.iter()
            .any(|(_, problem)| problem.contains("no secret conf"))
    });
    assert!(asking.sees(&gateway, &second), "what was there stays");
}
