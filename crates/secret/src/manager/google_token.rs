//! Access tokens of Google's service accounts (RFC 7523; `apisix/utils/google-cloud-oauth.lua`).

use std::{fmt, time::Duration};

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request, header::CONTENT_TYPE};
use jiff::Timestamp;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::gcp::Account;
use crate::limits::{ASSERTION_TIME, TOKEN_MARGIN};

/// A token that was given.
pub(super) struct Token {
    /// As it is shown.
    pub(super) authorization: HeaderValue,
    account: Account,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    /// Seconds.
    expires_in: f64,
}

impl fmt::Debug for Token {
    /// Leaves the token out.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Token")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Whether it was given to this account and is not about to end.
    pub(super) fn serves(&self, account: &Account) -> bool {
        self.account == *account && Instant::now() < self.until
    }

    /// Asks for one.
    pub(super) fn request(account: &Account) -> Result<Request<Bytes>, String> {
        let assertion = assertion(account, Timestamp::now())?;
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        Request::post(&account.token_uri)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .body(Bytes::from(form))
            .map_err(|error| format!("{} cannot be asked: {error}", account.token_uri))
    }

    /// Reads the answer.
    pub(super) fn read(account: &Account, answer: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|error| format!("failed to parse google oauth response data: {error}"))?;
        let kind = answer.token_type.as_deref().unwrap_or("Bearer");
        let authorization = lockgate_client::secret(&format!("{kind} {}", answer.access_token))
            .ok_or("the token cannot stand in a header")?;
        let lives = Duration::try_from_secs_f64(answer.expires_in).unwrap_or_default();
        Ok(Self {
            authorization,
            account: account.clone(),
            until: Instant::now() + lives.saturating_sub(TOKEN_MARGIN),
        })
    }
}

/// What the account says of itself, signed with its key: a JWT with RS256.
fn assertion(account: &Account, now: Timestamp) -> Result<String, String> {
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let payload = json!({
        "iss": account.client_email,
        "aud": account.token_uri,
        "scope": account.scope,
        "iat": now.as_second(),
        "exp": now.as_second() + ASSERTION_TIME.as_secs().cast_signed(),
    });
    let encoded = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encoded(header), encoded(payload));
    let key = key(&account.private_key)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "the private key cannot sign")?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn key(pem: &str) -> Result<KeyPair, String> {
    let wrong = |why: &dyn fmt::Display| format!("the private key cannot be used: {why}");
    let read = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(der)) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        Ok(PrivateKeyDer::Pkcs1(der)) => KeyPair::from_der(der.secret_pkcs1_der()),
        Ok(_) => return Err(wrong(&"it is not an RSA key")),
        Err(error) => return Err(wrong(&error)),
    };
    read.map_err(|error| wrong(&error))
}
