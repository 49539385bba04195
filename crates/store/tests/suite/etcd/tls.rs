//! Certificates, both ways.

use std::{fs, path::PathBuf};

use lockgate_net::tls::{ClientTls, client_config};
use lockgate_store::{Etcd, EtcdOptions, Store};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::server::{Server, options};
use crate::writes::{next, write};

/// An authority and what it has signed, in files.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            dir,
            issuer: Issuer::new(params, key),
        }
    }

    /// Certificate and key for a name, PEM.
    fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An etcd with a certificate for `name`, which also serves without TLS for the test itself, and its port with TLS.
    async fn serve(&self, name: &str, asks_clients: bool) -> (Server, u16) {
        let (certificate, key) = self.sign(name, ExtendedKeyUsagePurpose::ServerAuth);
        fs::write(self.file("server.pem"), certificate).unwrap();
        fs::write(self.file("server.key"), key).unwrap();
        let path = |name: &str| self.file(name).display().to_string();
        let flags = [
            "--cert-file".to_owned(),
            path("server.pem"),
            "--key-file".to_owned(),
            path("server.key"),
        ];
        let asking = [
            "--client-cert-auth".to_owned(),
            "--trusted-ca-file".to_owned(),
            path("ca.pem"),
        ];
        let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        if asks_clients {
            flags.extend(asking.iter().map(String::as_str));
        }
        Server::start_with_tls(&flags).await
    }

    fn trusting(&self) -> ClientTls {
        ClientTls {
            verify: true,
            trusted: Some(self.file("ca.pem")),
            ..ClientTls::default()
        }
    }
}

fn over_tls(port: u16, tls: &ClientTls) -> EtcdOptions {
    EtcdOptions {
        tls: Some(client_config(tls).unwrap()),
        ..options(vec![format!("https://127.0.0.1:{port}")])
    }
}

/// Uses a store, all of it.
async fn works(options: EtcdOptions) {
    let store = Etcd::connect(options).await.unwrap();
    let revision = write(&store, "routes/1", "{}").await.revision;
    assert!(!store.list("").await.unwrap().entries.is_empty());
    let mut watch = store.watch(revision - 1).unwrap();
    assert_eq!(next(&mut *watch).await.revision, revision);
    write(&store, "routes/1", "{}").await;
    assert_eq!(next(&mut *watch).await.revision, revision + 1);
}

/// The reason of a failure, with the address taken out.
async fn fails(port: u16, options: EtcdOptions) -> String {
    let refusal = Server::refusal(options).await;
    refusal.replace(&format!("https://127.0.0.1:{port}"), "URL")
}

#[tokio::test]
async fn verifies_etcd_and_can_leave_that() {
    let authority = Authority::new();
    let (_server, port) = authority.serve("127.0.0.1", false).await;
    works(over_tls(port, &authority.trusting())).await;

    let stranger = Authority::new();
    let refusal = fails(port, over_tls(port, &stranger.trusting())).await;
    assert!(
        refusal.starts_with("etcd cannot be reached: URL: TLS: invalid peer certificate: ")
            && refusal
                .contains("signed by nobody who is trusted: apisix.ssl.ssl_trusted_certificate"),
        "{refusal}"
    );
    let careless = ClientTls::default();
    works(over_tls(port, &careless)).await;
}

#[tokio::test]
async fn asks_for_the_name_it_is_told_to() {
    let authority = Authority::new();
    let (_server, port) = authority.serve("etcd.example", false).await;
    let named = EtcdOptions {
        sni: Some("etcd.example".to_owned()),
        ..over_tls(port, &authority.trusting())
    };
    works(named).await;
    let refusal = fails(port, over_tls(port, &authority.trusting())).await;
    assert!(
        refusal.starts_with("etcd cannot be reached: URL: TLS: invalid peer certificate: certificate not valid for name")
            && refusal.contains("has another name than deployment.etcd.host: deployment.etcd.tls.sni"),
        "{refusal}"
    );
}

#[tokio::test]
async fn shows_its_certificate() {
    let authority = Authority::new();
    let (_server, port) = authority.serve("127.0.0.1", true).await;
    let pair = authority.sign("lockgate", ExtendedKeyUsagePurpose::ClientAuth);
    let known = ClientTls {
        client_cert: Some(pair),
        ..authority.trusting()
    };
    works(over_tls(port, &known)).await;

    // The alert may be overtaken by the end of the connection: then only that is known.
    let says_why = |refusal: &str, why: &str| {
        let is_told = refusal.contains("received fatal alert");
        assert!(
            refusal.starts_with("etcd cannot be reached: URL: ")
                && (!is_told || refusal.contains(why)),
            "{refusal}"
        );
    };
    let refusal = fails(port, over_tls(port, &authority.trusting())).await;
    says_why(&refusal, "deployment.etcd.tls.cert");
    let pair = Authority::new().sign("lockgate", ExtendedKeyUsagePurpose::ClientAuth);
    let stranger = ClientTls {
        client_cert: Some(pair),
        ..authority.trusting()
    };
    let refusal = fails(port, over_tls(port, &stranger)).await;
    says_why(&refusal, "etcd refuses the certificate");
}

#[tokio::test]
async fn says_that_tls_is_spoken_on_one_side_only() {
    let authority = Authority::new();
    let (server, port) = authority.serve("127.0.0.1", false).await;
    let refusal = Server::refusal(options(vec![format!("http://127.0.0.1:{port}")])).await;
    assert!(
        refusal.starts_with("etcd cannot be reached: http://127.0.0.1:")
            && refusal.ends_with(": is it an https endpoint?"),
        "{refusal}"
    );
    let refusal = fails(
        server.client_port,
        over_tls(server.client_port, &authority.trusting()),
    )
    .await;
    assert!(
        refusal.starts_with("etcd cannot be reached: URL: TLS: ")
            && refusal.ends_with("is it an http endpoint?"),
        "{refusal}"
    );
}
