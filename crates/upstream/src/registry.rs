//! What belongs to the process and not to one compiled upstream: it outlives edits, and all workers share it.

use std::sync::Arc;

use crate::{ewma::Latencies, least_conn::Loads};

/// What is known of nodes beyond their configuration. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    latencies: Latencies,
    loads: Loads,
}

impl Registry {
    pub(crate) fn latencies(&self) -> &Latencies {
        &self.inner.latencies
    }

    pub(crate) fn loads(&self) -> &Loads {
        &self.inner.loads
    }
}
