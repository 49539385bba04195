//! What metrics are made of.

use std::sync::Arc;

/// Where a processor's first entry came from; labels of its metric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The route's id; empty where there was none.
    pub route_id: Arc<str>,
    /// The address of the gateway that the request reached; empty where there was none.
    pub server_addr: Arc<str>,
}

/// Counts of all processors with the same name and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name in the settings.
    pub name: Arc<str>,
    /// Of the first entry; empty where it had none, and before it.
    pub route_id: Arc<str>,
    /// Of the first entry; empty where it had none, and before it.
    pub server_addr: Arc<str>,
    /// Entries in batches that are still being filled: the reference's `batch_process_entries`, which it has only where
    /// `route_id` and `server_addr` are known and batches have more than one entry.
    pub waiting: u64,
    /// Entries that were neither sent nor given up so far; those that wait are among them.
    pub pending: u64,
    /// Entries that the sender took.
    pub sent: u64,
    /// Entries that were refused when they were pushed: too many were pending, or the processor had ended.
    pub dropped: u64,
    /// Entries that were given up: after the last attempt, when the sender panicked, or at the end.
    pub failed: u64,
}

impl Report {
    /// Adds the counts of another processor.
    pub(crate) fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.pending += other.pending;
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.failed += other.failed;
    }
}
