//! What metrics show of the process: connections of clients, the store, nodes that are checked.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use lockgate_metrics::{Collector, Samples};
use lockgate_plugins::prometheus::Families;
use lockgate_proxy::Totals;
use lockgate_snapshot::Status;
use lockgate_store::Store;
use lockgate_upstream::Registry;

/// How often the store is asked whether it is there; the reference's `refresh_interval`.
const STORE_INTERVAL: Duration = Duration::from_secs(15);

/// Longest for its answer.
const STORE_LIMIT: Duration = Duration::from_secs(5);

/// A key that no object has.
const NO_KEY: &str = "phantomkey";

/// Kinds of objects whose revisions are shown, as the reference calls them, and their keys.
const KINDS: &[&str] = &[
    "consumers",
    "global_rules",
    "protos",
    "routes",
    "services",
    "ssls",
    "stream_routes",
    "upstreams",
];

/// What one generation knows.
pub(crate) struct Process {
    pub(crate) families: Families,
    pub(crate) totals: Totals,
    pub(crate) registry: Registry,
    /// What objects are called in front of their keys.
    pub(crate) prefix: String,
    /// The store, where it is one that objects are written to one by one.
    pub(crate) stored: Option<Stored>,
}

/// What is known of the store.
pub(crate) struct Stored {
    pub(crate) status: Arc<Status>,
    pub(crate) reachable: Reachable,
}

/// Whether the store answered when it was asked last.
#[derive(Debug, Clone)]
pub(crate) struct Reachable(Arc<AtomicBool>);

impl Reachable {
    /// It did: it was just read.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Asks from time to time, until `stop` resolves.
    pub(crate) async fn ask(
        self,
        store: Arc<dyn Store>,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let asking = async {
            loop {
                tokio::time::sleep(STORE_INTERVAL).await;
                let answer = tokio::time::timeout(STORE_LIMIT, store.get(NO_KEY)).await;
                self.0.store(matches!(answer, Ok(Ok(_))), Relaxed);
            }
        };
        tokio::select! {
            () = stop => {}
            () = asking => {}
        }
        Ok(())
    }
}

impl Collector for Process {
    fn collect(&self, samples: &mut Samples) {
        let counts = self.totals.read();
        samples.gauge::<&str>(&self.families.requests, &[], counts.requests as f64);
        for (state, count) in [
            ("accepted", counts.accepted),
            ("active", counts.open),
            ("handled", counts.accepted),
            // A request that is being read counts as one that waits: nothing is kept of it yet.
            ("reading", 0),
            ("waiting", counts.waiting),
            ("writing", counts.open.saturating_sub(counts.waiting)),
        ] {
            samples.gauge(&self.families.connections, &[state], count as f64);
        }
        for upstream in self.registry.health() {
            let name = format!("{}/{}", self.prefix, upstream.key);
            for node in upstream.nodes {
                let labels = [&*name, &*node.ip, &*node.port.to_string()];
                let is_good = f64::from(u8::from(node.status.is_good()));
                samples.gauge(&self.families.upstream_status, &labels, is_good);
            }
        }
        if let Some(stored) = &self.stored {
            stored.collect(&self.families, samples);
        }
    }
}

impl Stored {
    fn collect(&self, families: &Families, samples: &mut Samples) {
        let is_there = f64::from(u8::from(self.reachable.0.load(Relaxed)));
        samples.gauge::<&str>(&families.etcd_reachable, &[], is_there);
        let written = self.status.written();
        let of = |kind: &str| written.get(kind).copied().unwrap_or(0);
        let newest = KINDS.iter().map(|kind| of(kind)).max().unwrap_or(0);
        let revision = self.status.revision();
        let kinds = KINDS.iter().map(|kind| (*kind, of(kind)));
        for (key, index) in kinds.chain([
            ("max_modify_index", newest),
            ("prev_index", revision),
            ("x_etcd_index", revision),
        ]) {
            samples.gauge(&families.etcd_modify_indexes, &[key], index as f64);
        }
    }
}
