//! Follows a store and publishes what it says.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lockgate_store::{Change, Listing, Store, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{Compiler, Problem, Published};

/// Pause before a store that cannot be read is asked again; the reference's default of `resync_delay`.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Least time between two failures of one watch. Stores that should be asked less often wait by themselves.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// What the watcher has taken in, for the control API.
#[derive(Debug, Default)]
pub struct Status {
    revision: watch::Sender<u64>,
    problems: Mutex<Vec<(Arc<str>, Problem)>>,
}

impl Status {
    /// Revision of the store that is in force.
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Resolves when this revision, or a newer one, is in force.
    pub async fn reached(&self, revision: u64) {
        let mut newest = self.revision.subscribe();
        // The sender is this object's own and cannot be gone.
        let _gone = newest.wait_for(|newest| *newest >= revision).await;
    }

    #[cfg(test)]
    pub(crate) fn publish_for_test(&self, revision: u64) {
        self.revision.send_replace(revision);
    }

    /// What is stored but not in force as it stands, by key.
    pub fn problems(&self) -> Vec<(Arc<str>, Problem)> {
        self.problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A store, the compiler fed from it, and where its snapshots go.
pub struct Watcher {
    store: Arc<dyn Store>,
    compiler: Compiler,
    published: Arc<Published>,
    status: Arc<Status>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watcher")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    /// Reads the whole store and compiles it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(store: Arc<dyn Store>, mut compiler: Compiler) -> Result<Self, StoreError> {
        let listing = store.list("").await?;
        take_listing(&mut compiler, listing);
        let published = Arc::new(Published::new(compiler.snapshot()));
        let watcher = Self {
            store,
            compiler,
            published,
            status: Arc::default(),
        };
        watcher.report();
        Ok(watcher)
    }

    /// Where the snapshots go.
    pub fn published(&self) -> Arc<Published> {
        self.published.clone()
    }

    /// What has been taken in.
    pub fn status(&self) -> Arc<Status> {
        self.status.clone()
    }

    /// Follows the store for ever. What has been published stays in force while the store is away.
    pub async fn run(mut self) {
        loop {
            match self.follow().await {
                StoreError::Compacted { oldest } => {
                    tracing::warn!(oldest, "changes were missed: the store is read anew");
                }
                error => {
                    tracing::error!(%error, "the store cannot be watched");
                    sleep(RETRY_PAUSE).await;
                }
            }
            match self.store.list("").await {
                Ok(listing) => {
                    take_listing(&mut self.compiler, listing);
                    self.publish();
                }
                Err(error) => {
                    tracing::error!(%error, "the store cannot be read");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Takes in changes until the watch ends. While the store is away the watch is kept: it goes on where it was, and nothing
    /// has to be read anew.
    async fn follow(&mut self) -> StoreError {
        let mut watch = match self.store.watch(self.status.revision()) {
            Ok(watch) => watch,
            Err(error) => return error,
        };
        loop {
            let asked = Instant::now();
            match watch.next().await {
                Ok(batch) => {
                    self.compiler.apply(batch.revision, &batch.changes);
                    self.publish();
                }
                Err(error @ StoreError::Unavailable { .. }) => {
                    tracing::error!(%error, "the store cannot be watched");
                    sleep(WATCH_PAUSE.saturating_sub(asked.elapsed())).await;
                }
                Err(error) => return error,
            }
        }
    }

    fn publish(&mut self) {
        self.published.publish(self.compiler.snapshot());
        self.report();
    }

    fn report(&self) {
        let problems = self
            .compiler
            .problems()
            .iter()
            .map(|(key, problem)| (key.clone(), problem.clone()))
            .collect();
        *self
            .status
            .problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = problems;
        self.status
            .revision
            .send_replace(self.published.load().revision);
    }
}

/// Brings the compiler to the state of a listing: everything in it, and nothing else.
fn take_listing(compiler: &mut Compiler, listing: Listing) {
    let listed: HashSet<&str> = listing.entries.iter().map(|entry| &*entry.key).collect();
    let mut changes: Vec<Change> = compiler
        .keys()
        .filter(|key| !listed.contains(&**key))
        .map(|key| Change::Delete {
            key,
            revision: listing.revision,
        })
        .collect();
    drop(listed);
    changes.extend(listing.entries.into_iter().map(Change::Put));
    compiler.apply(listing.revision, &changes);
}
