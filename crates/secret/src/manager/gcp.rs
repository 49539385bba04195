//! Google Cloud's Secret Manager (`apisix/secret/gcp.lua`).

use std::{fmt, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, sync::Mutex};

use super::{With, get, google_token::Token, quoted};
use crate::{
    LookupError,
    error::ManagerError,
    limits::{ACCOUNT_BYTES, CLOUD_TIMEOUT},
    reference::{field, some},
};

/// Which service account, and where it is described.
#[derive(Debug)]
pub(super) struct Gcp {
    account: Source,
    is_verified: bool,
    /// Held while a token is asked for: whoever else wants one waits for the same answer.
    token: Mutex<Option<Token>>,
}

#[derive(Debug)]
enum Source {
    Stored(Account),
    File(String),
}

/// A service account.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Account {
    pub(super) client_email: String,
    pub(super) private_key: String,
    project_id: String,
    #[serde(default = "default_token_uri")]
    pub(super) token_uri: String,
    /// Scopes, parted by spaces.
    #[serde(default = "default_scope", deserialize_with = "scope")]
    pub(super) scope: String,
    #[serde(default = "default_entries_uri")]
    entries_uri: String,
}

fn default_token_uri() -> String {
    "https://oauth2.googleapis.com/token".into()
}

fn default_entries_uri() -> String {
    "https://secretmanager.googleapis.com/v1".into()
}

fn default_scope() -> String {
    "https://www.googleapis.com/auth/cloud-platform".into()
}

/// Reads one text or a list of them. Nothing else says it can be either but the helper of the reference.
fn scope<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(default_scope()),
        Value::String(scope) => Ok(scope),
        list => Vec::<String>::deserialize(list)
            .map(|scopes| scopes.join(" "))
            .map_err(serde::de::Error::custom),
    }
}

impl fmt::Debug for Account {
    /// Leaves the key out.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Account")
            .field("client_email", &self.client_email)
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Reads one, with the reference's words for what is missing.
    fn read(stored: Value) -> Result<Self, String> {
        for name in ["client_email", "private_key", "project_id"] {
            if stored.get(name).is_none() {
                return Err(format!(
                    "property \"auth_config\" validation failed: property \"{name}\" is required"
                ));
            }
        }
        serde_json::from_value(stored).map_err(|error| error.to_string())
    }
}

impl Gcp {
    /// Reads what is stored.
    pub(super) fn read(mut stored: Value) -> Result<Self, ManagerError> {
        let mut take = |name: &str| stored.get_mut(name).map(Value::take);
        let is_verified = !matches!(take("ssl_verify"), Some(Value::Bool(false)));
        let account = match (take("auth_config"), take("auth_file")) {
            (Some(account), None) => Account::read(account)
                .map(Source::Stored)
                .map_err(ManagerError::Malformed)?,
            (None, Some(Value::String(path))) => Source::File(path),
            _ => {
                let none = "value should match only one schema, but matches none";
                return Err(ManagerError::Malformed(none.into()));
            }
        };
        Ok(Self {
            account,
            is_verified,
            token: Mutex::default(),
        })
    }

    /// The key is the name of a secret, or one with a field behind its first slash.
    pub(super) async fn look_up(&self, key: &str, with: &With) -> Result<Value, LookupError> {
        let (name, wanted) = key
            .split_once('/')
            .map_or((key, None), |(name, wanted)| (name, Some(wanted)));
        if name.is_empty() {
            return Err(LookupError::NoMainKey(key.into()));
        }
        let text = self.secret(name, with).await.map_err(LookupError::Gcp)?;
        let Some(wanted) = wanted else {
            return Ok(Value::String(text));
        };
        some(field(&text, wanted).map_err(LookupError::Decode)?)
    }

    async fn secret(&self, name: &str, with: &With) -> Result<String, String> {
        let account = self.account().await?;
        let authorization = self
            .authorization(&account, with)
            .await
            .map_err(|why| format!("failed to get google oauth token: {why}"))?;
        let Account {
            entries_uri,
            project_id,
            ..
        } = &account;
        let mut request = get(&format!(
            "{entries_uri}/projects/{project_id}/secrets/{name}/versions/latest:access"
        ))?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = with.send(request, self.is_verified, CLOUD_TIMEOUT).await?;
        if answer.status() != StatusCode::OK {
            return Err(quoted(answer.body()));
        }
        let body: Value = serde_json::from_slice(answer.body())
            .map_err(|error| format!("failed to parse response data, {error}"))?;
        let data = body.pointer("/payload/data").and_then(Value::as_str);
        let bytes = data.and_then(|data| STANDARD.decode(data).ok());
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| "invalid payload".into())
    }

    async fn account(&self) -> Result<Account, String> {
        let path = match &self.account {
            Source::Stored(account) => return Ok(account.clone()),
            Source::File(path) => path,
        };
        // Read anew for each lookup: the file may have been replaced.
        let text = read_file(path).await.map_err(|error| {
            format!("failed to read configuration, file: {path}, err: {path}: {error}")
        })?;
        serde_json::from_slice(&text)
            .map_err(|error| error.to_string())
            .and_then(Account::read)
            .map_err(|error| format!("config parse failure, file: {path}, err: {error}"))
    }

    /// The header that shows who asks. A token serves until a minute before its end.
    async fn authorization(&self, account: &Account, with: &With) -> Result<HeaderValue, String> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.serves(account)) {
            return Ok(token.authorization.clone());
        }
        let request = Token::request(account)?;
        let answer = with.send(request, self.is_verified, CLOUD_TIMEOUT).await?;
        if answer.status() != StatusCode::OK {
            return Err(quoted(answer.body()));
        }
        let token = Token::read(account, answer.body())?;
        Ok(kept.insert(token).authorization.clone())
    }
}

/// Reads a file that must be one, and no longer than an account is: the path is the manager's.
async fn read_file(path: &str) -> io::Result<Vec<u8>> {
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = tokio::fs::File::open(path).await?;
    let mut text = Vec::new();
    file.take(ACCOUNT_BYTES + 1).read_to_end(&mut text).await?;
    if text.len() as u64 > ACCOUNT_BYTES {
        return Err(io::Error::other("it is longer than 64 KiB"));
    }
    Ok(text)
}
