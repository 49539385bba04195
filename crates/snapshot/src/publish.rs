//! The newest snapshot, for workers to pick up.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;

use crate::Snapshot;

/// Holds the newest snapshot. Readers compare the version, which costs a load, and take the snapshot only when it changed.
#[derive(Debug)]
pub struct Published {
    snapshot: ArcSwap<Snapshot>,
    version: AtomicU64,
}

impl Published {
    /// Begins with this snapshot as version 1.
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            version: AtomicU64::new(1),
        }
    }

    /// Replaces the snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        // Release: who sees the version sees the snapshot, or a newer one.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Counts the snapshots published.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The newest snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}
