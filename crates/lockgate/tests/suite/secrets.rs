//! Secrets over the life of the process: when they are there, and that nothing takes them away.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use lockgate_testkit::{Certificate, Origin};

use crate::{
    gateway::Gateway,
    support::{Process, get, lockgate},
};

/// A Vault that keeps a certificate, and can be sealed.
fn vault(certificate: &Certificate, is_sealed: &Arc<AtomicBool>) -> Origin {
    let data = serde_json::json!({"data": {"cert": certificate.pem, "key": certificate.key}});
    let (data, is_sealed) = (data.to_string(), is_sealed.clone());
    Origin::start(move |connection| {
        while connection.request().is_some() {
            let (status, body) = if is_sealed.load(Ordering::SeqCst) {
                (503, r#"{"errors":["Vault is sealed"]}"#)
            } else {
                (200, data.as_str())
            };
            let length = body.len();
            connection.send(format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
        }
    })
}

/// An origin that asks for this certificate, and whether it was shown last.
fn asking(client: &Certificate, is_shown: &Arc<Mutex<bool>>) -> Origin {
    let (client, is_shown) = (client.clone(), is_shown.clone());
    let certificate = Certificate::asking(&["a.test"], &[&client]);
    Origin::start_tls(&certificate, move |connection| {
        while connection.request().is_some() {
            *is_shown.lock().expect("alive") = connection.shown().as_ref() == Some(&client.der);
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn a_secret_is_there_when_its_route_is_and_outlives_a_sealed_vault() {
    let client = Certificate::of(&["client.test"]);
    let (is_sealed, is_shown) = (Arc::default(), Arc::default());
    let vault = vault(&client, &is_sealed);
    let asking = asking(&client, &is_shown);
    let mut gateway = Gateway::start("");
    let proxy = gateway.proxy;
    let works = || {
        *is_shown.lock().expect("alive") = false;
        let answer = get(proxy, "/");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(*is_shown.lock().expect("alive"));
    };
    let manager = format!(
        r#"{{"uri": "http://{}", "prefix": "kv", "token": "root"}}"#,
        vault.node()
    );
    let ssl = r#"{"type": "client", "cert": "$secret://vault/1/a/cert", "key": "$secret://vault/1/a/key"}"#;
    let route = format!(
        r#"{{"uri": "/*", "upstream": {{"scheme": "https", "tls": {{"client_cert_id": "1"}}, "nodes": {{"{}": 1}}}}}}"#,
        asking.node()
    );
    for (path, body) in [
        ("secrets/vault/1", manager.as_str()),
        ("ssls/1", ssl),
        ("routes/1", &route),
    ] {
        let made = gateway.admin("PUT", path, body);
        assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    }
    works();

    is_sealed.store(true, Ordering::SeqCst);
    assert!(gateway.reload(&gateway.file()), "{}", gateway.process.said);
    works();

    // Another process has to ask. It waits for the answer before it serves.
    is_sealed.store(false, Ordering::SeqCst);
    gateway.process.signal(rustix::process::Signal::TERM);
    assert!(gateway.process.end().success());
    gateway.process = Process::start(lockgate().arg("-p").arg(gateway.prefix.path()));
    assert!(
        gateway.process.says("the gateway runs"),
        "{}",
        gateway.process.said
    );
    works();
}
