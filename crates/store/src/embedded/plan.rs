//! What a batch of writes comes to: preconditions and revisions, decided in memory before the disk is touched.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::state::{State, Stored};
use crate::{Author, Change, Delete, Expect, Put, Revision, StoreError, Written};

/// One write that is to happen; it takes one revision.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) revision: Revision,
    pub(super) key: Arc<str>,
    pub(super) author: Author,
    pub(super) old: Option<Stored>,
    pub(super) new: Option<Stored>,
}

impl Planned {
    pub(super) fn change(&self) -> Change {
        match &self.new {
            Some(stored) => Change::Put(stored.entry(&self.key)),
            None => Change::Delete {
                key: self.key.clone(),
                revision: self.revision,
            },
        }
    }
}

/// Writes on top of a state, each of which sees the ones before it.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    state: &'a State,
    now_ms: u64,
    revision: Revision,
    changes: Vec<Planned>,
    /// Place in `changes` of the newest write to each key.
    newest: HashMap<Arc<str>, usize>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(state: &'a State, now_ms: u64) -> Self {
        Self {
            state,
            now_ms,
            revision: state.revision,
            changes: Vec::new(),
            newest: HashMap::new(),
        }
    }

    /// What is to happen, in order.
    pub(super) fn into_changes(self) -> Vec<Planned> {
        self.changes
    }

    pub(super) fn put(&mut self, put: Put) -> Result<Written, StoreError> {
        let (key, old) = self.current(&put.key);
        let holds = match put.expect {
            Expect::Any => true,
            Expect::Absent => old.is_none(),
            Expect::ModRevision(wanted) => {
                old.as_ref().is_some_and(|old| old.mod_revision == wanted)
            }
        };
        if !holds {
            return Err(StoreError::Conflict);
        }
        let mod_revision = self.revision + 1;
        let new = Stored {
            value: put.value.into(),
            create_revision: old.as_ref().map_or(mod_revision, |old| old.create_revision),
            mod_revision,
            expires_ms: put.ttl.map(|ttl| self.after(ttl)),
        };
        let key = key.unwrap_or_else(|| put.key.into());
        Ok(self.write(key, put.author, old, Some(new)))
    }

    pub(super) fn delete(&mut self, delete: Delete) -> Written {
        match self.current(&delete.key) {
            (Some(key), Some(old)) => self.write(key, delete.author, Some(old), None),
            _ => Written {
                revision: self.revision,
                previous: None,
            },
        }
    }

    /// Removes a key whose time has come.
    pub(super) fn expire(&mut self, key: &str) {
        self.delete(Delete {
            key: key.to_owned(),
            author: Author::expiry(),
        });
    }

    fn after(&self, ttl: Duration) -> u64 {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.now_ms.saturating_add(ttl_ms)
    }

    fn current(&self, key: &str) -> (Option<Arc<str>>, Option<Stored>) {
        let planned = self
            .newest
            .get(key)
            .and_then(|&at| self.changes.get(at))
            .map(|change| (Some(change.key.clone()), change.new.clone()));
        planned.unwrap_or_else(|| match self.state.entries.get_key_value(key) {
            Some((key, stored)) => (Some(key.clone()), Some(stored.clone())),
            None => (None, None),
        })
    }

    fn write(
        &mut self,
        key: Arc<str>,
        author: Author,
        old: Option<Stored>,
        new: Option<Stored>,
    ) -> Written {
        self.revision += 1;
        let written = Written {
            revision: self.revision,
            previous: old.as_ref().map(|old| old.entry(&key)),
        };
        self.newest.insert(key.clone(), self.changes.len());
        self.changes.push(Planned {
            revision: self.revision,
            key,
            author,
            old,
            new,
        });
        written
    }
}
