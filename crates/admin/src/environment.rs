//! What checks of objects depend on besides the objects: settings of this process.

/// Settings that decide whether an object is accepted; the names of `config.yaml` are given with each. The default is what the reference has
/// without a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `apisix.proxy_cache.zones`; `None` where there is no `proxy_cache` at all, and then any zone is accepted.
    pub cache_zones: Option<Vec<CacheZone>>,
    /// `apisix.proxy_mode` names `stream`: stream routes can be stored.
    pub has_stream_mode: bool,
    /// `apisix.data_encryption.enable_encrypt_fields`
    pub encrypts: bool,
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
        }
    }
}
