//! A configuration in memory that is replaced as a whole: what a file says, or what was pushed through the Admin API.
//!
//! A replacement becomes the changes that lead from the old objects to the new ones: an object that is as it was keeps its revisions, so that
//! whoever compiles it keeps what was compiled. Nothing outlives the process.

mod plan;
mod watch;

use std::{
    collections::BTreeMap,
    future::ready,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use self::watch::{Log, Watcher};
use crate::{BoxFuture, Delete, Entry, Listing, Put, Revision, Store, StoreError, Watch, Written};

/// One object of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Key without the prefix, such as `routes/1`.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Tells whether the object has changed, where it is given: with the version that it had before, it stays as it was, whatever its value
    /// is. Without one the value tells.
    pub version: Option<String>,
}

/// The store of such a configuration.
pub struct Whole {
    state: Shared,
    changed: tokio::sync::watch::Sender<Revision>,
}

type Shared = Arc<RwLock<State>>;

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Arc<str>, Object>,
    revision: Revision,
    log: Log,
    is_filled: bool,
}

#[derive(Debug, Clone)]
struct Object {
    entry: Entry,
    version: Option<String>,
}

impl Default for Whole {
    fn default() -> Self {
        Self {
            state: Shared::default(),
            changed: tokio::sync::watch::Sender::new(0),
        }
    }
}

impl Whole {
    /// An empty store, until the first replacement.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes these objects the configuration; the revision that it has then. Of objects with the same key the last counts. Where objects of
    /// one kind have a new order, those that have others before them than they had count as made anew.
    pub fn replace(&self, items: Vec<Item>) -> Revision {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let plan = plan::plan(&state.objects, state.revision, items);
        state.is_filled = true;
        if !plan.changes.is_empty() {
            let before = state.revision;
            state.objects = plan.objects;
            state.revision = plan.revision;
            state.log.push(before, plan.revision, plan.changes);
        }
        let revision = state.revision;
        drop(state);
        self.changed.send_replace(revision);
        revision
    }

    /// Whether there was a replacement.
    pub fn is_filled(&self) -> bool {
        self.read().is_filled
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Whole {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        let found = self
            .read()
            .objects
            .get(key)
            .map(|object| object.entry.clone());
        Box::pin(ready(Ok(found)))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        let state = self.read();
        let mut entries: Vec<Entry> = state
            .objects
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, object)| object.entry.clone())
            .collect();
        entries.sort_by_key(|entry| entry.create_revision);
        let revision = state.revision;
        Box::pin(ready(Ok(Listing { revision, entries })))
    }

    fn put(&self, _put: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(ready(Err(read_only("the configuration"))))
    }

    fn delete(&self, _delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(ready(Err(read_only("the configuration"))))
    }

    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let watcher = Watcher::new(self.state.clone(), self.changed.subscribe(), after)?;
        Ok(Box::new(watcher))
    }
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.read();
        out.debug_struct("Whole")
            .field("revision", &state.revision)
            .field("objects", &state.objects.len())
            .finish_non_exhaustive()
    }
}

pub(crate) fn read_only(what: impl Into<String>) -> StoreError {
    StoreError::ReadOnly { what: what.into() }
}
