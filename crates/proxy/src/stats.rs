//! What a worker counts. Written by one thread without read-modify-write contention, read by any.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// Counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Stats {
    accepted: AtomicU64,
    open: AtomicU64,
    waiting: AtomicU64,
    requests: AtomicU64,
    panics: AtomicU64,
    has_left: AtomicBool,
}

/// A reading of a worker's counters, or the sum of several.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections open.
    pub open: u64,
    /// Connections of these that wait for a request.
    pub waiting: u64,
    /// Requests begun since the start.
    pub requests: u64,
    /// Requests that ended in a panic.
    pub panics: u64,
}

/// Adds without a locked instruction: each counter has one writer.
#[inline]
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Stats {
    pub(crate) fn opened(&self) {
        add(&self.accepted, 1);
        add(&self.open, 1);
    }

    pub(crate) fn closed(&self) {
        add(&self.open, u64::MAX);
    }

    #[inline]
    pub(crate) fn waits(&self) {
        add(&self.waiting, 1);
    }

    #[inline]
    pub(crate) fn wakes(&self) {
        add(&self.waiting, u64::MAX);
    }

    #[inline]
    pub(crate) fn requested(&self) {
        add(&self.requests, 1);
    }

    pub(crate) fn panicked(&self) {
        add(&self.panics, 1);
    }

    /// Notes that no more connections are accepted.
    pub(crate) fn left(&self) {
        self.has_left.store(true, Release);
    }

    /// Whether no more connections are accepted.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Acquire)
    }

    /// Reads all counters.
    pub(crate) fn read(&self) -> Counts {
        Counts {
            accepted: self.accepted.load(Relaxed),
            open: self.open.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            requests: self.requests.load(Relaxed),
            panics: self.panics.load(Relaxed),
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            accepted: sum.accepted + one.accepted,
            open: sum.open + one.open,
            waiting: sum.waiting + one.waiting,
            requests: sum.requests + one.requests,
            panics: sum.panics + one.panics,
        })
    }
}

/// The counts of all workers of the process, those that have ended included. Clones have the same.
#[derive(Debug, Clone, Default)]
pub struct Totals(Arc<Mutex<Summed>>);

#[derive(Debug, Default)]
struct Summed {
    ended: Counts,
    running: Vec<Arc<Stats>>,
}

impl Totals {
    /// Counts further workers.
    pub(crate) fn add(&self, workers: &[Arc<Stats>]) {
        let mut summed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        summed.running.extend(workers.iter().cloned());
    }

    /// Reads and sums all counters.
    pub fn read(&self) -> Counts {
        let mut summed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Summed { ended, running } = &mut *summed;
        running.retain(|stats| {
            // Whom nobody else has is written by nobody.
            let has_ended = Arc::strong_count(stats) == 1;
            if has_ended {
                let counts = Counts {
                    open: 0,
                    waiting: 0,
                    ..stats.read()
                };
                *ended = [*ended, counts].into_iter().sum();
            }
            !has_ended
        });
        let running = running.iter().map(|stats| stats.read());
        running.chain([*ended]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sums() {
        let stats = Stats::default();
        stats.opened();
        stats.waits();
        stats.opened();
        stats.wakes();
        stats.closed();
        let counts = stats.read();
        assert_eq!(
            counts,
            Counts {
                accepted: 2,
                open: 1,
                ..Counts::default()
            }
        );
        assert_eq!([counts, counts].into_iter().sum::<Counts>().accepted, 4);
    }

    #[test]
    fn totals_keep_what_ended_workers_have_counted() {
        let totals = Totals::default();
        let first = vec![Arc::new(Stats::default()), Arc::new(Stats::default())];
        totals.add(&first);
        for stats in &first {
            stats.opened();
            stats.requested();
        }
        let read = || (totals.read().requests, totals.read().open);
        assert_eq!(read(), (2, 2));
        drop(first);
        assert_eq!(read(), (2, 0));
        let second = vec![Arc::new(Stats::default())];
        totals.clone().add(&second);
        second[0].requested();
        assert_eq!(read(), (3, 0));
    }
}
