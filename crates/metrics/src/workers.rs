//! A recorder and a memo for each worker, for those who are shared by all of them.

use std::sync::Mutex;

use crate::{Bundle, Memo, Recorder, Registry, cell::lock};

/// The recorders and memos of workers, by the workers' numbers.
///
/// Each has a lock that only its worker takes, so that it is always free: it costs some 10 ns and makes what is shared by all workers
/// (`&self`) able to count. A number beyond the workers' shares the place of the first, and may wait for it.
#[derive(Debug)]
pub struct Workers<V> {
    first: Place<V>,
    others: Box<[Place<V>]>,
}

/// On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Place<V>(Mutex<(Recorder, Memo<V>)>);

impl<V: Bundle> Workers<V> {
    /// For this many workers, one at least.
    pub fn new(registry: &Registry, workers: usize) -> Self {
        let place = || Place(Mutex::new((registry.recorder(), Memo::new())));
        Self {
            first: place(),
            others: (1..workers).map(|_| place()).collect(),
        }
    }

    /// Counts as this worker.
    #[inline]
    pub fn with<T>(
        &self,
        worker: usize,
        count: impl FnOnce(&mut Recorder, &mut Memo<V>) -> T,
    ) -> T {
        let place = worker.checked_sub(1).and_then(|at| self.others.get(at));
        let mut place = lock(&place.unwrap_or(&self.first).0);
        let (recorder, memo) = &mut *place;
        count(recorder, memo)
    }

    /// Makes every worker's memo forget everything: for when the same key has other labels.
    pub fn clear_memos(&self) {
        for place in self.others.iter().chain([&self.first]) {
            lock(&place.0).1.clear();
        }
    }
}
