//! Which plugins are switched on: `plugins` and `stream_plugins` of `config.yaml`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::records;

/// The lists. The default is the reference's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLists {
    /// `plugins`
    pub http: Vec<String>,
    /// `stream_plugins`
    pub stream: Vec<String>,
}

/// Reads the lists again; `None` where they cannot be read, which it logs. It may block.
pub type ListSource = Arc<dyn Fn() -> Option<PluginLists> + Send + Sync>;

impl Default for PluginLists {
    fn default() -> Self {
        let on = |records: records::Records, off: &[&str]| {
            let names = records.iter().map(|(name, ..)| *name);
            let on = names.filter(|name| !off.contains(name));
            on.map(str::to_owned).collect()
        };
        Self {
            http: on(records::HTTP, records::HTTP_OFF),
            stream: on(records::STREAM, records::STREAM_OFF),
        }
    }
}

impl PluginLists {
    /// Every plugin there is.
    pub(super) fn every() -> Self {
        let names = |records: records::Records| {
            let names = records.iter().map(|(name, ..)| (*name).to_owned());
            names.collect()
        };
        Self {
            http: names(records::HTTP),
            stream: names(records::STREAM),
        }
    }

    /// What is stored under the key `plugins`, from which nodes without an Admin API take them (`sync_local_conf_to_etcd` in
    /// `apisix/admin/init.lua`).
    pub(super) fn stored(&self) -> Value {
        let http = self.http.iter().map(|name| json!({ "name": name }));
        let stream = self
            .stream
            .iter()
            .map(|name| json!({ "name": name, "stream": true }));
        http.chain(stream).collect()
    }
}
