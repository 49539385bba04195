//! What signatures are verified with: secrets and public keys, read once.

use aws_lc_rs::{
    hmac,
    signature::{self, ParsedPublicKey, VerificationAlgorithm},
};
use serde::Deserialize;

use crate::encoding;

/// How tokens are signed (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    ES256,
    ES384,
    ES512,
    PS256,
    PS384,
    PS512,
    EdDSA,
}

/// What is needed to verify with an algorithm.
enum Kind {
    /// A secret that both sides know.
    Shared(hmac::Algorithm),
    /// A public key.
    Public(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    /// Its name in headers of tokens.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Whether the signer's secret is the verifier's.
    pub(super) fn is_shared(self) -> bool {
        matches!(self.kind(), Kind::Shared(_))
    }

    fn kind(self) -> Kind {
        match self {
            Self::HS256 => Kind::Shared(hmac::HMAC_SHA256),
            Self::HS384 => Kind::Shared(hmac::HMAC_SHA384),
            Self::HS512 => Kind::Shared(hmac::HMAC_SHA512),
            // Keys of 1024 bits are still about, and the reference takes them.
            Self::RS256 => Kind::Public(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
            Self::RS384 => Kind::Public(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Kind::Public(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
            Self::ES256 => Kind::Public(&signature::ECDSA_P256_SHA256_FIXED),
            Self::ES384 => Kind::Public(&signature::ECDSA_P384_SHA384_FIXED),
            Self::ES512 => Kind::Public(&signature::ECDSA_P521_SHA512_FIXED),
            Self::PS256 => Kind::Public(&signature::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Kind::Public(&signature::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => Kind::Public(&signature::RSA_PSS_2048_8192_SHA512),
            Self::EdDSA => Kind::Public(&signature::ED25519),
        }
    }
}

/// A key for one algorithm.
pub(super) enum Key {
    Shared(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Key {
    /// The key that this secret, or this public key in PEM, is; `None` where it is none for the algorithm.
    pub(super) fn read(algorithm: Algorithm, text: &[u8]) -> Option<Self> {
        match algorithm.kind() {
            Kind::Shared(algorithm) => {
                Some(Self::Shared(Box::new(hmac::Key::new(algorithm, text))))
            }
            Kind::Public(algorithm) => ParsedPublicKey::new(algorithm, read_pem(text)?)
                .ok()
                .map(Self::Public),
        }
    }

    /// Whether the key's owner has signed this.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Shared(key) => hmac::verify(key, signed, signature).is_ok(),
            Self::Public(key) => key.verify_sig(signed, signature).is_ok(),
        }
    }
}

/// The first public key of a text in PEM (RFC 7468), as DER.
fn read_pem(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    ["PUBLIC KEY", "RSA PUBLIC KEY"].iter().find_map(|label| {
        let (_, inner) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (inner, _) = inner.split_once(&format!("-----END {label}-----"))?;
        let encoded: Vec<u8> = inner
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        encoding::standard(&encoded)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn algorithms_are_read_by_their_names() {
        for name in [
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512",
            "PS256", "PS384", "PS512", "EdDSA",
        ] {
            let algorithm = Algorithm::deserialize(json!(name)).expect(name);
            assert_eq!(algorithm.name(), name);
            assert_eq!(algorithm.is_shared(), name.starts_with("HS"));
        }
        assert!(Algorithm::deserialize(json!("none")).is_err());
    }

    #[test]
    fn reads_keys_out_of_pem() {
        for (text, expected) in [
            (
                "-----BEGIN PUBLIC KEY-----\nYWJj\n-----END PUBLIC KEY-----\n",
                Some(&b"abc"[..]),
            ),
            (
                "-----BEGIN RSA PUBLIC KEY-----\r\nYW\r\nJj\r\n-----END RSA PUBLIC KEY-----",
                Some(b"abc"),
            ),
            (
                "of jack\n-----BEGIN PUBLIC KEY-----YWJj-----END PUBLIC KEY-----",
                Some(b"abc"),
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n",
                None,
            ),
            ("-----BEGIN PUBLIC KEY-----\nYWJj", None),
            (
                "-----BEGIN PUBLIC KEY-----\n@\n-----END PUBLIC KEY-----",
                None,
            ),
            ("YWJj", None),
            ("", None),
        ] {
            assert_eq!(read_pem(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_secret_is_one() {
        let key = Key::read(Algorithm::HS256, b"").expect("a key");
        assert!(!key.verifies(b"signed", b"signature"));
        assert!(Key::read(Algorithm::RS256, b"").is_none());
    }
}
