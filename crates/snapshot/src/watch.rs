//! Follows a store and publishes what it says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lockgate_store::{Change, Entry, Listing, Revision, Store, StoreError};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{Compiler, Problem, Published, held::Held};

/// Pause before a store that cannot be read is asked again; the reference's default of `resync_delay`.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Least time between two failures of one watch. Stores that should be asked less often wait by themselves.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// How long the answer to a write is held back for the watcher. The write is durable by then.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// How long the start waits for secrets: somewhat longer than a manager that does not answer is waited for. What is late comes
/// into force later.
const FIRST_SECRETS: Duration = Duration::from_secs(6);

/// How long a change is held back for secrets that it refers to first, so that who wrote it finds it in force. Less than writes
/// are held back for it.
const NEW_SECRETS: Duration = Duration::from_millis(100);

/// What the watcher has taken in, for the control API and for the watcher that follows it.
#[derive(Debug, Default)]
pub struct Status {
    revision: watch::Sender<u64>,
    problems: Mutex<BTreeMap<Arc<str>, Problem>>,
    taken: Mutex<Taken>,
}

/// What is in force.
#[derive(Debug, Default)]
struct Taken {
    held: Held,
    /// Revision of the newest write, by kind of object.
    written: BTreeMap<Box<str>, u64>,
    /// The store was made anew and has nothing in it: what is in force is of the one before.
    is_orphaned: bool,
}

impl Taken {
    fn take(&mut self, changes: &[Change]) {
        self.held.take(changes);
        for change in changes {
            if let Change::Put(entry) = change
                && let Some((kind, _)) = entry.key.split_once('/')
            {
                let newest = match self.written.get_mut(kind) {
                    Some(newest) => newest,
                    None => self.written.entry(kind.into()).or_default(),
                };
                *newest = entry.mod_revision.max(*newest);
            }
        }
    }
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

    /// As [`Self::reached`], but not for ever: an answer that is held back for longer helps nobody.
    pub async fn reached_soon(&self, revision: u64) {
        let reached = tokio::time::timeout(ANSWER_LIMIT, self.reached(revision));
        if reached.await.is_err() {
            tracing::warn!(revision, "a write is answered before it is in force");
        }
    }

    /// Revision of the newest write of an object that was taken in, by kind: `routes`, `services`, …
    pub fn written(&self) -> BTreeMap<Box<str>, u64> {
        self.lock_taken().written.clone()
    }

    #[cfg(test)]
    pub(crate) fn publish_for_test(&self, revision: u64) {
        self.revision.send_replace(revision);
    }

    /// What is stored but not in force as it stands, by key.
    pub fn problems(&self) -> Vec<(Arc<str>, Problem)> {
        let problems = self.lock_problems();
        let problems = problems.iter();
        problems
            .map(|(key, problem)| (key.clone(), problem.clone()))
            .collect()
    }

