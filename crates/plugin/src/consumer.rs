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
use serde_json::{Map, Value};

use crate::{Compile, ConfigError, PluginSet, limits, node::Part};

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

    /// Compiles a credential as it is stored, secrets resolved.
    ///
    /// # Errors
    /// It cannot be honoured; the consumer cannot be found by it.
    fn compile(config: &Value, cx: &Compile<'_>) -> Result<Self, ConfigError>;
}

/// A type of credentials without its type.
#[derive(Clone, Copy)]
pub struct CredentialType {
    /// The member by which credentials are found.
    pub key: &'static str,
    compile: fn(&Value, &Compile<'_>) -> Result<Secret, ConfigError>,
}

impl CredentialType {
    /// Credentials of this type.
    pub const fn of<T: Credential>() -> Self {
        Self {
            key: T::KEY,
            compile: |config, cx| Ok(Secret(Arc::new(T::compile(config, cx)?))),
        }
    }

    /// Compiles a credential.
    ///
    /// # Errors
    /// It cannot be honoured.
    pub fn compile(&self, config: &Value, cx: &Compile<'_>) -> Result<Secret, ConfigError> {
        // Else a client that shows the text of the reference would be let in (`create_consume_cache` in `apisix/consumer.lua`).
        if is_unresolved(config) {
            return Err(ConfigError::new("a secret that it refers to has no value"));
        }
        let config = &cx.node.fill(cx.about, Part::Credential, config)?;
        (self.compile)(config, &Compile { config, ..*cx })
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

type Shard = HashMap<Box<[u8]>, Arc<Consumer>, RandomState>;

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

    /// Puts and removes consumers, all at once. For the compiler of snapshots alone, which is one task.
    pub fn update(&self, changes: impl IntoIterator<Item = (Box<[u8]>, Option<Arc<Consumer>>)>) {
        let mut shards = None;
        for (key, consumer) in changes {
            let shards = shards.get_or_insert_with(|| Vec::clone(&self.shards.load()));
            let Some(shard) = shards.get_mut(self.shard_of(&key)) else {
                continue;
            };
            let shard = Arc::make_mut(shard);
            match consumer {
                Some(consumer) => shard.insert(key, consumer),
                None => shard.remove(&key),
            };
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
        let put = |number: usize| (key(number), Some(testing::consumer(&number.to_string())));
        consumers.update((0..1000).map(put));
        consumers.update([(key(7), None), put(1000)]);
        assert!(!consumers.is_empty());
        for (number, expected) in [(0, true), (7, false), (999, true), (1000, true)] {
            let found = consumers.find(&key(number));
            let name = found.map(|found| found.name.to_string());
            assert_eq!(name, expected.then(|| number.to_string()));
        }
    }
}
