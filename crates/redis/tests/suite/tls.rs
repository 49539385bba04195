//! TLS: with and without a look at the certificate.

use std::path::PathBuf;

use lockgate_redis::{Address, Settings, Single, Tls};
use lockgate_testkit::{Certificate, redis::Redis};

use crate::support::{LONG, SHORT, clients, incr};

#[tokio::test]
async fn verifies_certificates_where_it_is_told_to() {
    let certificate = Certificate::of(&["localhost"]);
    let other = Certificate::of(&["localhost"]);
    let server = Redis::setup().tls(&certificate).start();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let (right, wrong) = (
        file("right.pem", &certificate.pem),
        file("wrong.pem", &other.pem),
    );
    for (host, verify, trusted, is_trusted) in [
        ("localhost", false, &wrong, true),
        ("127.0.0.1", false, &wrong, true),
        ("localhost", true, &right, true),
        ("localhost", true, &wrong, false),
        ("127.0.0.1", true, &right, false),
    ] {
        let mut settings = Single::new(Address::new(host, server.tls_address().port()));
        settings.timeout = LONG;
        settings.tls = Some(Tls { verify });
        let clients = clients(Some(trusted.clone()));
        let client = clients.get(&Settings::Single(settings)).unwrap();
        let outcome = incr(&client, "k").await;
        let case = format!("{host} {verify} {}: {outcome:?}", trusted.display());
        assert_eq!(outcome.is_ok(), is_trusted, "{case}");
        if let Err(error) = outcome {
            let text = error.to_string();
            assert!(text.starts_with("failed to do ssl handshake: "), "{text}");
        }
    }
}

#[tokio::test]
async fn a_plain_server_is_no_tls_server() {
    let server = Redis::start();
    let mut settings = Single::new(Address::new("127.0.0.1", server.port()));
    settings.timeout = SHORT;
    settings.tls = Some(Tls { verify: false });
    let client = clients(None).get(&Settings::Single(settings)).unwrap();
    // It waits for the end of a line.
    let error = incr(&client, "k").await.unwrap_err();
    assert_eq!(error.to_string(), "timeout");
    assert!(error.is_unrun());
}

#[test]
fn says_that_roots_cannot_be_read() {
    let mut settings = Single::new(Address::new("127.0.0.1", 1));
    settings.tls = Some(Tls { verify: true });
    let settings = Settings::Single(settings);
    let missing = tempfile::tempdir().unwrap().path().join("none.pem");
    assert!(clients(Some(missing)).get(&settings).is_err());
}
