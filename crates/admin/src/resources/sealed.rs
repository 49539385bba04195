//! What of an object is encrypted when it is stored (`encrypt_conf` of the kinds in `apisix/admin/`, and `apisix/admin/utils.lua`).

use lockgate_keyring::{Keyring, Part, PluginSecrets, Unread};
use lockgate_store::Entry;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What of the objects of a kind is encrypted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    /// The part that plugins have in it. Metadata is the whole object, else it is about `plugins`.
    pub(super) plugins: Option<Part>,
    /// JSON pointers to private keys, or lists of them.
    pub(super) keys: &'static [&'static str],
}

/// An object of which only the plugins matter.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Holder {
    plugins: Map<String, Value>,
}

impl Sealed {
    /// Nothing is encrypted.
    pub(super) const NOTHING: Self = Self::keys(&[]);

    /// Private keys are.
    pub(super) const fn keys(keys: &'static [&'static str]) -> Self {
        Self {
            plugins: None,
            keys,
        }
    }

    /// Secret fields of plugins are.
    pub(super) const fn plugins(part: Part) -> Self {
        Self {
            plugins: Some(part),
            keys: &[],
        }
    }

    /// Encrypts a checked object.
    pub(super) fn close(
        self,
        secrets: &PluginSecrets,
        keyring: &Keyring,
        id: Option<&str>,
        object: &mut Value,
    ) {
        match self.plugins {
            Some(Part::Metadata) => {
                secrets.encrypt(id.unwrap_or_default(), Part::Metadata, object);
            }
            Some(part) => {
                if let Some(plugins) = plugins(object) {
                    secrets.encrypt_all(plugins, part);
                }
            }
            None => {}
        }
        for pointer in self.keys {
            match object.pointer_mut(pointer) {
                Some(Value::Array(keys)) => {
                    for key in keys {
                        close_key(keyring, key);
                    }
                }
                Some(key) => close_key(keyring, key),
                None => {}
            }
        }
    }

    /// Decrypts the secret fields of plugins in a stored object. Private keys are not shown, or shown encrypted.
    pub(super) fn open(self, secrets: &PluginSecrets, id: &str, object: &mut Value) -> Vec<Unread> {
        match self.plugins {
            Some(Part::Metadata) => secrets.decrypt(id, Part::Metadata, object),
            Some(part) => match plugins(object) {
                Some(plugins) => secrets.decrypt_all(plugins, part),
                None => Vec::new(),
            },
            None => Vec::new(),
        }
    }

    /// Whether a stored object names plugins that have secret fields.
    pub(super) fn is_in(self, secrets: &PluginSecrets, id: &str, entry: &Entry) -> bool {
        match self.plugins {
            Some(Part::Metadata) => secrets.has_fields(id, Part::Metadata),
            Some(part) => {
                let holder: Holder = serde_json::from_slice(&entry.value).unwrap_or_default();
                let mut names = holder.plugins.keys();
                names.any(|name| secrets.has_fields(name, part))
            }
            None => false,
        }
    }

    /// Whether listings show what is encrypted. The reference decrypts metadata only where one object is asked for.
    pub(super) fn stays_in_lists(self) -> bool {
        self.plugins == Some(Part::Metadata)
    }
}

fn plugins(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("plugins").and_then(Value::as_object_mut)
}

fn close_key(keyring: &Keyring, key: &mut Value) {
    if let Value::String(key) = key {
        *key = keyring.encrypt_private_key(key).into_owned();
    }
}
