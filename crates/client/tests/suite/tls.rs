//! TLS: whose certificate is believed, what is shown, what is asked for.

use std::sync::Arc;

use lockgate_client::{Client, Failure, Options};
use lockgate_net::tls::ClientTls;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use crate::peer::{Peer, Wire, get, options};

/// A certificate for `host.test`, and its key, PEM.
fn certificate() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["host.test".to_owned()]).expect("a certificate");
    (cert.pem(), signing_key.serialize_pem())
}

/// A server that answers with the name that it was asked for; it wants a certificate where it has `clients`.
async fn server((pem, key): &(String, String), clients: Option<&str>) -> Peer {
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add(der(pem)).expect("a root");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = builder.with_single_cert(vec![der(pem)], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a server")));
    Peer::start(move |wire, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(wire.stream).await else {
                return;
            };
            let name = stream.get_ref().1.server_name().unwrap_or("-").to_owned();
            let mut wire = Wire::of(stream);
            while wire.request().await.is_some() {
                wire.answer(&name).await;
            }
        }
    })
    .await
}

async fn ask(peer: &Peer, change: impl FnOnce(&mut Options)) -> Result<String, Failure> {
    let mut options = options();
    change(&mut options);
    let url = format!("https://{}/", peer.address);
    let answer = Client::new(options)
        .expect("a client")
        .send(get(&url))
        .await;
    answer
        .map(|answer| String::from_utf8_lossy(answer.body()).into_owned())
        .map_err(|error| error.failure)
}

#[tokio::test]
async fn believes_the_given_roots_alone_unless_told_not_to_ask() {
    let own = certificate();
    let files = tempfile::tempdir().expect("a directory");
    let roots = files.path().join("ca.pem");
    std::fs::write(&roots, &own.0).expect("written");
    let peer = server(&own, None).await;
    let trusting = |options: &mut Options| options.tls.trusted = Some(roots.clone());

    let failure = ask(&peer, |_| {}).await.expect_err("an unknown issuer");
    assert!(matches!(failure, Failure::Tls(..)), "{failure}");
    let failure = ask(&peer, trusting).await.expect_err("another name");
    assert!(matches!(failure, Failure::Tls(..)), "{failure}");
    let answer = ask(&peer, |options| {
        trusting(options);
        options.sni = Some("host.test".into());
    });
    assert_eq!(answer.await.expect("trust"), "host.test");
    let answer = ask(&peer, |options| options.tls = ClientTls::default());
    assert_eq!(answer.await.expect("no questions"), "-");
}

#[tokio::test]
async fn shows_its_certificate() {
    let (own, clients) = (certificate(), certificate());
    let peer = server(&own, Some(&clients.0)).await;
    let unverified = ClientTls::default();
    let answer = ask(&peer, |options| options.tls = unverified.clone());
    answer.await.expect_err("none was shown");
    let answer = ask(&peer, |options| {
        options.tls = ClientTls {
            client_cert: Some(clients),
            ..unverified
        };
    });
    assert_eq!(answer.await.expect("it was shown"), "-");
}

#[test]
fn reads_its_roots_at_once() {
    let mut options = options();
    options.tls.trusted = Some("/nowhere/ca.pem".into());
    let error = Client::new(options).expect_err("no file").to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
}
