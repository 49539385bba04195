//! The embedded store: one file, one process, everything in memory as well.
//!
//! Reads are answered from an ordered map in memory. Writes go through a queue to one thread, which commits whatever waits in
//! one transaction with one fsync, publishes it, and then answers; so a lone writer waits for one fsync and many share one.
//! The database under it is redb; what lies in which table is told in `tables.rs`.
//!
//! **When the disk fails**: the writes of the failed batch are answered [`StoreError::Unavailable`], and so are later ones until
//! the disk works again; reads and watches go on. Before anybody is answered the file is opened anew and what is in memory is
//! made equal to it: a batch of which only the report failed is then there, as a whole, although its writers were told
//! otherwise. A full disk needs nothing but room. After a failed *sync* no write is taken until the process starts anew, because
//! the system can no longer tell what is on the disk.
//!
//! **When the process is killed**: the next start repairs the file. Nothing that was acknowledged is lost; of what was not, a
//! batch is there as a whole or not at all.

mod backup;
mod disk;
mod file;
mod history;
mod plan;
mod queue;
mod state;
mod tables;
mod ttl;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::ready,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    thread::{self, JoinHandle},
};

use redb::ReadTransaction;
use tokio::sync::{Semaphore, oneshot};

pub use history::{HistoryLimits, HistoryOf, HistoryQuery, Record};

use self::{
    disk::Disk,
    file::Medium,
    queue::{Operation, Queue, Round},
    state::{SharedState, State},
    ttl::Expiries,
    watch::{Log, Watcher},
    writer::Writer,
};
use crate::{
    BoxFuture, Clock, Delete, Entry, Listing, Put, Revision, Store, StoreError, SystemClock, Watch,
    Written, limits,
};

/// Settings of an embedded store, fixed when it is opened.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Pages of the file kept in memory for writing; reads need none. Default 4 MiB.
    pub cache_bytes: usize,
    /// Changes kept for watchers that are behind; default 16 384. The newest is kept whatever the bounds say.
    pub watch_changes: usize,
    /// Bytes of the changes kept for watchers; default 32 MiB, most of which is shared with the values that are stored.
    pub watch_bytes: usize,
    /// How much of the history is kept.
    pub history: HistoryLimits,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            cache_bytes: limits::CACHE_BYTES,
            watch_changes: limits::WATCH_CHANGES,
            watch_bytes: limits::WATCH_BYTES,
            history: HistoryLimits::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// A store in a file of this process.
///
/// Dropping it waits for the writes that have been queued and closes the file.
pub struct Embedded {
    queue: Arc<Queue>,
    state: SharedState,
    changed: tokio::sync::watch::Receiver<Revision>,
    /// Room for threads that read the disk.
    readers: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store at `path`, making it and its directory where there is none. Reads the whole file and verifies it, which
    /// also repairs what a killed process left; keys that expired meanwhile are removed before this returns. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when it is open already, here or in another process; [`StoreError::Damaged`] when it is not a
    /// store or a verification failed; [`StoreError::Unavailable`] for what the system refuses.
    pub fn open(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let file = file::open(path)?;
        Self::open_medium(path, Arc::new(file), options)
    }

    fn open_medium(
        path: &Path,
        medium: Arc<dyn Medium>,
        options: EmbeddedOptions,
    ) -> Result<Self, StoreError> {
        let (disk, loaded) = Disk::open(path, medium, options.cache_bytes)?;
        let state = State {
            entries: loaded.entries,
            revision: loaded.revision,
            log: Log::new(loaded.revision, options.watch_changes, options.watch_bytes),
        };
        let queue = Arc::new(Queue::new());
        let clock = options.clock;
        let waker = queue.clone();
        clock.on_jump(Box::new(move || waker.wake()));
        let (notify, changed) = tokio::sync::watch::channel(state.revision);
        let expiries = Expiries::of(&state);
        let state = Arc::new(RwLock::new(state));
        let mut writer = Writer {
            queue: queue.clone(),
            state: state.clone(),
            changed: notify,
            disk,
            expiries,
            clock,
            history: options.history,
            oldest_record_ms: loaded.oldest_record_ms,
            doubtful: Vec::new(),
            has_failed: false,
        };
        // What expired while the store was closed.
        writer.round(Round::default());
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::Unavailable {
                action: format!("opening the store {}", path.display()),
                reason: error.to_string(),
            })?;
        Ok(Self {
            queue,
            state,
            changed,
            readers: Arc::new(Semaphore::new(limits::READERS)),
            writer: Some(writer),
        })
    }

    /// Revision of the newest write.
    pub fn revision(&self) -> Revision {
        self.state().revision
    }

    /// Reads back who changed what, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be read.
    pub async fn history(&self, query: HistoryQuery) -> Result<Vec<Record>, StoreError> {
        self.read("reading the history".to_owned(), move |transaction| {
            history::read(&transaction, &query)
        })
        .await
    }

    /// Copies the store, as it is when this is called, to a new file; writes go on meanwhile. The copy is opened like any store,
    /// and holds the history too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is a file at `to`, or it cannot be written.
    pub async fn backup(&self, to: impl Into<PathBuf>) -> Result<(), StoreError> {
        let to = to.into();
        let action = format!("copying the store to {}", to.display());
        self.read(action, move |transaction| backup::write(&transaction, &to))
            .await
    }

    /// Runs `reader` on a picture of the disk, on a thread of its own.
    async fn read<T: Send + 'static>(
        &self,
        action: String,
        reader: impl FnOnce(ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unavailable = |reason: String| StoreError::Unavailable { action, reason };
        let stopped = || "the store is closed".to_owned();
        let Ok(permit) = self.readers.clone().acquire_owned().await else {
            return Err(unavailable(stopped()));
        };
        let (answer, answered) = oneshot::channel();
        self.queue.read(Box::new(move |transaction| {
            let result = transaction
                .and_then(|transaction| reader(transaction).map_err(|error| error.to_string()));
            drop(permit);
            // Nobody may be waiting any more.
            let _ = answer.send(result);
        }));
        match answered.await {
            Ok(result) => result.map_err(unavailable),
            Err(_) => Err(unavailable(stopped())),
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Embedded {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(ready(Ok(self.state().get(key))))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        let mut listing = self.state().list(prefix);
        listing
            .entries
            .sort_unstable_by_key(|entry| entry.create_revision);
        Box::pin(ready(Ok(listing)))
    }

    fn put(&self, put: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(self.queue.write(Operation::Put(put)))
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(self.queue.write(Operation::Delete(delete)))
    }

    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let watcher = Watcher::new(self.state.clone(), self.changed.clone(), after)?;
        Ok(Box::new(watcher))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // A panic there has been reported, and there is nothing left to do about it.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Embedded")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}
