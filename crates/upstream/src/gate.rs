//! How many requests may be under way at an upstream, and who waits (`lockgate.limits`).

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use lockgate_model::resource::LimitPolicy;
use thiserror::Error;
use tokio::{sync::Notify, time::Instant};

/// The limits of one upstream.
#[derive(Debug)]
pub struct Gate {
    max_requests: u32,
    max_per_node: u32,
    max_pending: u32,
    timeout: Duration,
    state: Arc<State>,
}

/// Outlives edits of the upstream.
#[derive(Debug, Default)]
struct State {
    inside: AtomicU32,
    pending: AtomicU32,
    freed: Notify,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Full {
    /// As many wait as may wait.
    #[error("the upstream is full, and so is its queue")]
    Queue,
    /// It has waited for as long as it may.
    #[error("the upstream stayed full for as long as a request may wait")]
    TimedOut,
}

/// A request that is under way. What it takes is given back when this is dropped.
#[derive(Debug)]
pub struct Inside<'a>(&'a Gate);

impl Gate {
    /// The limits as stored. What is under way since `previous` counts.
    pub(crate) fn new(stored: &LimitPolicy, previous: Option<&Self>) -> Self {
        Self {
            max_requests: stored.max_requests.unwrap_or(u32::MAX),
            max_per_node: stored.max_requests_per_node.unwrap_or(u32::MAX),
            max_pending: stored.max_pending,
            timeout: Duration::try_from_secs_f64(stored.pending_timeout).unwrap_or_default(),
            state: previous.map_or_else(Arc::default, |gate| gate.state.clone()),
        }
    }

    /// Whether a node with so many requests in flight, one's own among them, has too many.
    #[inline]
    pub fn is_over(&self, in_flight: u32) -> bool {
        in_flight > self.max_per_node
    }

    /// Until when a request that begins to wait may wait.
    pub fn patience(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Lets a request in, at once or when another has ended.
    ///
    /// # Errors
    /// See [`Full`].
    pub async fn enter(&self, until: Instant) -> Result<Inside<'_>, Full> {
        self.wait_for(until, || self.try_enter()).await
    }

    fn try_enter(&self) -> Option<Inside<'_>> {
        let entered = |inside: u32| (inside < self.max_requests).then_some(inside + 1);
        self.state
            .inside
            .fetch_update(AcqRel, Relaxed, entered)
            .is_ok()
            // Not `then_some`: what is made and dropped would count as one that has ended.
            .then(|| Inside(self))
    }

    /// Waits until `attempt` succeeds; it is made again whenever a request has ended.
    ///
    /// # Errors
    /// See [`Full`].
    pub async fn wait_for<T>(
        &self,
        until: Instant,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Result<T, Full> {
        if let Some(done) = attempt() {
            return Ok(done);
        }
        let queued = |pending: u32| (pending < self.max_pending).then_some(pending + 1);
        if self
            .state
            .pending
            .fetch_update(AcqRel, Relaxed, queued)
            .is_err()
        {
            return Err(Full::Queue);
        }
        let _queued = Queued(&self.state);
        loop {
            // Made before the attempt: what ends between the two is not missed.
            let freed = self.state.freed.notified();
            if let Some(done) = attempt() {
                // Two may have ended while only one notice was kept.
                self.freed();
                return Ok(done);
            }
            if tokio::time::timeout_at(until, freed).await.is_err() {
                return attempt().ok_or(Full::TimedOut);
            }
        }
    }

    /// Lets one that waits look again: a request has ended at a node.
    #[inline]
    pub fn freed(&self) {
        if self.state.pending.load(Acquire) > 0 {
            self.state.freed.notify_one();
        }
    }
}

/// One that waits.
struct Queued<'a>(&'a State);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, AcqRel);
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.state.inside.fetch_sub(1, AcqRel);
        self.0.freed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(max_requests: u32, max_pending: u32) -> Arc<Gate> {
        let stored = LimitPolicy {
            max_requests: Some(max_requests),
            max_pending,
            ..LimitPolicy::default()
        };
        Arc::new(Gate::new(&stored, None))
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_many_waits_or_is_turned_away() {
        let gate = gate(1, 1);
        let first = gate.enter(gate.patience()).await.expect("room");
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(gate.patience()).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert_eq!(
            gate.enter(gate.patience()).await.err(),
            Some(Full::Queue),
            "one may wait"
        );
        drop(first);
        assert_eq!(waiting.await.expect("no panic"), Ok(()));
        let _held = gate.enter(gate.patience()).await.expect("room again");
        assert_eq!(
            gate.enter(gate.patience()).await.err(),
            Some(Full::TimedOut)
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn there_are_never_too_many_and_nobody_is_forgotten() {
        let gate = gate(3, 1000);
        let now = Arc::new(AtomicU32::new(0));
        let all: Vec<_> = (0..500)
            .map(|_| {
                let (gate, now) = (gate.clone(), now.clone());
                tokio::spawn(async move {
                    let until = Instant::now() + Duration::from_mins(1);
                    let _inside = gate.enter(until).await.expect("a turn");
                    assert!(now.fetch_add(1, AcqRel) < 3);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, AcqRel);
                })
            })
            .collect();
        for one in all {
            one.await.expect("no panic");
        }
        assert_eq!(gate.state.inside.load(Acquire), 0);
    }
}
