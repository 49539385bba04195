//! Watches: the newest changes lie in one log in memory, and each watcher reads from its own place in it.
//!
//! Nothing is queued per watcher. One that falls behind what the log keeps is told so and lists again.

use std::{collections::VecDeque, sync::PoisonError};

use tokio::sync::watch;

use super::state::SharedState;
use crate::{Batch, BoxFuture, Change, Revision, StoreError, Watch};

/// The newest changes. Invariant: they have consecutive revisions, the first of them `floor + 1`.
#[derive(Debug)]
pub(super) struct Log {
    floor: Revision,
    changes: VecDeque<Change>,
    bytes: usize,
    max_changes: usize,
    max_bytes: usize,
}

impl Log {
    /// A log of what comes after `revision`, which keeps the newest change whatever the bounds say.
    pub(super) fn new(revision: Revision, max_changes: usize, max_bytes: usize) -> Self {
        Self {
            floor: revision,
            changes: VecDeque::new(),
            bytes: 0,
            max_changes,
            max_bytes,
        }
    }

    pub(super) fn push(&mut self, change: Change) {
        self.bytes += size(&change);
        self.changes.push_back(change);
        while self.changes.len() > 1
            && (self.changes.len() > self.max_changes || self.bytes > self.max_bytes)
            && let Some(oldest) = self.changes.pop_front()
        {
            self.bytes -= size(&oldest);
            self.floor += 1;
        }
    }

    /// How many of the changes lie at or before a revision.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] where the log begins later.
    fn seen(&self, revision: Revision) -> Result<usize, StoreError> {
        match revision.checked_sub(self.floor) {
            Some(seen) => Ok(usize::try_from(seen).unwrap_or(usize::MAX)),
            None => Err(StoreError::Compacted { oldest: self.floor }),
        }
    }
}

fn size(change: &Change) -> usize {
    size_of::<Change>()
        + match change {
            Change::Put(entry) => entry.key.len() + entry.value.len(),
            Change::Delete { key, .. } => key.len(),
        }
}

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    state: SharedState,
    /// Marked after each change of the state; closed when the store is.
    changed: watch::Receiver<Revision>,
    after: Revision,
}

impl Watcher {
    pub(super) fn new(
        state: SharedState,
        changed: watch::Receiver<Revision>,
        after: Revision,
    ) -> Result<Self, StoreError> {
        state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .log
            .seen(after)?;
        Ok(Self {
            state,
            changed,
            after,
        })
    }

    fn take(&mut self) -> Result<Option<Batch>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let seen = state.log.seen(self.after)?;
        let changes: Vec<Change> = state.log.changes.iter().skip(seen).cloned().collect();
        if changes.is_empty() {
            return Ok(None);
        }
        self.after = state.revision;
        Ok(Some(Batch {
            revision: state.revision,
            changes,
        }))
    }
}

impl Watch for Watcher {
    fn next(&mut self) -> BoxFuture<'_, Result<Batch, StoreError>> {
        Box::pin(async {
            loop {
                // Marked as seen before the look, so that no change falls between the two.
                self.changed.borrow_and_update();
                if let Some(batch) = self.take()? {
                    return Ok(batch);
                }
                if self.changed.changed().await.is_err() {
                    return Err(StoreError::Unavailable {
                        action: "watching the store".to_owned(),
                        reason: "it has been closed".to_owned(),
                    });
                }
            }
        })
    }
}
