//! Certificates for origins.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// A self-signed certificate and its key.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate, PEM.
    pub pem: String,
    /// The same, DER.
    pub der: Vec<u8>,
    /// Its private key, PEM.
    pub key: String,
    pub(crate) config: Arc<ServerConfig>,
}

impl Certificate {
    /// A certificate for these names.
    ///
    /// # Panics
    /// A name is none.
    pub fn of(names: &[&str]) -> Self {
        Self::asking(names, &[])
    }

    /// The same, of a server that asks for one of these certificates where there are any.
    ///
    /// # Panics
    /// A name is none.
    pub fn asking(names: &[&str], clients: &[&Certificate]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("a certificate");
        let key = signing_key.serialize_pem();
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if clients.is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for client in clients {
                let der = CertificateDer::from_pem_slice(client.pem.as_bytes());
                roots.add(der.expect("a certificate")).expect("a root");
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        };
        let config = builder
            .with_single_cert(vec![cert.der().clone()], private)
            .expect("a server");
        Self {
            pem: cert.pem(),
            der: cert.der().to_vec(),
            key,
            config: Arc::new(config),
        }
    }
}
