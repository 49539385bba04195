//! Who asks: consumers, and finding them by their credentials.

use std::{
    any::Any,
    collections::HashMap,
    hash::BuildHasher as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use foldhash::fast::{FixedState, RandomState};
use lockgate_schema::is_secret_reference;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::{Compile, ConfigError, PluginSet, compile, limits, node::Part};

/// A consumer as one of its credentials shows it.
#[derive(Debug)]
pub struct Consumer {
    /// `consumer_name`
    pub name: Arc<str>,
    /// `username`, as the upstream is told.
    pub username: Arc<str>,
    /// `consumer_group_id`
    pub group_id: Option<Arc<str>>,
    /// Id of the credential that was shown; `None` where it is written into the consumer.
    pub credential_id: Option<Arc<str>>,
    /// The label `custom_id`.
    pub custom_id: Option<Arc<str>>,
    /// The labels.
    pub labels: Map<String, Value>,
    /// The credential as the plugin compiled it.
    pub credential: Secret,
    /// The plugins of the consumer.
    pub plugins: Arc<PluginSet>,
    /// Revision of the store that wrote the consumer last.
    pub revision: u64,
}

/// A credential without its type.
#[derive(Clone)]
pub struct Secret(pub Arc<dyn Any + Send + Sync>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret")
    }
}

impl Consumer {
    /// The credential, in the type of the plugin that it is for.
    pub fn credential<T: Credential>(&self) -> Option<&T> {
        self.credential.0.downcast_ref()
    }
}

/// The credential of one consumer for a plugin, compiled.
pub trait Credential: Any + Send + Sync + Sized {
    /// The member of its configuration by which it is found, such as `key`.
    const KEY: &'static str;

    /// The credential as users write it, with the defaults of the schema filled in: plain data.
    type Config: DeserializeOwned;

    /// Compiles a credential; secrets are resolved.
    ///
    /// # Errors
    /// It cannot be honoured; the consumer cannot be found by it.
    fn compile(config: Self::Config, cx: &Compile<'_>) -> Result<Self, ConfigError>;
}

/// A type of credentials without its type.
#[derive(Clone, Copy)]
pub struct CredentialType {
    key: &'static str,
    compile: fn(&Value, &Compile<'_>) -> Result<Secret, ConfigError>,
}

impl CredentialType {
    /// Credentials of this type.
    pub const fn of<T: Credential>() -> Self {
        Self {
            key: T::KEY,
            compile: |config, cx| Ok(Secret(Arc::new(T::compile(compile::parse(config)?, cx)?))),
        }
    }

