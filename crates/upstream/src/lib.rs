//! Upstreams, compiled: nodes, which one is next, how each is spoken to. Names of nodes are resolved here, in the background.
//!
//! A node set without names is read without any synchronisation; one with names, or from a registry, is swapped when an answer changes. Where the
//! round stands is kept per worker and outlives edits that leave the nodes as they are. How busy and how slow nodes are is the
//! process's own knowledge ([`Registry`]).
//!
//! Read next: `compile.rs`, then `pick.rs` and one of the balancers: `round_robin.rs`, `chash.rs`, `ewma.rs`, `least_conn.rs`.

mod balancer;
mod chash;
mod compile;
mod crc32;
mod ewma;
mod gate;
mod hash_key;
mod health;
mod least_conn;
mod limits;
mod node;
mod pick;
mod pick_beyond;
mod prepared;
mod refresh;
mod registry;
mod retry;
mod round_robin;
mod slow_start;
mod sticky;

pub use compile::{Compile, Compiled, Defaults, UpstreamError, Warning};
pub use gate::{Full, Gate, Inside};
pub use hash_key::HashKey;
pub use lockgate_model::resource::PassHost;
pub use node::{Node, NodeSet, Nodes, hash_of};
pub use pick::{Picked, Tried};
pub use pick_beyond::Room;
pub use prepared::Prepared;
pub use registry::Registry;
pub use retry::Retry;
pub use sticky::Sticky;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use lockgate_http::pool::Keep;
use lockgate_model::resource;
use tokio::sync::watch;

/// Times of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To open the connection, TLS included.
    pub connect: Duration,
    /// Between two writes.
    pub send: Duration,
    /// Between two reads.
    pub read: Duration,
}

impl From<&resource::Timeout> for Timeouts {
    fn from(stored: &resource::Timeout) -> Self {
        let seconds =
            |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_mins(1));
        Self {
            connect: seconds(stored.connect),
            send: seconds(stored.send),
            read: seconds(stored.read),
        }
    }
}

/// A compiled upstream.
#[derive(Debug)]
pub struct Upstream {
    about: Box<About>,
    pass_host: PassHost,
    is_tls: bool,
    host: Box<str>,
    timeouts: Timeouts,
    retries: Option<u32>,
    retry_timeout: Option<Duration>,
    keep: Keep,
    tls: Option<Arc<rustls::ClientConfig>>,
    hash_key: Option<HashKey>,
    /// Set when it is put in force, where it has checks.
    checker: OnceLock<Arc<health::Checker>>,
    /// What goes beyond the reference; `None` for nearly every upstream.
    beyond: Option<Box<Beyond>>,
    source: Source,
}

/// What an upstream is, for people.
#[derive(Debug)]
pub struct About {
    /// Key of the object that it stands in, such as `upstreams/1`.
    pub key: Arc<str>,
    /// What is spoken to the nodes.
    pub scheme: resource::Scheme,
    /// The balancer.
    pub kind: &'static str,
    /// Kind of registry and name of the service, where a registry names the nodes.
    pub service: Option<(String, String)>,
}

/// What goes beyond the reference on the path of a request.
#[derive(Debug, Default)]
pub struct Beyond {
    /// When a request is sent again.
    pub retry: Option<Retry>,
    /// How many requests may be under way.
    pub gate: Option<Gate>,
    /// The cookie that names the node of a client.
    pub sticky: Option<Sticky>,
}

/// Where the nodes come from.
#[derive(Debug)]
enum Source {
    Fixed(NodeSet),
    Named(Box<Named>),
}

/// Nodes that change without an edit: there are names among them, or a registry names them.
#[derive(Debug)]
struct Named {
    current: ArcSwap<NodeSet>,
    /// Becomes true when the registry, and every name, has been asked for once.
    is_resolved: watch::Receiver<bool>,
    origin: Origin,
}

/// Who says which nodes there are.
#[derive(Debug, Clone, PartialEq)]
enum Origin {
    /// The upstream itself.
    Written(Vec<resource::Node>),
    /// A registry of this kind.
    Registry(String, lockgate_discovery::Service),
}

impl Upstream {
    /// What it is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The nodes there are; hold on to them for a whole request.
    #[inline]
    pub fn nodes(&self) -> Nodes<'_> {
        match &self.source {
            Source::Fixed(nodes) => Nodes::Fixed(nodes),
            Source::Named(named) => Nodes::Swapped(named.current.load_full()),
        }
    }

    /// Waits, at most for `limit`, until the registry, and every name of a node, has been asked for once.
    pub async fn resolved(&self, limit: Duration) {
        if let Source::Named(named) = &self.source {
            let mut is_resolved = named.is_resolved.clone();
            // A resolver that is gone will not answer; what there is has to do.
            let _late = tokio::time::timeout(limit, is_resolved.wait_for(|done| *done)).await;
        }
    }

    /// Ends what goes on in the background for an upstream that is gone, though requests may still hold it.
    pub fn retire(&self) {
        if let Some(checker) = self.checker.get() {
            checker.retire();
        }
    }

    /// What the choice of a node depends on, where it depends on the request.
    #[inline]
    pub fn hash_key(&self) -> Option<&HashKey> {
        self.hash_key.as_ref()
    }

    /// Which Host header the nodes see.
    #[inline]
    pub fn pass_host(&self) -> PassHost {
        self.pass_host
    }

    /// The Host header for [`PassHost::Rewrite`].
    #[inline]
    pub fn upstream_host(&self) -> &str {
        &self.host
    }

    /// Times of one attempt.
    #[inline]
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// Further attempts after the first: what is configured, else one for each other node.
    #[inline]
    pub fn retries(&self, nodes: &NodeSet) -> u32 {
        self.retries
            .unwrap_or_else(|| nodes.len().saturating_sub(1) as u32)
    }

    /// How long after the request began another attempt may start.
    #[inline]
    pub fn retry_timeout(&self) -> Option<Duration> {
        self.retry_timeout
    }

    /// What goes beyond the reference.
    #[inline]
    pub fn beyond(&self) -> Option<&Beyond> {
        self.beyond.as_deref()
    }

    /// Limits of kept connections.
    #[inline]
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// Settings of TLS, for the schemes that have it.
    #[inline]
    pub fn tls(&self) -> Option<&Arc<rustls::ClientConfig>> {
        self.tls.as_ref()
    }

    /// Whether the nodes are spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}
