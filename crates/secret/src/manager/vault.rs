//! Key-value engines of Vault (`apisix/secret/vault.lua`; version 2 is an addition).

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{With, get, quoted};
use crate::{
    LookupError,
    limits::{VAULT_TIMEOUT, VAULT_TIMEOUT_MOST},
    reference::{or_environment, some},
};

/// Where a Vault is and what shows who asks.
#[derive(Deserialize)]
pub(super) struct Vault {
    uri: String,
    prefix: String,
    /// The token, or the variable that holds it.
    token: String,
    #[serde(default)]
    namespace: Option<String>,
    /// Seconds for a request.
    #[serde(default)]
    timeout: Option<f64>,
    #[serde(default)]
    kv_version: Engine,
}

/// Which engine answers below the prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Engine {
    /// Nothing is said: asked as version 1 is, and an answer in the shape of version 2 is understood.
    #[default]
    Either,
    One,
    Two,
}

impl<'de> Deserialize<'de> for Engine {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Option::<u64>::deserialize(from)? {
            None => Ok(Self::Either),
            Some(1) => Ok(Self::One),
            Some(2) => Ok(Self::Two),
            Some(_) => Err(de::Error::custom("kv_version is 1 or 2")),
        }
    }
}

impl fmt::Debug for Vault {
    /// Leaves the token out.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vault")
            .field("uri", &self.uri)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// The last part of the key is the name of a field, the others are the path of the secret.
    pub(super) async fn look_up(&self, key: &str, with: &With) -> Result<Value, LookupError> {
        let (path, field) = key
            .rsplit_once('/')
            .ok_or_else(|| LookupError::KeyFormat(key.into()))?;
        if path.is_empty() {
            return Err(LookupError::NoMainKey(key.into()));
        }
        if field.is_empty() {
            return Err(LookupError::NoSubKey(key.into()));
        }
        let token = or_environment(&with.environment, &self.token);
        let mut request = get(&self.address(path)).map_err(LookupError::Vault)?;
        let headers = [
            ("x-vault-token", Some(&token)),
            ("x-vault-namespace", self.namespace.as_ref()),
        ];
        for (name, value) in headers {
            let Some(value) = value else { continue };
            let value = lockgate_client::secret(value).ok_or_else(|| {
                LookupError::Vault(format!("the value of {name} cannot stand in a header"))
            })?;
            request.headers_mut().insert(name, value);
        }
        let limit = self.timeout.map_or(VAULT_TIMEOUT, |seconds| {
            let limit = Duration::try_from_secs_f64(seconds).unwrap_or(VAULT_TIMEOUT);
            limit.min(VAULT_TIMEOUT_MOST)
        });
        let answer = with
            .send(request, true, limit)
            .await
            .map_err(LookupError::Vault)?;
        let data = serde_json::from_slice::<Value>(answer.body())
            .ok()
            .and_then(|mut answer| answer.get_mut("data").map(Value::take))
            .filter(|data| !matches!(data, Value::Null | Value::Bool(false)));
        let Some(data) = data else {
            let said = if answer.status().is_success() {
                // What went well may hold a secret.
                format!("status {}", answer.status().as_u16())
            } else {
                quoted(answer.body())
            };
            return Err(LookupError::VaultAnswer(said));
        };
        some(self.field(data, field))
    }

    fn address(&self, path: &str) -> String {
        let Self { uri, prefix, .. } = self;
        let below = match self.kv_version {
            Engine::Two => format!("/v1/{prefix}/data/{path}"),
            Engine::One | Engine::Either => format!("/v1/{prefix}/{path}"),
        };
        format!("{uri}{}", normalized(&below))
    }

    fn field(&self, mut data: Value, field: &str) -> Option<Value> {
        let first = match self.kv_version {
            Engine::Two => None,
            Engine::One | Engine::Either => data.get_mut(field).map(Value::take),
        };
        if first.is_some() || self.kv_version == Engine::One {
            return first;
        }
        // Version 2 has the secret one level deeper, beside what it knows of it.
        data.get("metadata").filter(|beside| beside.is_object())?;
        data.get_mut("data")?.get_mut(field).map(Value::take)
    }
}

/// A path without empty parts, `.` and `..`; what goes above the root stays (penlight's `path.normpath`).
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vault(further: &Value) -> Vault {
        let mut stored = json!({"uri": "http://v:8200/mock", "prefix": "/kv//app/", "token": "t"});
        for (key, value) in further.as_object().expect("an object") {
            stored[key] = value.clone();
        }
        serde_json::from_value(stored).expect("valid")
    }

    #[test]
    fn addresses_are_put_in_order() {
        for (further, path, expected) in [
            (json!({}), "jack", "http://v:8200/mock/v1/kv/app/jack"),
            (json!({}), "/a/./b/../c", "http://v:8200/mock/v1/kv/app/a/c"),
            (json!({"prefix": "kv"}), "a", "http://v:8200/mock/v1/kv/a"),
            (
                json!({"kv_version": 1}),
                "a",
                "http://v:8200/mock/v1/kv/app/a",
            ),
            (
                json!({"kv_version": 2}),
                "a",
                "http://v:8200/mock/v1/kv/app/data/a",
            ),
        ] {
            assert_eq!(vault(&further).address(path), expected);
        }
        assert_eq!(normalized("/../a/../../b"), "/../../b");
    }

    #[test]
    fn finds_fields_in_answers_of_both_engines() {
        let one = json!({"key": "a", "data": "b"});
        let two = json!({"data": {"key": "c", "data": "d"}, "metadata": {"version": 4}});
        for (version, data, field, expected) in [
            (json!(null), &one, "key", Some(json!("a"))),
            (json!(null), &one, "data", Some(json!("b"))),
            (json!(null), &one, "none", None),
            (json!(null), &two, "key", Some(json!("c"))),
            // As the reference has it: the field of the outer object.
            (json!(null), &two, "metadata", Some(json!({"version": 4}))),
            (json!(1), &two, "key", None),
            (json!(2), &two, "key", Some(json!("c"))),
            (json!(2), &two, "data", Some(json!("d"))),
            (json!(2), &one, "key", None),
        ] {
            let found = vault(&json!({"kv_version": version})).field(data.clone(), field);
            assert_eq!(found, expected, "{version} {field}");
        }
    }
}