    /// Compiles a credential; the key that it is found by comes first.
    ///
    /// # Errors
    /// It cannot be honoured, or has no key.
    pub fn compile(
        &self,
        config: &Value,
        cx: &Compile<'_>,
    ) -> Result<(Box<[u8]>, Secret), ConfigError> {
        // Else a client that shows the text of the reference would be let in (`create_consume_cache` in `apisix/consumer.lua`).
        if is_unresolved(config) {
            return Err(ConfigError::new("a secret that it refers to has no value"));
        }
        let config = &cx.node.fill(cx.about, Part::Credential, config)?;
        let Some(key) = config.get(self.key).and_then(Value::as_str) else {
            let sentence = format!("missing consumer auth credential '{}'", self.key);
            return Err(ConfigError(sentence));
        };
        let secret = (self.compile)(config, &Compile { config, ..*cx })?;
        Ok((key.as_bytes().into(), secret))
    }
}

/// Whether a reference to a secret is left in a configuration.
fn is_unresolved(config: &Value) -> bool {
    match config {
        Value::String(text) => is_secret_reference(text),
        Value::Array(elements) => elements.iter().any(is_unresolved),
        Value::Object(members) => members.values().any(is_unresolved),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A key as the index has it: beside its consumer, unless it is long, and not somewhere else in memory.
type Key = SmallVec<[u8; limits::CONSUMER_KEY_BYTES]>;

type Shard = HashMap<Key, Arc<Consumer>, RandomState>;

/// A key that leads to a consumer no more; what another has put under it meanwhile stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The key.
    pub key: Box<[u8]>,
    /// Name of the consumer.
    pub name: Arc<str>,
    /// Id of the credential.
    pub credential_id: Option<Arc<str>>,
}

/// Consumers by their credentials for one plugin, or by their names.
///
/// Found in constant time without a lock; a change copies one part in 256 of the index.
#[derive(Debug)]
pub struct Consumers {
    shards: ArcSwap<Vec<Arc<Shard>>>,
    hash: FixedState,
    count: AtomicUsize,
}

impl Default for Consumers {
    fn default() -> Self {
        let shards = (0..limits::CONSUMER_SHARDS)
            .map(|_| Arc::new(Shard::default()))
            .collect();
        Self {
            shards: ArcSwap::from_pointee(shards),
            hash: FixedState::default(),
            count: AtomicUsize::new(0),
        }
    }
}

impl Consumers {
    fn shard_of(&self, key: &[u8]) -> usize {
        (self.hash.hash_one(key) as usize) % limits::CONSUMER_SHARDS
    }

    /// The consumer with this credential, or of this name.
    pub fn find(&self, key: &[u8]) -> Option<Arc<Consumer>> {
        self.shards
            .load()
            .get(self.shard_of(key))?
            .get(key)
            .cloned()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Removes consumers and puts others, all at once; a key that changes hands goes to whom it is put for. For the compiler of
    /// snapshots alone, which is one task.
    pub fn update(
        &self,
        removed: impl IntoIterator<Item = Removed>,
        put: impl IntoIterator<Item = (Box<[u8]>, Arc<Consumer>)>,
    ) {
        let mut shards: Option<Vec<Arc<Shard>>> = None;
        let mut change = |key: &[u8], change: &dyn Fn(&mut Shard)| {
            let shards = shards.get_or_insert_with(|| Vec::clone(&self.shards.load()));
            if let Some(shard) = shards.get_mut(self.shard_of(key)) {
                change(Arc::make_mut(shard));
            }
        };
        for Removed {
            key,
            name,
            credential_id,
        } in removed
        {
            change(&key, &|shard| {
                let is_whose = |found: &Arc<Consumer>| {
                    found.name == name && found.credential_id == credential_id
                };
                if shard.get(&*key).is_some_and(is_whose) {
                    shard.remove(&*key);
                }
            });
        }
        for (key, consumer) in put {
            change(&key, &|shard| {
                shard.insert(Key::from_slice(&key), consumer.clone());
            });
        }
        if let Some(shards) = shards {
            let count = shards.iter().map(|shard| shard.len()).sum();
            self.shards.store(Arc::new(shards));
            self.count.store(count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    #[test]
    fn sees_references_that_are_left_anywhere() {
        for (config, expected) in [
            (json!({"key": "$env://KEY"}), true),
            (json!({"key": "$secret://vault/1/jack/key"}), true),
            (json!({"keys": [1, {"deep": "$ENV://KEY"}]}), true),
            (json!({"key": "$5", "$env://KEY": null}), false),
        ] {
            assert_eq!(is_unresolved(&config), expected, "{config}");
        }
    }

    #[test]
    fn finds_what_was_put_and_not_what_was_removed() {
        let consumers = Consumers::default();
        assert!(consumers.is_empty());
        let key = |number: usize| number.to_string().into_bytes().into_boxed_slice();
        let put = |number: usize| (key(number), testing::consumer(&number.to_string()));
        let removed = |number: usize, name: &str| Removed {
            key: key(number),
            name: name.into(),
            credential_id: None,
        };
        consumers.update([], (0..1000).map(put));
        // The key of 8 is not 7's to take away.
        consumers.update([removed(7, "7"), removed(8, "7")], [put(1000)]);
        assert!(!consumers.is_empty());
        for (number, expected) in [(0, true), (7, false), (8, true), (999, true), (1000, true)] {
            let found = consumers.find(&key(number));
            let name = found.map(|found| found.name.to_string());
            assert_eq!(name, expected.then(|| number.to_string()));
        }
    }
}
