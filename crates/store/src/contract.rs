//! The contract every store keeps; one test suite runs against all of them.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use thiserror::Error;

/// Number of a state of the whole store; grows by one with each write, as etcd's does.
pub type Revision = u64;

/// A boxed future, so that stores can be chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key without the prefix, such as `routes/1`.
    pub key: Arc<str>,
    /// The value as written.
    pub value: Arc<[u8]>,
    /// Revision of the write that made the key.
    pub create_revision: Revision,
    /// Revision of the newest write to the key.
    pub mod_revision: Revision,
}

/// Who asked for a write, for the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// Name of the admin key, empty where no key was asked for.
    pub name: String,
    /// Address of the client, empty for the process itself.
    pub address: String,
}

impl Author {
    /// The store itself, when it removes a key whose time has come.
    pub fn expiry() -> Self {
        Self {
            name: "expiry".to_owned(),
            address: String::new(),
        }
    }
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    #[default]
    Any,
    /// The key does not exist.
    Absent,
    /// The newest write to the key has this revision.
    ModRevision(Revision),
}

/// A write of one value.
#[derive(Debug, Clone)]
pub struct Put {
    /// Key without the prefix.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Precondition.
    pub expect: Expect,
    /// Time after which the key goes away by itself.
    pub ttl: Option<Duration>,
    /// Who asked.
    pub author: Author,
}

/// A removal of one key.
#[derive(Debug, Clone)]
pub struct Delete {
    /// Key without the prefix.
    pub key: String,
    /// Who asked.
    pub author: Author,
}

/// Outcome of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Revision of this write; of the store as it was where nothing was removed.
    pub revision: Revision,
    /// The entry that was replaced or removed.
    pub previous: Option<Entry>,
}

/// All entries under a prefix, ordered by `create_revision`, and the revision they are a picture of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// State that was read.
    pub revision: Revision,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// What a store knows of a key without asking anybody. It may be old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recalled {
    /// Nothing: the key has to be read.
    Unknown,
    /// It was not there lately.
    Absent,
    /// This was there lately.
    Entry(Entry),
}

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key has this value.
    Put(Entry),
    /// The key is gone.
    Delete {
        /// Key without the prefix.
        key: Arc<str>,
        /// Revision of the removal.
        revision: Revision,
    },
}

/// The changes of one or more revisions, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Newest revision contained.
    pub revision: Revision,
    /// The changes.
    pub changes: Vec<Change>,
}

/// A running watch. Dropping it ends it.
pub trait Watch: Send {
    /// Waits for the next changes. Dropping the future loses none.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the watcher fell behind what is kept: list again and start over.
    /// [`StoreError::Unavailable`] when the store cannot be reached for the time being: call again.
    fn next(&mut self) -> BoxFuture<'_, Result<Batch, StoreError>>;
}

/// A configuration store.
pub trait Store: Send + Sync + 'static {
    /// Reads one key.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>>;

    /// What is known of a key without a wait: for the precondition of a write, which tells whether it is still so.
    fn recall(&self, _key: &str) -> Recalled {
        Recalled::Unknown
    }

    /// Reads all keys that start with `prefix` (`""` for the whole store, `routes/` for one kind).
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>>;

    /// Writes one key, durably. Dropped after it has been polled, the write may still happen.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the precondition does not hold; nothing is written then.
    /// [`StoreError::Unavailable`] when nobody can say that it happened: a look at the key tells.
    fn put(&self, put: Put) -> BoxFuture<'_, Result<Written, StoreError>>;

    /// Removes one key, durably. `previous` is `None` where there was none; no revision is used up then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] as for [`Self::put`].
    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>>;

    /// Watches every change after the revision `after`, that one excluded. A write that has been answered is there to be
    /// watched.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when changes after it are no longer kept, as after a restart of the store: list first.
    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError>;
}

/// Why a store operation failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The precondition of a write does not hold.
    #[error("value changed before overwritten")]
    Conflict,
    /// Changes after the asked revision are no longer kept.
    #[error("changes before revision {oldest} are no longer kept")]
    Compacted {
        /// Oldest revision that can still be watched from.
        oldest: Revision,
    },
    /// Another process holds the store.
    #[error("the store {path} is in use by another process")]
    Locked {
        /// The file.
        path: String,
    },
    /// The store cannot be reached, or its disk cannot be written.
    #[error("{action} failed: {reason}")]
    Unavailable {
        /// What was attempted, such as `writing routes/1`.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// Single keys cannot be written.
    #[error("{what} is changed as a whole")]
    ReadOnly {
        /// What holds the configuration.
        what: String,
    },
    /// What is stored cannot be read.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// Which part.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}
