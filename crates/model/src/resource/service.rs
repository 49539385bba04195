//! The service: what several routes share.

use serde::Deserialize;

use super::{Plugins, Upstream, optional_id};

/// A service as stored under `/services/{id}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// The identifier; the key's last segment wins over what the value says.
    #[serde(deserialize_with = "optional_id")]
    pub id: Option<String>,
    /// A name for people; also the `service_name` variable.
    pub name: Option<String>,
    /// Hosts for the routes that name none.
    pub hosts: Vec<String>,
    /// Plugins by name; a route's plugin of the same name wins whole.
    pub plugins: Plugins,
    /// A Lua script that replaces the plugins.
    pub script: Option<String>,
    /// The upstream written in place.
    pub upstream: Option<Upstream>,
    /// An upstream by id.
    #[serde(deserialize_with = "optional_id")]
    pub upstream_id: Option<String>,
    /// Whether `Upgrade: websocket` is passed on.
    pub enable_websocket: Option<bool>,
}
