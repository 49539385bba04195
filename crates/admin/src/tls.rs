//! TLS of the Admin API: its certificate, and those that clients must show.
//!
//! nginx lets a client without a fitting certificate finish the handshake and answers its request with a page that says why.
//! So the certificate is asked for here without being demanded, and looked at once the handshake is done.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, CipherSuite, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
        SignatureScheme, SupportedProtocolVersion,
        client::danger::HandshakeSignatureValid,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
        server::{
            WebPkiClientVerifier,
            danger::{ClientCertVerified, ClientCertVerifier},
        },
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

/// Where the parts are; the names of `config.yaml` are given with each.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// `deployment.admin.admin_api_mtls.admin_ssl_cert`
    pub cert: PathBuf,
    /// `deployment.admin.admin_api_mtls.admin_ssl_cert_key`
    pub key: PathBuf,
    /// `deployment.admin.admin_api_mtls.admin_ssl_ca_cert`; without it nobody must show a certificate.
    pub ca: Option<PathBuf>,
    /// `apisix.ssl.ssl_protocols`
    pub protocols: String,
    /// `apisix.ssl.ssl_ciphers`, which are those of TLS 1.2.
    pub ciphers: String,
}

/// Why HTTPS cannot be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read {} (deployment.admin.admin_api_mtls.{option}): {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate and its key do not belong together, or are of no use.
    #[error("the certificate of the Admin API cannot be used: {0}")]
    Pair(#[source] rustls::Error),
    /// The authority cannot be used.
    #[error("the authority of clients of the Admin API cannot be used: {0}")]
    Authority(String),
    /// No version of TLS is left.
    #[error("apisix.ssl.ssl_protocols names neither TLSv1.2 nor TLSv1.3")]
    Protocols,
}

/// Accepts connections over TLS.
pub struct AdminTls {
    acceptor: TlsAcceptor,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// A connection that requests can come on.
pub(crate) enum Begun {
    /// Over TLS, and why requests are refused.
    Tls(Box<TlsStream<TcpStream>>, Option<Refusal>),
    /// Without TLS.
    Plain(TcpStream),
}

/// Why requests of a connection are refused; the text is nginx's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// A request without TLS on a port for it.
pub(crate) const PLAIN: Refusal = Refusal("The plain HTTP request was sent to HTTPS port");
const NO_CERTIFICATE: Refusal = Refusal("No required SSL certificate was sent");
const BAD_CERTIFICATE: Refusal = Refusal("The SSL certificate error");

impl AdminTls {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(provider(&files.ciphers));
        let versions = versions(&files.protocols)?;
        let clients = match &files.ca {
            Some(path) => Some(authority(path, &provider)?),
            None => None,
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(TlsError::Pair)?;
        let builder = match &clients {
            Some(inner) => builder.with_client_cert_verifier(Arc::new(AnyClient(inner.clone()))),
            None => builder.with_no_client_auth(),
        };
        let chain = certificates(&files.cert, "admin_ssl_cert")?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| unreadable(&files.key, "admin_ssl_cert_key", &error))?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        // As the reference's listener, which speaks no HTTP/2.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            clients,
        })
    }

    /// Shakes hands, unless the client speaks plain HTTP.
    ///
    /// # Errors
    /// The handshake failed, or the client has left before it.
    pub(crate) async fn begin(&self, stream: TcpStream) -> io::Result<Begun> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let [first] = first;
        if !is_tls(first) {
            return Ok(Begun::Plain(stream));
        }
        let stream = self.acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let refusal = self.clients.as_ref().and_then(|clients| match shown {
            Some([own, chain @ ..]) => clients
                .verify_client_cert(own, chain, UnixTime::now())
                .err()
                .map(|_| BAD_CERTIFICATE),
            _ => Some(NO_CERTIFICATE),
        });
        Ok(Begun::Tls(Box::new(stream), refusal))
    }
}

/// Whether a connection begins as TLS does, by its first byte; nginx looks at the same.
fn is_tls(first: u8) -> bool {
    const HANDSHAKE: u8 = 0x16;
    first == HANDSHAKE || first & 0x80 != 0
}

fn unreadable(path: &Path, option: &'static str, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        option,
        reason: error.to_string(),
    }
}

fn certificates(
    path: &Path,
    option: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain: Vec<_> = read.map_err(|error| unreadable(path, option, &error))?;
    if chain.is_empty() {
        return Err(unreadable(path, option, &"there is no certificate in it"));
    }
    Ok(chain)
}

fn authority(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path, "admin_ssl_ca_cert")? {
        roots
            .add(root)
            .map_err(|error| TlsError::Authority(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| TlsError::Authority(error.to_string()))
}

fn versions(names: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let named = |name: &str| names.split_whitespace().any(|named| named == name);
    let known = [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)];
    let versions: Vec<_> = known
        .into_iter()
        .filter(|(name, _)| named(name))
        .map(|(_, version)| version)
        .collect();
    if versions.is_empty() {
        return Err(TlsError::Protocols);
    }
    Ok(versions)
}

/// The ciphers of TLS 1.2 that are named and known; all that are known where none is.
fn provider(names: &str) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let named: Vec<CipherSuite> = names.split(':').filter_map(suite).collect();
    let is_kept = |suite: &rustls::SupportedCipherSuite| {
        suite.tls13().is_some() || named.contains(&suite.suite())
    };
    if !named.is_empty() {
        provider.cipher_suites.retain(is_kept);
    }
    provider
}

/// OpenSSL's names.
fn suite(name: &str) -> Option<CipherSuite> {
    use CipherSuite as S;
    Some(match name {
        "ECDHE-ECDSA-AES128-GCM-SHA256" => S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256" => S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES256-GCM-SHA384" => S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384" => S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-CHACHA20-POLY1305" => S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305" => S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        _ => return None,
    })
}

/// Asks for a certificate and takes any, or none, as long as the client holds its key. What it is worth is judged afterwards.
#[derive(Debug)]
struct AnyClient(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _own: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
