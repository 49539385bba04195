//! HTTPS, and the certificates that clients show.

use std::{net::SocketAddr, path::Path, sync::Arc};

use lockgate_admin::{AdminTls, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    },
};

use crate::gateway::Gateway;

const REQUEST: &str = "GET /apisix/admin/routes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// An authority and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Pair {
    cert: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert, key }
    }
}

fn files(dir: &Path, server: &Pair, clients: Option<&Authority>) -> TlsFiles {
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        cert: write("server.crt", server.cert.pem()),
        key: write("server.key", server.key.serialize_pem()),
        ca: clients.map(|clients| write("ca.crt", clients.0.pem())),
        protocols: "TLSv1.2 TLSv1.3".into(),
        ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384".into(),
    }
}

/// What a client gets that shows this certificate.
async fn ask(address: SocketAddr, trusted: &Authority, shown: Option<&Pair>) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.0.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain: Vec<CertificateDer<'static>> = vec![pair.cert.der().clone()];
            let key = PrivateKeyDer::try_from(pair.key.serialize_der()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("admin.test").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn bad_request(words: &str) -> String {
    format!(
        "<html>\r\n<head><title>400 {words}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n\
         <center>{words}</center>\r\n<hr><center>openresty</center>\r\n"
    )
}

#[track_caller]
fn is_refused(answer: &str, words: &str) {
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(answer.contains(&bad_request(words)), "{answer}");
}

#[tokio::test]
async fn serves_over_https() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("server authority");
    let server = authority.sign("admin.test");
    let tls = AdminTls::load(&files(dir.path(), &server, None)).unwrap();
    let gateway = Gateway::start_tls(tls).await;
    let answer = ask(gateway.address, &authority, None).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let reply = gateway.ask("GET /apisix/admin/routes", "").await;
    assert_eq!(reply.status, 400);
    let page = bad_request("The plain HTTP request was sent to HTTPS port");
    assert!(reply.body.starts_with(&page), "{}", reply.body);
    assert_eq!(reply.field("connection"), Some("close"));
}

#[tokio::test]
async fn a_connection_that_begins_nothing_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("server authority");
    let tls = AdminTls::load(&files(dir.path(), &authority.sign("admin.test"), None)).unwrap();
    let mut gateway = Gateway::start_tls(tls).await;
    let mut silent = TcpStream::connect(gateway.address).await.unwrap();
    // Served, so that the silent one has been accepted.
    ask(gateway.address, &authority, None).await;
    gateway.stop();
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(5), gateway.stopped());
    stopped.await.expect("nothing is waited for");
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_client_without_a_fitting_certificate_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, clients) = (
        Authority::new("server authority"),
        Authority::new("clients"),
    );
    let server = authority.sign("admin.test");
    let tls = AdminTls::load(&files(dir.path(), &server, Some(&clients))).unwrap();
    let gateway = Gateway::start_tls(tls).await;
    let address = gateway.address;
    let answer = ask(address, &authority, Some(&clients.sign("client"))).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let answer = ask(address, &authority, None).await;
    is_refused(&answer, "No required SSL certificate was sent");
    // Of an authority that has the right name alone.
    let stranger = Authority::new("clients").sign("client");
    let answer = ask(address, &authority, Some(&stranger)).await;
    is_refused(&answer, "The SSL certificate error");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("authority");
    let server = authority.sign("admin.test");
    let good = || files(dir.path(), &server, Some(&authority));
    let none = dir.path().join("none.pem");
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let other = dir.path().join("other.key");
    std::fs::write(&other, authority.sign("other").key.serialize_pem()).unwrap();
    let cases = [
        (
            TlsFiles {
                cert: none.clone(),
                ..good()
            },
            "none.pem (deployment.admin.admin_api_mtls.admin_ssl_cert): ",
        ),
        (
            TlsFiles {
                cert: empty.clone(),
                ..good()
            },
            "empty.pem (deployment.admin.admin_api_mtls.admin_ssl_cert): there is no certificate in it",
        ),
        (
            TlsFiles {
                key: empty,
                ..good()
            },
            "empty.pem (deployment.admin.admin_api_mtls.admin_ssl_cert_key): ",
        ),
        (
            TlsFiles {
                ca: Some(none),
                ..good()
            },
            "none.pem (deployment.admin.admin_api_mtls.admin_ssl_ca_cert): ",
        ),
        (
            TlsFiles {
                key: other,
                ..good()
            },
            "the certificate of the Admin API cannot be used",
        ),
        (
            TlsFiles {
                protocols: "TLSv1 TLSv1.1".into(),
                ..good()
            },
            "apisix.ssl.ssl_protocols names neither TLSv1.2 nor TLSv1.3",
        ),
    ];
    assert!(AdminTls::load(&good()).is_ok());
    for (files, expected) in cases {
        let error = AdminTls::load(&files).map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
