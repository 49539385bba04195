//! An embedded store that counts how often all consumers are read from it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lockgate_store::{
    BoxFuture, Delete, Embedded, EmbeddedOptions, Entry, Listing, Put, Revision, Store, StoreError,
    Watch, Written,
};
use tempfile::TempDir;

/// The store.
pub(crate) struct Counted {
    store: Embedded,
    listed: AtomicUsize,
    _directory: TempDir,
}

impl Counted {
    /// With nothing in it.
    pub(crate) fn empty() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        Arc::new(Self {
            store: Embedded::open(path, EmbeddedOptions::default()).unwrap(),
            listed: AtomicUsize::new(0),
            _directory: directory,
        })
    }

    /// How often all consumers were read.
    pub(crate) fn listed(&self) -> usize {
        self.listed.load(Ordering::Relaxed)
    }
}

impl Store for Counted {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        self.store.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        self.listed
            .fetch_add(usize::from(prefix == "consumers/"), Ordering::Relaxed);
        self.store.list(prefix)
    }

    fn put(&self, put: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        self.store.put(put)
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        self.store.delete(delete)
    }

    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.store.watch(after)
    }
}
