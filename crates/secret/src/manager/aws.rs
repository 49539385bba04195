//! AWS Secrets Manager (`apisix/secret/aws.lua`).

use std::fmt;

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{With, quoted};
use crate::{
    LookupError,
    limits::CLOUD_TIMEOUT,
    reference::{field, or_environment, some},
    sigv4::{Credentials, Scope, sign},
};

/// Which account and region.
#[derive(Deserialize)]
pub(super) struct Aws {
    /// These three may name variables that hold them.
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
    #[serde(default = "default_region")]
    region: String,
    /// Scheme, host and port; a path is ignored, as in the reference.
    #[serde(default)]
    endpoint_url: Option<String>,
}

fn default_region() -> String {
    "us-east-1".into()
}

impl fmt::Debug for Aws {
    /// Leaves the credentials out.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Aws")
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

/// Why one name of a secret was not answered.
enum Refused {
    /// There is no secret of that name: a shorter one may be meant.
    NotFound(String),
    Other(String),
}

impl Aws {
    /// The key is the name of a secret, or one with a field behind it. Names may have slashes: the longest one is tried first.
    pub(super) async fn look_up(&self, key: &str, with: &With) -> Result<Value, LookupError> {
        if key.is_empty() || key.starts_with('/') {
            return Err(LookupError::NoMainKey(key.into()));
        }
        let (mut name, mut wanted) = (key, None);
        loop {
            match self.secret(name, with).await {
                Ok(text) => {
                    let Some(wanted) = wanted else {
                        return Ok(Value::String(text));
                    };
                    return some(field(&text, wanted).map_err(LookupError::Decode)?);
                }
                Err(Refused::Other(why)) => return Err(LookupError::Aws(why)),
                Err(Refused::NotFound(why)) => {
                    let Some(slash) = name.rfind('/') else {
                        return Err(LookupError::Aws(why));
                    };
                    name = key.get(..slash).unwrap_or_default();
                    wanted = key.get(slash + 1..);
                }
            }
        }
    }

    async fn secret(&self, name: &str, with: &With) -> Result<String, Refused> {
        let request = self.request(name, with).map_err(Refused::Other)?;
        let answer = with
            .send(request, true, CLOUD_TIMEOUT)
            .await
            .map_err(Refused::Other)?;
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if answer.status() != StatusCode::OK {
            let status = answer.status().as_u16();
            let why = format!("invalid status code {status}, {}", quoted(answer.body()));
            let kind = body.get("__type").and_then(Value::as_str);
            return Err(
                if kind.is_some_and(|kind| kind.contains("ResourceNotFoundException")) {
                    Refused::NotFound(why)
                } else {
                    Refused::Other(why)
                },
            );
        }
        match body.get("SecretString") {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(Refused::Other("the answer has no SecretString".into())),
        }
    }

    /// `GetSecretValue`, signed.
    fn request(&self, name: &str, with: &With) -> Result<Request<Bytes>, String> {
        let text = |text: &str| or_environment(&with.environment, text);
        let credentials = Credentials {
            access_key_id: text(&self.access_key_id),
            secret_access_key: text(&self.secret_access_key),
            session_token: self.session_token.as_deref().map(text),
        };
        let region = self.region.as_str();
        let (address, host) = self.endpoint()?;
        let body = json!({"SecretId": name, "VersionStage": "AWSCURRENT"}).to_string();
        let mut request = Request::post(address)
            .header(HOST, host)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-amz-json-1.1"),
            )
            .header("x-amz-target", "secretsmanager.GetSecretValue")
            .body(Bytes::from(body))
            .map_err(|error| format!("the request cannot be made: {error}"))?;
        let scope = Scope {
            region,
            service: "secretsmanager",
            time: Timestamp::now(),
        };
        sign(&mut request, &credentials, scope)
            .map_err(|_| "the credentials cannot stand in a header".to_owned())?;
        Ok(request)
    }

    /// The address to ask, and its Host: the port belongs to it where it is not the scheme's own.
    fn endpoint(&self) -> Result<(String, String), String> {
        let default = || format!("https://secretsmanager.{}.amazonaws.com", self.region);
        let text = self.endpoint_url.clone().unwrap_or_else(default);
        let wrong = || format!("{text} is no address");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str().ok_or_else(wrong)?;
        let host = uri.host().ok_or_else(wrong)?;
        let own = if scheme == "https" { 443 } else { 80 };
        let host = match uri.port_u16().filter(|port| *port != own) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok((format!("{scheme}://{host}/"), host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_the_regions_or_the_one_that_is_named() {
        for (stored, expected) in [
            (
                json!({}),
                Ok((
                    "https://secretsmanager.us-east-1.amazonaws.com/",
                    "secretsmanager.us-east-1.amazonaws.com",
                )),
            ),
            (
                json!({"region": "eu-west-3"}),
                Ok((
                    "https://secretsmanager.eu-west-3.amazonaws.com/",
                    "secretsmanager.eu-west-3.amazonaws.com",
                )),
            ),
            (
                json!({"endpoint_url": "http://127.0.0.1:4566/ignored"}),
                Ok(("http://127.0.0.1:4566/", "127.0.0.1:4566")),
            ),
            (
                json!({"endpoint_url": "https://a.test:443"}),
                Ok(("https://a.test/", "a.test")),
            ),
            (
                json!({"endpoint_url": "nowhere"}),
                Err("nowhere is no address"),
            ),
        ] {
            let mut conf = json!({"access_key_id": "a", "secret_access_key": "b"});
            for (key, value) in stored.as_object().expect("an object") {
                conf[key] = value.clone();
            }
            let aws: Aws = serde_json::from_value(conf).expect("valid");
            let expected = expected.map(|(address, host)| (address.to_owned(), host.to_owned()));
            assert_eq!(aws.endpoint(), expected.map_err(str::to_owned));
        }
    }
}
