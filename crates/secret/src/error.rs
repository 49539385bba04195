//! Why a reference has no value, in the reference's words.

use thiserror::Error;

/// A reference that cannot be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LookupError {
    /// There is no `/` behind the manager.
    #[error("error format: no secret manager")]
    NoManager,
    /// There is no `/` behind the id.
    #[error("error format: no secret conf id")]
    NoConfId,
    /// Nothing is behind the id.
    #[error("error format: no secret key id")]
    NoKeyId,
    /// No such object is stored under `/secrets`.
    #[error("no secret conf, secret_uri: {0}")]
    NoConf(String),
    /// The lookup went well, and there is no such value. Also what the reference takes for none: `false`.
    #[error("no value")]
    NoValue,
    /// An environment variable is no JSON, and a field of it was asked for. The reference quotes the variable too.
    #[error("decode failed, err: {0}")]
    Environment(String),
    /// The key of Vault has no `/`.
    #[error("error key format, key: {0}")]
    KeyFormat(String),
    /// There is no name of a secret.
    #[error("can't find main key, key: {0}")]
    NoMainKey(String),
    /// There is no name of a field.
    #[error("can't find sub key, key: {0}")]
    NoSubKey(String),
    /// Vault cannot be asked.
    #[error("failed to retrtive data from vault kv engine: {0}")]
    Vault(String),
    /// Vault's answer has no data.
    #[error("failed to decode result, res: {0}")]
    VaultAnswer(String),
    /// AWS cannot be asked, or refuses.
    #[error("failed to retrieve data from aws secret manager: {0}")]
    Aws(String),
    /// GCP cannot be asked, or refuses.
    #[error("failed to retrtive data from gcp secret manager: {0}")]
    Gcp(String),
    /// A secret is no JSON object, and a field of it was asked for. The reference quotes what AWS keeps too.
    #[error("failed to decode result, err: {0}")]
    Decode(String),
}

/// An object under `/secrets` that is none of a manager.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManagerError {
    /// Its key names no manager.
    #[error("no secret id")]
    NoId,
    /// Its key names another manager.
    #[error("secret manager not exits, manager: {0}")]
    Unknown(String),
    /// Its value is not what the manager needs.
    #[error("{0}")]
    Malformed(String),
}
