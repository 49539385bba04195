//! Which consumers and credentials may hold a key, so that a write looks at those and not at all of them.
//!
//! A task follows the store from the first look on. What it knows is where to look and nothing more: what is there, the store is asked. Where
//! it cannot follow, or not in time, it says so, and all have to be looked at.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use lockgate_store::{Change, Entry, Revision, Store, StoreError};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::limits::{HOLDERS_STEP, HOLDERS_WAIT};

use super::consumer::KEYS;

/// Where consumers and credentials are in the store.
pub(super) const PREFIX: &str = "consumers/";

/// The index, and the task that keeps it.
pub(crate) struct Holders {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    task: Mutex<Option<Following>>,
}

#[derive(Default)]
struct Shared {
    index: Mutex<Index>,
    progress: watch::Sender<Progress>,
    /// Revision of the newest write of this process: a look that comes after it must see it.
    written: AtomicU64,
}

#[derive(Debug, Default, Clone, Copy)]
enum Progress {
    /// The store is being read.
    #[default]
    Reading,
    /// Everything up to this revision is known.
    At(Revision),
    /// The store cannot be followed.
    Lost,
}

/// Texts of keys, hashed as they are stored: encrypted, where they are.
#[derive(Default)]
struct Index {
    hash: RandomState,
    by_text: BTreeSet<(u64, Arc<str>)>,
    by_holder: HashMap<Arc<str>, Box<[u64]>>,
}

/// A task that ends with its owner.
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Holders {
    /// Nothing is read until something is asked.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            shared: Arc::default(),
            task: Mutex::default(),
        }
    }

    /// Notes a write of this process.
    pub(crate) fn wrote(&self, key: &str, revision: Revision) {
        if key.starts_with(PREFIX) {
            self.shared.written.fetch_max(revision, Ordering::AcqRel);
        }
    }

    /// Keys in the store of what may hold one of these texts in a field of a plugin; `None` where that is not known.
    pub(super) async fn of(&self, plugin: &str, texts: &[String]) -> Option<Vec<Arc<str>>> {
        self.follow();
        let written = self.shared.written.load(Ordering::Acquire);
        let mut progress = self.shared.progress.subscribe();
        let known = progress.wait_for(|progress| match progress {
            Progress::Reading => false,
            Progress::At(revision) => *revision >= written,
            Progress::Lost => true,
        });
        let known = *timeout(HOLDERS_WAIT, known).await.ok()?.ok()?;
        if matches!(known, Progress::Lost) {
            return None;
        }
        let index = lock(&self.shared.index);
        let holders = texts.iter().flat_map(|text| index.find(plugin, text));
        Some(holders.collect())
    }

    /// Sees to it that the store is followed.
    fn follow(&self) {
        let mut task = lock(&self.task);
        if task.as_ref().is_some_and(|task| !task.0.is_finished()) {
            return;
        }
        self.shared.progress.send_replace(Progress::Reading);
        let (store, shared) = (self.store.clone(), self.shared.clone());
        *task = Some(Following(tokio::spawn(async move {
            if let Err(error) = shared.keep(store).await {
                tracing::debug!(%error, "the keys of consumers cannot be followed");
                if matches!(error, StoreError::Compacted { .. }) {
                    // A store that was made anew does not get to where it was for a long time.
                    shared.written.store(0, Ordering::Release);
                }
            }
            shared.progress.send_replace(Progress::Lost);
        })));
    }
}

impl Shared {
    /// Reads the store and follows it for as long as that can be done.
    async fn keep(&self, store: Arc<dyn Store>) -> Result<(), StoreError> {
        let listing = store.list(PREFIX).await?;
        let mut watch = store.watch(listing.revision)?;
        // A watch does not keep a store open.
        drop(store);
        let mut index = Index::default();
        for entries in listing.entries.chunks(HOLDERS_STEP) {
            for entry in entries {
                index.put(entry);
            }
            tokio::task::yield_now().await;
        }
        *lock(&self.index) = index;
        let mut at = listing.revision;
        loop {
            self.progress.send_replace(Progress::At(at));
            let batch = watch.next().await?;
            let mut index = lock(&self.index);
            for change in &batch.changes {
                match change {
                    Change::Put(entry) if entry.key.starts_with(PREFIX) => index.put(entry),
                    Change::Put(_) => {}
                    Change::Delete { key, .. } => index.remove(key),
                }
            }
            at = batch.revision;
        }
    }
}

impl Index {
    fn put(&mut self, entry: &Entry) {
        self.remove(&entry.key);
        let Ok(value) = serde_json::from_slice::<Value>(&entry.value) else {
            return;
        };
        let Some(plugins) = value.get("plugins").and_then(Value::as_object) else {
            return;
        };
        let texts = KEYS.iter().filter_map(|(plugin, field)| {
            let text = plugins.get(*plugin)?.get(field)?.as_str()?;
            Some(self.hash.hash_one((*plugin, text)))
        });
        let texts: Box<[u64]> = texts.collect();
        if texts.is_empty() {
            return;
        }
        for text in &texts {
            self.by_text.insert((*text, entry.key.clone()));
        }
        self.by_holder.insert(entry.key.clone(), texts);
    }

    fn remove(&mut self, key: &str) {
        let Some((key, texts)) = self.by_holder.remove_entry(key) else {
            return;
        };
        for text in texts {
            self.by_text.remove(&(text, key.clone()));
        }
    }

    fn find(&self, plugin: &str, text: &str) -> impl Iterator<Item = Arc<str>> {
        let text = self.hash.hash_one((plugin, text));
        let from = self.by_text.range((text, Arc::from(""))..);
        from.take_while(move |(other, _)| *other == text)
            .map(|(_, key)| key.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
