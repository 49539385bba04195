//! Nodes that are new or recovered get their share of the traffic bit by bit (`lockgate.slow_start`).

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use lockgate_net::clock::monotonic_us;

use crate::limits::SLOW_START_MIN;

/// When a node began to be used, in microseconds of the system's monotonic clock.
#[derive(Debug)]
pub(crate) struct Start(AtomicU64);

impl Start {
    fn now() -> Self {
        Self(AtomicU64::new(monotonic_us()))
    }

    /// The node has recovered.
    pub(crate) fn again(&self) {
        self.0.store(monotonic_us(), Relaxed);
    }

    /// Which part of its weight the node has, when the whole is reached after `window`.
    pub(crate) fn share(&self, now_us: u64, window: Duration) -> f32 {
        let since_us = now_us.saturating_sub(self.0.load(Relaxed));
        let share = since_us as f32 / window.as_micros() as f32;
        share.max(SLOW_START_MIN)
    }
}

/// The begin of each node of each upstream, as long as somebody holds it.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    known: Mutex<HashMap<Place, Weak<Start>>>,
}

/// An upstream's key, and an address.
type Place = (Arc<str>, SocketAddr);

impl Starts {
    /// The begins of an upstream's addresses: those that are known, and now for the others.
    pub(crate) fn of(
        &self,
        upstream: &Arc<str>,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Box<[Arc<Start>]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, start| start.strong_count() > 0);
        let begins = addresses.map(|address| {
            let key = (upstream.clone(), address);
            known.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
                let start = Arc::new(Start::now());
                known.insert(key, Arc::downgrade(&start));
                start
            })
        });
        begins.collect()
    }
}
