//! TLS towards upstreams (rustls on aws-lc-rs).

mod unverified;

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use thiserror::Error;

/// How a connection to a node is secured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClientTls {
    /// Whether the node must prove its name. The reference does not ask (`proxy_ssl_verify off`).
    pub verify: bool,
    /// Certificate chain and private key to show, PEM.
    pub client_cert: Option<(String, String)>,
    /// File of trusted roots, PEM; `None` for the system's.
    pub trusted: Option<PathBuf>,
}

/// TLS settings that cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The client certificate or its key is not PEM, or they do not belong together.
    #[error("the client certificate cannot be used: {0}")]
    ClientCert(String),
    /// No trusted root can be read.
    #[error("the trusted certificates cannot be read: {0}")]
    Trusted(String),
    /// The protocol versions are not offered by the provider.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Builds the settings of a TLS client; sessions are resumed among all connections that share them.
///
/// # Errors
/// See [`TlsError`].
pub fn client_config(tls: &ClientTls) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = if tls.verify {
        builder.with_root_certificates(roots(tls)?)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(unverified::AnyCertificate::new(provider)))
    };
    let mut config = match &tls.client_cert {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let wrong = |error: &dyn std::fmt::Display| TlsError::ClientCert(error.to_string());
            let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|error| wrong(&error))?;
            let key =
                PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| wrong(&error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong(&error))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(tls: &ClientTls) -> Result<RootCertStore, TlsError> {
    let unreadable = |error: &dyn std::fmt::Display| TlsError::Trusted(error.to_string());
    let certificates: Vec<CertificateDer<'static>> = match &tls.trusted {
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| unreadable(&format_args!("{}: {error}", path.display())))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(unreadable(&"there is none"));
    }
    Ok(roots)
}

/// The name to ask for in a handshake; `None` for what is neither a DNS name nor an address.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    ServerName::try_from(bare.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// Shakes hands with a server that has `names` in its certificate; what the server saw as SNI.
    async fn shake(
        tls: &dyn Fn(&str) -> ClientTls,
        names: &[&str],
        asked: &str,
    ) -> Result<Option<String>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("certificate");
        let pem = cert.pem();
        let key =
            PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).expect("key");
        let server =
            rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key)
                .expect("server");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let address = listener.local_addr().expect("bound");
        let serving = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.ok()?;
            let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(server))
                .accept(tcp)
                .await
                .ok()?;
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            stream.write_all(b"x").await.ok()?;
            name
        });
        let config = client_config(&tls(&pem)).map_err(|error| error.to_string())?;
        let name = server_name(asked).expect("name");
        let tcp = TcpStream::connect(address).await.expect("connected");
        let mut stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|error| error.to_string())?;
        stream.read_u8().await.map_err(|error| error.to_string())?;
        Ok(serving.await.expect("server"))
    }

    #[tokio::test]
    async fn accepts_any_certificate_unless_told_to_verify() {
        let seen = shake(&|_| ClientTls::default(), &["other.com"], "a.com").await;
        assert_eq!(seen, Ok(Some("a.com".to_owned())));
        let refused = shake(
            &|_| ClientTls {
                verify: true,
                ..ClientTls::default()
            },
            &["a.com"],
            "a.com",
        )
        .await;
        assert!(refused.is_err(), "{refused:?}");
    }

    #[tokio::test]
    async fn verifies_against_the_given_roots() {
        let dir = std::env::temp_dir().join(format!("lockgate-roots-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("directory");
        let path = dir.join("roots.pem");
        let trusting = |pem: &str| {
            std::fs::write(&path, pem).expect("written");
            ClientTls {
                verify: true,
                trusted: Some(path.clone()),
                ..ClientTls::default()
            }
        };
        assert_eq!(
            shake(&trusting, &["a.com"], "a.com").await,
            Ok(Some("a.com".to_owned()))
        );
        assert!(shake(&trusting, &["b.com"], "a.com").await.is_err());
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn names_a_bad_certificate() {
        let tls = ClientTls {
            client_cert: Some(("x".into(), "y".into())),
            ..ClientTls::default()
        };
        assert!(matches!(client_config(&tls), Err(TlsError::ClientCert(_))));
        assert!(server_name("not a name").is_none());
        assert!(server_name("[::1]").is_some());
    }
}
