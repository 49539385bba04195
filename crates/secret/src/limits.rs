//! Numbers with a meaning.

use std::time::Duration;

/// How long a value is used before it is looked up anew, where `config.yaml` says nothing (`apisix/secret.lua`).
pub(crate) const TTL: Duration = Duration::from_mins(5);

/// The same for a failure.
pub(crate) const NEG_TTL: Duration = Duration::from_mins(1);

/// How many values, and how many failures, that nothing uses are kept.
pub(crate) const COUNT: usize = 512;

/// A value is looked up at least this long before its time is over, or a tenth of that time if that is less, so that a
/// manager that answers at once is never late.
pub(crate) const AHEAD: Duration = Duration::from_secs(5);

/// Least time between two lookups of one reference, whatever the configuration says: a manager is not to be flooded.
pub(crate) const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// Lookups at a time. A manager that does not answer holds up the others for its timeout only.
pub(crate) const LOOKUPS: usize = 16;

/// Longest for one request to Vault, where the manager's `timeout` says nothing (`apisix/secret/vault.lua`).
pub(crate) const VAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest for one request to Vault, whatever its `timeout` says: one that takes longer will not be answered, and
/// holds one of [`LOOKUPS`].
pub(crate) const VAULT_TIMEOUT_MOST: Duration = Duration::from_mins(10);

/// Longest for one request to AWS or GCP. The reference waits for nginx's 60 s, and a request of a client with it.
pub(crate) const CLOUD_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest answer of a manager that is read. AWS and GCP keep 64 KiB per secret, Vault 1 MiB.
pub(crate) const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Largest file that describes a service account. Those of Google have some 2.5 KiB.
pub(crate) const ACCOUNT_BYTES: u64 = 64 * 1024;

/// How much of a refusing answer stands in an error.
pub(crate) const QUOTED_CHARS: usize = 512;

/// How long before its end an access token is no longer used (`apisix/utils/google-cloud-oauth.lua`).
pub(crate) const TOKEN_MARGIN: Duration = Duration::from_mins(1);

/// How long the assertion of a service account holds (`apisix/utils/google-cloud-oauth.lua`).
pub(crate) const ASSERTION_TIME: Duration = Duration::from_hours(1);
