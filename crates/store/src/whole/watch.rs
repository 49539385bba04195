//! Watches of a configuration that is replaced as a whole: the newest replacements, and each watcher's place among them.

use std::{collections::VecDeque, sync::PoisonError};

use tokio::sync::watch;

use super::Shared;
use crate::{Batch, BoxFuture, Change, Revision, StoreError, Watch, limits::WHOLE_BATCHES};

/// The newest replacements.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Revision before the first that is kept.
    floor: Revision,
    batches: VecDeque<Batch>,
}

impl Log {
    /// Adds the changes that lead from one revision to another.
    pub(super) fn push(&mut self, before: Revision, revision: Revision, changes: Vec<Change>) {
        if self.batches.is_empty() {
            self.floor = before;
        }
        self.batches.push_back(Batch { revision, changes });
        while self.batches.len() > WHOLE_BATCHES
            && let Some(oldest) = self.batches.pop_front()
        {
            self.floor = oldest.revision;
        }
    }

    fn check(&self, after: Revision) -> Result<(), StoreError> {
        if after < self.floor {
            return Err(StoreError::Compacted { oldest: self.floor });
        }
        Ok(())
    }
}

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    state: Shared,
    changed: watch::Receiver<Revision>,
    after: Revision,
}

impl Watcher {
    pub(super) fn new(
        state: Shared,
        changed: watch::Receiver<Revision>,
        after: Revision,
    ) -> Result<Self, StoreError> {
        let read = state.read().unwrap_or_else(PoisonError::into_inner);
        read.log.check(after)?;
        drop(read);
        Ok(Self {
            state,
            changed,
            after,
        })
    }

    fn take(&mut self) -> Result<Option<Batch>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.log.check(self.after)?;
        let mut changes = Vec::new();
        for batch in &state.log.batches {
            if batch.revision > self.after {
                changes.extend(batch.changes.iter().cloned());
            }
        }
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
                        action: "watching the configuration".to_owned(),
                        reason: "it has been closed".to_owned(),
                    });
                }
            }
        })
    }
}
