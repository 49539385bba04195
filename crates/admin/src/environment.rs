//! What checks of objects depend on besides the objects: settings of this process.

use std::collections::BTreeSet;

use lockgate_keyring::{Keyring, PluginSecrets};
use serde_json::Value;

use crate::plugins::Plugins;

/// Settings that decide whether an object is accepted; the names of `config.yaml` are given with each. The default is what the reference has
/// without a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `apisix.proxy_cache.zones`; `None` where there is no `proxy_cache` at all, and then any zone is accepted.
    pub cache_zones: Option<Vec<CacheZone>>,
    /// `apisix.proxy_mode` names `stream`: stream routes can be stored.
    pub has_stream_mode: bool,
    /// `apisix.data_encryption.enable_encrypt_fields`, in a process whose store is no file: secret fields of plugins are encrypted.
    pub encrypts: bool,
    /// `apisix.data_encryption.keyring`. Private keys are encrypted with it whatever `encrypts` says.
    pub keyring: Keyring,
    /// `plugins`: others are unknown. `None` where every plugin may be named.
    pub plugins: Option<BTreeSet<String>>,
    /// `stream_plugins`, as `plugins`.
    pub stream_plugins: Option<BTreeSet<String>>,
    /// What the HTTP plugins that are built in say of their configurations beyond their schemas.
    pub built_in: BuiltIn,
}

/// Checks a configuration, which has the defaults of its schema, of the HTTP plugin of a name; one that is not built in takes any. An
/// error is one sentence for whoever wrote it.
#[derive(Clone, Copy)]
pub struct BuiltIn(pub fn(&str, &Value) -> Result<(), String>);

/// A process has one set of plugins: it makes no difference between environments.
impl PartialEq for BuiltIn {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for BuiltIn {}

impl std::fmt::Debug for BuiltIn {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("BuiltIn")
    }
}

/// One of `apisix.proxy_cache.zones`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheZone {
    /// `name`
    pub name: String,
    /// It has a `disk_path`; else it is in memory.
    pub is_on_disk: bool,
}

impl Default for Environment {
    fn default() -> Self {
        let zone = |name: &str, is_on_disk| CacheZone {
            name: name.to_owned(),
            is_on_disk,
        };
        Self {
            cache_zones: Some(vec![
                zone("disk_cache_one", true),
                zone("memory_cache", false),
            ]),
            has_stream_mode: false,
            encrypts: true,
            keyring: Keyring::new(["qeddd145sfvddff3", "edd1c9f0985e76a2"]),
            plugins: None,
            stream_plugins: None,
            built_in: BuiltIn(|_, _| Ok(())),
        }
    }
}

impl Environment {
    /// Asks a plugin that is built in about a configuration.
    pub(crate) fn ask(&self, name: &str, config: &Value) -> Result<(), String> {
        (self.built_in.0)(name, config)
    }

    /// What encrypts and decrypts the secret fields of plugins; it leaves everything as it is where none are encrypted.
    pub fn plugin_secrets(&self) -> PluginSecrets {
        if self.encrypts {
            PluginSecrets::new(self.keyring.clone(), Plugins::default().secret_fields())
        } else {
            PluginSecrets::default()
        }
    }
}
