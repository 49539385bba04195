//! Keys that go away by themselves, in the order in which they do.

use std::{collections::BTreeSet, sync::Arc};

use super::{plan::Planned, state::State};

/// Expiries by time. Invariant: one for each stored entry that has one.
#[derive(Debug, Default)]
pub(super) struct Expiries(BTreeSet<(u64, Arc<str>)>);

impl Expiries {
    pub(super) fn of(state: &State) -> Self {
        let expiring = state
            .entries
            .iter()
            .filter_map(|(key, stored)| Some((stored.expires_ms?, key.clone())));
        Self(expiring.collect())
    }

    /// Takes in what has been committed.
    pub(super) fn apply(&mut self, changes: &[Planned]) {
        for change in changes {
            if let Some(at) = change.old.as_ref().and_then(|old| old.expires_ms) {
                self.0.remove(&(at, change.key.clone()));
            }
            if let Some(at) = change.new.as_ref().and_then(|new| new.expires_ms) {
                self.0.insert((at, change.key.clone()));
            }
        }
    }

    /// When the next key is due, in Unix milliseconds.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Keys whose time has come.
    pub(super) fn due(&self, now_ms: u64) -> impl Iterator<Item = &Arc<str>> {
        self.0
            .iter()
            .take_while(move |(at, _)| *at <= now_ms)
            .map(|(_, key)| key)
    }
}
