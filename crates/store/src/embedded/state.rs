//! What is stored, in memory: every read is answered from here, and it equals the disk whenever the writer is at rest.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, RwLock},
};

use super::{plan::Planned, watch::Log};
use crate::{Entry, Listing, Revision};

/// The state, shared by readers, watchers and the one writer. Held for the length of a look-up, never across an `.await` or
/// an I/O call.
pub(super) type SharedState = Arc<RwLock<State>>;

/// One value and its revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) value: Arc<[u8]>,
    pub(super) create_revision: Revision,
    pub(super) mod_revision: Revision,
    /// Milliseconds since the Unix epoch.
    pub(super) expires_ms: Option<u64>,
}

impl Stored {
    pub(super) fn entry(&self, key: &Arc<str>) -> Entry {
        Entry {
            key: key.clone(),
            value: self.value.clone(),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
        }
    }
}

/// All keys, the revision they are a picture of, and the newest changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) entries: BTreeMap<Arc<str>, Stored>,
    pub(super) revision: Revision,
    pub(super) log: Log,
}

impl State {
    pub(super) fn get(&self, key: &str) -> Option<Entry> {
        let (key, stored) = self.entries.get_key_value(key)?;
        Some(stored.entry(key))
    }

    /// All entries under a prefix, in the order of their keys; [`Listing`]s are sorted outside the lock.
    pub(super) fn list(&self, prefix: &str) -> Listing {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let entries = self
            .entries
            .range::<str, _>(from)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, stored)| stored.entry(key))
            .collect();
        Listing {
            revision: self.revision,
            entries,
        }
    }

    /// Takes in what has been committed.
    pub(super) fn apply(&mut self, changes: Vec<Planned>) {
        for change in changes {
            self.revision = change.revision;
            self.log.push(change.change());
            match change.new {
                Some(stored) => {
                    self.entries.insert(change.key, stored);
                }
                None => {
                    self.entries.remove(&change.key);
                }
            }
        }
    }
}
