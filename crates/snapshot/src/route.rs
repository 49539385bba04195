//! What a request reads: routes with everything they refer to.

use std::{collections::HashMap, sync::Arc};

use lockgate_plugin::{Chain, PluginSet};
use lockgate_router::Routes;
use lockgate_upstream::{Timeouts, Upstream};

/// One state of the whole configuration, compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// Revision of the store that it shows.
    pub revision: u64,
    /// Which route a request takes.
    pub routes: Routes<Arc<Route>>,
    /// Routes that are stored and switched off, for who asks why they take nothing.
    pub off: Routes<Arc<Off>>,
    /// The plugins of the global rules, which run on every request.
    pub global: Option<Arc<Chain>>,
    /// A global rule waits for a secret that it refers to: no request is to be served without it.
    pub is_waiting: bool,
    /// The plugins of consumer groups, by id.
    pub groups: Arc<HashMap<Arc<str>, Arc<PluginSet>>>,
}

/// A route that takes no requests.
#[derive(Debug)]
pub struct Off {
    /// `route_name`
    pub name: Option<Arc<str>>,
    /// Why it takes none.
    pub why: &'static str,
}

/// A compiled route.
#[derive(Debug)]
pub struct Route {
    /// `route_id`
    pub id: Arc<str>,
    /// `route_name`
    pub name: Option<Arc<str>>,
    /// The service it belongs to.
    pub service: Option<Arc<ServiceFacts>>,
    /// Where requests go.
    pub target: Target,
    /// Timeouts that win over the upstream's.
    pub timeouts: Option<Timeouts>,
    /// Whether `Upgrade` is passed on.
    pub allows_websocket: bool,
    /// Its plugins with those of its plugin configuration and of its service.
    pub plugins: Arc<PluginSet>,
    /// The same as they run; `None` where none does.
    pub chain: Option<Box<Chain>>,
}

/// What a route tells of its service.
#[derive(Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// `service_id`
    pub id: Arc<str>,
    /// `service_name`
    pub name: Option<Arc<str>>,
}

/// Where requests of a route go.
#[derive(Debug, Clone)]
pub enum Target {
    /// To a node of this upstream.
    Upstream(Arc<Upstream>),
    /// The route names an upstream that does not exist: 502.
    NoUpstream,
    /// The upstream that stands in the route, or in its service, shows a certificate that is not there: 502.
    NoCertificate,
    /// The upstream that stands in the route, or in its service, cannot be used: 503.
    Unusable,
    /// The route names a service that does not exist: 404.
    NoService,
    /// The route names a plugin configuration that does not exist: 503.
    NoPluginConfig,
    /// Neither route nor service has an upstream: 503.
    Missing,
}
