//! The route: which requests, and what happens to them.

use serde::Deserialize;

use super::{Plugins, Timeout, Upstream, optional_id, optional_integer};

/// A route as stored under `/routes/{id}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Route {
    /// The identifier; the key's last segment wins over what the value says.
    #[serde(deserialize_with = "optional_id")]
    pub id: Option<String>,
    /// A name for people; also the `route_name` variable.
    pub name: Option<String>,
    /// One path; exclusive with `uris`.
    pub uri: Option<String>,
    /// Several paths.
    pub uris: Vec<String>,
    /// One host; exclusive with `hosts`.
    pub host: Option<String>,
    /// Several hosts; `*.example.com` matches any number of labels.
    pub hosts: Vec<String>,
    /// Allowed methods; empty means all.
    pub methods: Vec<String>,
    /// One client address or CIDR block.
    pub remote_addr: Option<String>,
    /// Several client addresses or CIDR blocks.
    pub remote_addrs: Vec<String>,
    /// A `vars` expression, as written.
    pub vars: Option<serde_json::Value>,
    /// A Lua predicate, as written.
    pub filter_func: Option<String>,
    /// Decides among routes of the same path; higher first. Default 0.
    #[serde(deserialize_with = "optional_integer")]
    pub priority: Option<i64>,
    /// 1 serves, 0 hides the route. Default 1.
    #[serde(deserialize_with = "optional_integer")]
    pub status: Option<i64>,
    /// Plugins by name.
    pub plugins: Plugins,
    /// A shared plugin configuration to inherit from.
    #[serde(deserialize_with = "optional_id")]
    pub plugin_config_id: Option<String>,
    /// A Lua script that replaces the plugins.
    pub script: Option<String>,
    /// The upstream written in place.
    pub upstream: Option<Upstream>,
    /// An upstream by id.
    #[serde(deserialize_with = "optional_id")]
    pub upstream_id: Option<String>,
    /// A service by id.
    #[serde(deserialize_with = "optional_id")]
    pub service_id: Option<String>,
    /// Timeouts that win over the upstream's.
    pub timeout: Option<Timeout>,
    /// Whether `Upgrade: websocket` is passed on; a service may also say so.
    pub enable_websocket: Option<bool>,
}

impl Route {
    /// Every path of the route, whichever field names it.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.uri.iter().chain(&self.uris).map(String::as_str)
    }

    /// Every host of the route itself (not of its service).
    pub fn all_hosts(&self) -> impl Iterator<Item = &str> {
        self.host.iter().chain(&self.hosts).map(String::as_str)
    }

    /// Every client address or block.
    pub fn all_remote_addrs(&self) -> impl Iterator<Item = &str> {
        self.remote_addr
            .iter()
            .chain(&self.remote_addrs)
            .map(String::as_str)
    }
}
