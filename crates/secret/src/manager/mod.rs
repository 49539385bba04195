//! What keeps secrets: objects under `/secrets/{manager}/{id}`.

mod aws;
mod gcp;
mod google_token;
mod vault;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use lockgate_client::Client;
use serde_json::Value;

use crate::{Environment, LookupError, error::ManagerError, limits::QUOTED_CHARS};

/// A manager as it is stored.
#[derive(Debug)]
pub(crate) struct Manager {
    stored: Value,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Vault(vault::Vault),
    Aws(aws::Aws),
    Gcp(Box<gcp::Gcp>),
}

/// What managers are asked with.
#[derive(Debug)]
pub(crate) struct With {
    pub(crate) environment: Environment,
    /// Verifies certificates; the text says why there is none.
    pub(crate) verified: Result<Client, String>,
    /// Does not.
    pub(crate) unverified: Result<Client, String>,
}

impl Manager {
    /// Reads a stored object by its key below `secrets/`, such as `vault/1`.
    pub(crate) fn read(id: &str, stored: &[u8]) -> Result<Self, ManagerError> {
        let wrong = |error: serde_json::Error| ManagerError::Malformed(error.to_string());
        let (manager, _) = id.split_once('/').ok_or(ManagerError::NoId)?;
        let stored: Value = serde_json::from_slice(stored).map_err(wrong)?;
        if !stored.is_object() {
            return Err(ManagerError::Malformed("it is not an object".into()));
        }
        let value = stored.clone();
        let kind = match manager {
            "vault" => serde_json::from_value(value).map(Kind::Vault),
            "aws" => serde_json::from_value(value).map(Kind::Aws),
            "gcp" => {
                return gcp::Gcp::read(value).map(|gcp| Self {
                    stored,
                    kind: Kind::Gcp(Box::new(gcp)),
                });
            }
            other => return Err(ManagerError::Unknown(other.into())),
        };
        let kind = kind.map_err(wrong)?;
        Ok(Self { stored, kind })
    }

    /// Whether it is stored in the same words.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.stored == other.stored
    }

    /// Asks for a secret.
    pub(crate) async fn look_up(&self, key: &str, with: &With) -> Result<Value, LookupError> {
        match &self.kind {
            Kind::Vault(vault) => vault.look_up(key, with).await,
            Kind::Aws(aws) => aws.look_up(key, with).await,
            Kind::Gcp(gcp) => gcp.look_up(key, with).await,
        }
    }
}

impl With {
    /// Sends a request. Where there is no TLS, no root certificates are needed.
    async fn send(
        &self,
        request: Request<Bytes>,
        is_verified: bool,
        limit: Duration,
    ) -> Result<Response<Bytes>, String> {
        let is_tls = request.uri().scheme_str() == Some("https");
        let client = if is_tls && is_verified {
            &self.verified
        } else {
            &self.unverified
        };
        let client = client.as_ref().map_err(String::clone)?;
        let answer = client.send_within(request, limit).await;
        answer.map_err(|error| error.to_string())
    }
}

/// A request without a body.
fn get(uri: &str) -> Result<Request<Bytes>, String> {
    Request::get(uri)
        .body(Bytes::new())
        .map_err(|error| format!("{uri} cannot be asked: {error}"))
}

/// The beginning of an answer that refuses, for an error.
fn quoted(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .take(QUOTED_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_stored_and_says_what_is_wrong_with_it() {
        for (id, stored, expected) in [
            (
                "vault/1",
                r#"{"uri":"http://a","prefix":"b","token":"c"}"#,
                "",
            ),
            (
                "vault/1",
                r#"{"uri":"http://a","prefix":"b","token":"c","kv_version":2,"timeout":1.5,"id":"1"}"#,
                "",
            ),
            (
                "vault/1",
                r#"{"uri":"http://a","prefix":"b","token":"c","kv_version":3}"#,
                "kv_version is 1 or 2",
            ),
            (
                "vault/1",
                r#"{"uri":"http://a","prefix":"b"}"#,
                "missing field `token`",
            ),
            ("vault/1", "[]", "it is not an object"),
            (
                "vault/1",
                "{",
                "EOF while parsing an object at line 1 column 1",
            ),
            ("vault", "{}", "no secret id"),
            (
                "conjur/1",
                "{}",
                "secret manager not exits, manager: conjur",
            ),
            (
                "aws/1",
                r#"{"access_key_id":"a","secret_access_key":"b"}"#,
                "",
            ),
            (
                "aws/1",
                r#"{"access_key_id":"a"}"#,
                "missing field `secret_access_key`",
            ),
            (
                "gcp/1",
                r#"{"auth_config":{"client_email":"a","private_key":"b","project_id":"c"}}"#,
                "",
            ),
            ("gcp/1", r#"{"auth_file":"a","ssl_verify":false}"#, ""),
            (
                "gcp/1",
                "{}",
                "value should match only one schema, but matches none",
            ),
            (
                "gcp/1",
                r#"{"auth_config":{"client_email":"a"}}"#,
                r#"property "auth_config" validation failed: property "private_key" is required"#,
            ),
        ] {
            let said = Manager::read(id, stored.as_bytes())
                .err()
                .map(|error| error.to_string());
            assert_eq!(said.unwrap_or_default(), expected, "{id} {stored}");
        }
    }

    #[test]
    fn settings_do_not_show_in_debug_output() {
        for (id, stored) in [
            (
                "vault/1",
                r#"{"uri":"http://a","prefix":"b","token":"hush"}"#,
            ),
            (
                "aws/1",
                r#"{"access_key_id":"a","secret_access_key":"hush","session_token":"hush"}"#,
            ),
            (
                "gcp/1",
                r#"{"auth_config":{"client_email":"a","private_key":"hush","project_id":"c"}}"#,
            ),
        ] {
            let manager = Manager::read(id, stored.as_bytes()).expect("valid");
            assert!(!format!("{:?}", manager.kind).contains("hush"), "{id}");
        }
    }
}