    fn lock_taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_problems(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Problem>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store, the compiler fed from it, and where its snapshots go.
pub struct Watcher {
    store: Arc<dyn Store>,
    compiler: Compiler,
    published: Arc<Published>,
    status: Arc<Status>,
    _asking: Asking,
}

/// The task that asks managers for secrets.
struct Asking(JoinHandle<()>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watcher")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    /// Reads the whole store and compiles it; secrets that it refers to are asked for. `before` is what a watcher that has
    /// followed the same store until then reports to: where the store was made anew and is empty, what was in force stays.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        store: Arc<dyn Store>,
        mut compiler: Compiler,
        before: Option<&Status>,
    ) -> Result<Self, StoreError> {
        // Looked at first: from there a store only goes on.
        let known = before.map(|before| (before.revision(), before.lock_taken().is_orphaned));
        let listing = store.list("").await?;
        let revision = listing.revision;
        let mut entries = listing.entries;
        let mut is_orphaned = false;
        if let (Some(before), Some((known, was_orphaned))) = (before, known)
            && entries.is_empty()
            && (was_orphaned || revision < known)
        {
            entries = before.lock_taken().held.entries();
            is_orphaned = !entries.is_empty();
        }
        let published = Arc::new(Published::new(compiler.snapshot()));
        let asking = Asking(tokio::spawn(compiler.secrets().clone().run()));
        let mut watcher = Self {
            store,
            compiler,
            published,
            status: Arc::default(),
            _asking: asking,
        };
        if is_orphaned {
            warn_of_orphans(revision);
        }
        watcher.status.lock_taken().is_orphaned = is_orphaned;
        let everything: Vec<Change> = entries.into_iter().map(Change::Put).collect();
        watcher.take(revision, &everything, FIRST_SECRETS).await;
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
                Ok(()) => {}
                Err(StoreError::Compacted { oldest }) => {
                    tracing::warn!(oldest, "changes were missed: the store is read anew");
                }
                Err(error) => {
                    tracing::error!(%error, "the store cannot be watched");
                    sleep(RETRY_PAUSE).await;
                }
            }
            match self.store.list("").await {
                Ok(listing) => self.take_listing(listing).await,
                Err(error) => {
                    tracing::error!(%error, "the store cannot be read");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Takes in changes until the watch ends, or until the store has to be read anew. While the store is away the watch is
    /// kept: it goes on where it was, and nothing has to be read anew.
    async fn follow(&mut self) -> Result<(), StoreError> {
        let mut watch = self.store.watch(self.status.revision())?;
        loop {
            let asked = Instant::now();
            let secrets = self.compiler.secrets().clone();
            let switched = self.compiler.switched();
            let next = tokio::select! {
                next = watch.next() => next,
                references = secrets.changed() => {
                    self.compiler.secrets_changed(&references);
                    self.publish();
                    continue;
                }
                () = switched.notified() => {
                    self.take_plugins_anew();
                    continue;
                }
            };
            match next {
                Ok(_) if self.status.lock_taken().is_orphaned => return Ok(()),
                Ok(batch) => self.take(batch.revision, &batch.changes, NEW_SECRETS).await,
                Err(error @ StoreError::Unavailable { .. }) => {
                    tracing::error!(%error, "the store cannot be watched");
                    sleep(WATCH_PAUSE.saturating_sub(asked.elapsed())).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Brings everything to the state of a listing. What it leaves as it was is not touched.
    ///
    /// A store that has gone back and is empty is taken for one that is about to be filled: what is in force stays until
    /// something is written to it. The reference does the same, because its watch hears of nothing until then.
    async fn take_listing(&mut self, listing: Listing) {
        let revision = listing.revision;
        let changes = {
            let mut taken = self.status.lock_taken();
            let has_gone_back = taken.is_orphaned || revision < self.status.revision();
            taken.is_orphaned =
                has_gone_back && listing.entries.is_empty() && !taken.held.is_empty();
            (!taken.is_orphaned).then(|| taken.held.changes_to(listing))
        };
        let Some(changes) = changes else {
            warn_of_orphans(revision);
            self.take(revision, &[], NEW_SECRETS).await;
            return;
        };
        tracing::info!(revision, changes = changes.len(), "the store was read anew");
        self.take(revision, &changes, NEW_SECRETS).await;
    }

    /// Takes changes in and publishes what comes of them; secrets that are new are waited for at most for this time.
    async fn take(&mut self, revision: Revision, changes: &[Change], limit: Duration) {
        self.status.lock_taken().take(changes);
        self.compiler.apply(revision, changes);
        self.publish();
        let secrets = self.compiler.secrets().clone();
        if secrets.is_pending() {
            secrets.settled(limit).await;
            let changed = secrets.take_changed();
            self.compiler.secrets_changed(&changed);
            self.publish();
        }
        self.status.revision.send_replace(revision);
    }

    /// Compiles every object with plugins anew: others are switched on than before.
    fn take_plugins_anew(&mut self) {
        self.compiler.serve_endpoints();
        let names_plugins = |entry: &Entry| {
            entry.key.starts_with("plugin_metadata/")
                || memchr::memmem::find(&entry.value, b"\"plugins\"").is_some()
        };
        let entries = self.status.lock_taken().held.entries();
        let changes: Vec<Change> = entries
            .into_iter()
            .filter(names_plugins)
            .map(Change::Put)
            .collect();
        self.compiler.apply(self.status.revision(), &changes);
        self.publish();
    }

    fn publish(&mut self) {
        self.published.publish(self.compiler.snapshot());
        self.compiler.publish_consumers();
        let problems = self.compiler.take_problem_changes();
        if !problems.is_empty() {
            let mut known = self.status.lock_problems();
            for (key, problem) in problems {
                match problem {
                    Some(problem) => known.insert(key, problem),
                    None => known.remove(&key),
                };
            }
        }
    }
}

fn warn_of_orphans(revision: Revision) {
    tracing::warn!(
        revision,
        "the store was made anew and is empty: the last configuration stays in force until something is written"
    );
}
