//! The one thread that changes anything: it takes what waits, decides, commits, publishes, and only then answers.

use std::{
    mem,
    sync::{Arc, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{
    HistoryLimits,
    disk::{Disk, Reason},
    plan::{Plan, Planned},
    queue::{Operation, Queue, Reader, Round, Write},
    state::SharedState,
    ttl::Expiries,
};
use crate::{Clock, Revision, StoreError, Written, limits};

/// The outcome of one write, held back until the commit.
#[derive(Debug)]
struct Held {
    answer: oneshot::Sender<Result<Written, StoreError>>,
    /// What was attempted, for errors.
    action: String,
    result: Result<Written, StoreError>,
}

impl Held {
    /// Sends it, or why the whole batch failed: even the outcome of a write that changed nothing may rest on one that did.
    fn send(self, batch: &Result<(), Reason>) {
        let result = match batch {
            Ok(()) => self.result,
            Err(reason) => Err(StoreError::Unavailable {
                action: self.action,
                reason: reason.clone(),
            }),
        };
        // Nobody may be waiting any more.
        let _ = self.answer.send(result);
    }
}

/// The writer's side of a store.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) state: SharedState,
    pub(super) changed: watch::Sender<Revision>,
    pub(super) disk: Disk,
    pub(super) expiries: Expiries,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) history: HistoryLimits,
    /// When the oldest record of the history was made.
    pub(super) oldest_record_ms: Option<u64>,
    /// A batch that failed, until the disk says whether it was written.
    pub(super) doubtful: Vec<Planned>,
    /// The newest batch failed; that has been logged.
    pub(super) has_failed: bool,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        // A panic in the database must not leave writers waiting.
        let _abandon = Abandon(self.queue.clone());
        loop {
            let round = self.queue.next(self.pause());
            let is_last = round.is_last;
            self.round(round);
            if is_last {
                return;
            }
        }
    }

    /// How long there is nothing to do by itself; `None`: for ever.
    fn pause(&self) -> Option<Duration> {
        if !self.disk.is_open() && self.disk.poison().is_none() {
            return Some(limits::RETRY_PAUSE);
        }
        let next_ms = self
            .expiries
            .next_ms()
            .into_iter()
            .chain(self.trim_ms())
            .min()?;
        if self.has_failed {
            return Some(limits::RETRY_PAUSE);
        }
        let pause = Duration::from_millis(next_ms.saturating_sub(self.clock.unix_ms()));
        Some(pause.min(limits::CLOCK_CHECK))
    }

    /// When the history is trimmed though nothing is written.
    fn trim_ms(&self) -> Option<u64> {
        let age = self.history.max_age.saturating_add(limits::TRIM_SLACK);
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Some(self.oldest_record_ms?.saturating_add(age_ms))
    }

    /// Does what is due and what was asked for, in one transaction.
    pub(super) fn round(&mut self, round: Round) {
        let now_ms = self.clock.unix_ms();
        let mut due = self.expiries.next_ms().into_iter().chain(self.trim_ms());
        let is_due = due.any(|at| at <= now_ms);
        if is_due || !round.writes.is_empty() || !self.disk.is_open() {
            self.write(round.writes, now_ms, is_due);
        }
        for reader in round.readers {
            self.read(reader);
        }
    }

    fn write(&mut self, writes: Vec<Write>, now_ms: u64, is_due: bool) {
        let settled = self.settle();
        let (changes, held) = self.plan(writes, now_ms);
        let batch = match settled {
            Ok(()) if changes.is_empty() && !is_due => Ok(()),
            Ok(()) => self.commit(changes, now_ms),
            Err(reason) => Err(reason),
        };
        if self.has_failed && batch.is_ok() {
            tracing::info!("the store can be written again");
        }
        self.has_failed = batch.is_err();
        for held in held {
            held.send(&batch);
        }
    }

    /// Decides what happens, in the order of arrival.
    fn plan(&self, writes: Vec<Write>, now_ms: u64) -> (Vec<Planned>, Vec<Held>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut plan = Plan::new(&state, now_ms);
        for key in self.expiries.due(now_ms).take(limits::BATCH_WRITES) {
            plan.expire(key);
        }
        let held = writes
            .into_iter()
            .map(|write| Held {
                action: write.operation.action(),
                answer: write.answer,
                result: match write.operation {
                    Operation::Put(put) => plan.put(put),
                    Operation::Delete(delete) => Ok(plan.delete(delete)),
                },
            })
            .collect();
        (plan.into_changes(), held)
    }

    fn commit(&mut self, changes: Vec<Planned>, now_ms: u64) -> Result<(), Reason> {
        match self.disk.write(&changes, now_ms, &self.history) {
            Ok(oldest_record_ms) => {
                self.oldest_record_ms = oldest_record_ms;
                self.publish(changes);
                Ok(())
            }
            Err(reason) => {
                self.doubtful = changes;
                // Memory equals the disk before anybody is answered, if the disk can be read; if not, the next write tries again.
                let settled = self.settle();
                if !self.has_failed {
                    let is_open = settled.is_ok();
                    tracing::error!(%reason, is_open, "the store cannot be written");
                }
                Err(reason)
            }
        }
    }

    /// Opens the database again after a failure, and takes in what the failed batch did to it: all or nothing.
    fn settle(&mut self) -> Result<(), Reason> {
        if self.disk.is_open() {
            return Ok(());
        }
        let on_disk = self.disk.reopen()?;
        let changes = mem::take(&mut self.doubtful);
        let known = self.revision();
        if on_disk == known {
            return Ok(());
        }
        if changes
            .last()
            .is_some_and(|newest| newest.revision == on_disk)
        {
            self.publish(changes);
            return Ok(());
        }
        Err(self.disk.give_up(format!(
            "the disk went back to revision {on_disk} from {known}; the store takes no writes until it is started anew"
        )))
    }

    fn publish(&mut self, changes: Vec<Planned>) {
        self.expiries.apply(&changes);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.apply(changes);
        let revision = state.revision;
        drop(state);
        self.changed.send_replace(revision);
    }

    fn revision(&self) -> Revision {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .revision
    }

    /// Runs a reader on a thread of its own, so that writes go on meanwhile. Where there can be no thread, the reader is
    /// dropped, which tells the one who waits.
    fn read(&self, reader: Reader) {
        let transaction = self.disk.read();
        let spawned = thread::Builder::new()
            .name("store-reader".to_owned())
            .spawn(move || reader(transaction));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to read the store with");
        }
    }
}

/// Refuses what waits when the writer ends, however it ends.
struct Abandon(Arc<Queue>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
