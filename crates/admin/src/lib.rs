//! Admin API, control API and status API.
//!
//! They speak to people and scripts, not to traffic: hyper serves them on the control runtime. They reach the data plane only
//! through the store. Read `admin.rs` first: it is the table of what goes where; `resources/mod.rs` lists the kinds of objects.

mod admin;
mod args;
mod auth;
mod config_validate;
mod control;
mod envelope;
mod environment;
mod json;
mod key_pair;
mod limits;
mod log_limit;
mod lua_syntax;
mod lua_value;
mod metrics;
mod options;
mod paging;
mod patch;
mod path;
mod plugins;
mod protobuf;
mod real_ip;
mod request;
mod resources;
mod response;
mod schema_api;
mod schemas;
mod server;
mod standalone;
mod status;
mod tls;
mod ui;
mod write_deadline;

pub use admin::{Admin, Clock};
pub use control::Control;
pub use environment::{BuiltIn, CacheZone, Environment};
pub use metrics::{MetricsApi, MetricsPieces, MetricsText};
pub use options::{
    AdminKey, AdminOptions, ControlOptions, Discovered, DiscoveryReport, ExplainReport,
    HealthReport, Problem, ProblemReport, Readiness, Role,
};
pub use plugins::{ListSource, PluginLists, Plugins};
pub use real_ip::RealIp;
pub use standalone::{Configs, InForce, Loader};
pub use status::StatusApi;
pub use tls::{AdminTls, TlsError, TlsFiles};

use std::{future::Future, io, sync::Arc};

use tokio::net::TcpListener;

impl Admin {
    /// Serves connections of `listener` until `stop` resolves; requests begun by then are answered.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        server::serve(self, listener, None, limits::CONNECTIONS, stop).await
    }

    /// The same over HTTPS.
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub async fn serve_tls(
        self: Arc<Self>,
        listener: TcpListener,
        tls: AdminTls,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        server::serve(self, listener, Some(tls), limits::CONNECTIONS, stop).await
    }
}

impl Control {
    /// Serves connections of `listener` until `stop` resolves.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        server::serve(self, listener, None, limits::CONNECTIONS, stop).await
    }
}

impl StatusApi {
    /// Serves connections of `listener` until `stop` resolves.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        server::serve(self, listener, None, limits::CONNECTIONS, stop).await
    }
}

impl MetricsApi {
    /// Serves connections of `listener` until `stop` resolves.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        server::serve(self, listener, None, limits::METRICS_CONNECTIONS, stop).await
    }
}
