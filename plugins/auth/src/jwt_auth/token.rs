//! Tokens: a JWS in its compact form (RFC 7515 §7.1) whose payload is a set of claims (RFC 7519).
//!
//! Here a token is taken apart, and nothing in it is believed: `key.rs` verifies signatures, `claims.rs` what is claimed.

use serde_json::Value;

use crate::encoding;

/// A token that has been taken apart.
#[derive(Debug)]
pub struct Token<'t> {
    /// What the signature is over: header and payload as they came.
    signed: &'t [u8],
    /// As it came.
    signature: &'t [u8],
    header: Value,
    payload: Vec<u8>,
    claims: Value,
}

/// Why something is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not consist of three parts.
    #[error("invalid jwt string")]
    Parts,
    /// Its first part is no JSON in base64.
    #[error("invalid header")]
    Header,
    /// Its second part is no JSON in base64.
    #[error("invalid payload")]
    Payload,
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &'t [u8]) -> Result<Self, TokenError> {
        let mut parts = text.split(|byte| *byte == b'.');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (Some(header), Some(payload), Some(signature), None) =
            (part(), part(), part(), parts.next())
        else {
            return Err(TokenError::Parts);
        };
        let signed = text.get(..=header.len() + payload.len());
        let header = encoding::either(header)
            .and_then(|header| serde_json::from_slice(&header).ok())
            .ok_or(TokenError::Header)?;
        let payload = encoding::either(payload).ok_or(TokenError::Payload)?;
        let claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Payload)?;
        Ok(Self {
            signed: signed.unwrap_or_default(),
            signature,
            header,
            payload,
            claims,
        })
    }

    /// The algorithm that it says it is signed with.
    pub fn algorithm(&self) -> Option<&str> {
        self.header.get("alg")?.as_str()
    }

    /// A claim.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// What the signature is over.
    pub fn signed(&self) -> &'t [u8] {
        self.signed
    }

    /// The signature, decoded; `None` where it is not in the base64 of URLs.
    pub fn signature(&self) -> Option<Vec<u8>> {
        encoding::url(self.signature)
    }

    /// The claims, as JSON as they came.
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn token(header: &str, payload: &str, signature: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{signature}", encode(header), encode(payload))
    }

    #[test]
    fn takes_tokens_apart() {
        let text = token(r#"{"alg":"none"}"#, r#"{"key":"a","exp":1}"#, "YWJj");
        let token = Token::parse(text.as_bytes()).expect("a token");
        assert_eq!(token.algorithm(), Some("none"));
        assert_eq!(token.claim("key"), Some(&json!("a")));
        assert_eq!(token.claim("nbf"), None);
        let signed = text.strip_suffix(".YWJj").expect("signed");
        assert_eq!(token.signed(), signed.as_bytes());
        assert_eq!(token.signature().as_deref(), Some(&b"abc"[..]));
        assert_eq!(token.into_payload(), br#"{"key":"a","exp":1}"#);
    }

    #[test]
    fn says_what_is_no_token() {
        let good = token("{}", "{}", "YQ");
        for (text, expected) in [
            (good.clone(), None),
            (String::new(), Some(TokenError::Parts)),
            (".".into(), Some(TokenError::Parts)),
            ("a.b".into(), Some(TokenError::Parts)),
            ("a.b.".into(), Some(TokenError::Parts)),
            ("..".into(), Some(TokenError::Parts)),
            (format!("{good}."), Some(TokenError::Parts)),
            (format!(".{good}"), Some(TokenError::Parts)),
            ("a.b.c.d.e".into(), Some(TokenError::Parts)),
            (format!("in-{good}"), Some(TokenError::Header)),
            (token("{", "{}", "YQ"), Some(TokenError::Header)),
            (token("{}{}", "{}", "YQ"), Some(TokenError::Header)),
            (token("{}", "{", "YQ"), Some(TokenError::Payload)),
            (format!("e30.@.{good}"), Some(TokenError::Parts)),
            ("e30.@.YQ".into(), Some(TokenError::Payload)),
            // As some write them, with padding or in the alphabet of mail.
            ("e30=.e30=.YQ".into(), None),
            ("eyLDvz8/IjoxfQ.e30.YQ".into(), None),
        ] {
            let error = Token::parse(text.as_bytes()).err();
            assert_eq!(error, expected, "{text}");
        }
    }

    #[test]
    fn finds_nothing_in_what_is_no_object() {
        for text in ["[]", "1", "null", "false", r#""alg""#] {
            let text = token(text, text, "YQ");
            let token = Token::parse(text.as_bytes()).expect("a token");
            assert_eq!((token.algorithm(), token.claim("key")), (None, None));
        }
        let text = token(r#"{"alg":1}"#, "{}", "@@@@");
        let token = Token::parse(text.as_bytes()).expect("a token");
        assert_eq!((token.algorithm(), token.signature()), (None, None));
    }
}
