//! The newest configuration in a file, for a start while etcd is away.
//!
//! What is read from etcd and what its watch brings is kept in memory as well, the values shared with whoever else holds them,
//! and a task of its own writes it whenever it has changed: at most once a second, and for large configurations so rarely that
//! it takes no more than a twentieth of the time. The file is replaced as a whole, so that it always holds one whole state.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

use super::limits;
use crate::{Batch, Change, Entry, Listing, Recalled, Revision};

/// Version of the file's layout.
const FORMAT: u32 = 1;

/// The copy of one store.
#[derive(Debug)]
pub(super) struct LocalCopy {
    shared: Arc<Shared>,
    writer: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    prefix: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The store, once it has been read.
    held: Option<Held>,
    /// The file, until it has been started from, or etcd has answered.
    for_start: Option<Listing>,
}

#[derive(Debug)]
struct Held {
    revision: Revision,
    entries: BTreeMap<Arc<str>, Entry>,
}

/// Why the file cannot be started from.
#[derive(Debug, Error)]
pub(super) enum CopyError {
    #[error("there is no local copy {0}")]
    Missing(String),
    #[error("the local copy {0} cannot be read: {1}")]
    Unreadable(String, String),
    #[error("the local copy {0} is one of the prefix {1}")]
    OtherPrefix(String, String),
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    format: u32,
    prefix: Cow<'a, str>,
    saved_at_unix_s: u64,
    revision: Revision,
    entries: Vec<Item<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Item<'a> {
    key: Cow<'a, str>,
    /// The value if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    /// The value if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    create_revision: Revision,
    mod_revision: Revision,
}

impl LocalCopy {
    /// A copy in a file; must be called in a runtime.
    pub(super) fn new(path: PathBuf, prefix: &str) -> Self {
        let shared = Arc::new(Shared {
            path,
            prefix: prefix.to_owned(),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let writer = tokio::spawn(keep_written(shared.clone())).abort_handle();
        Self { shared, writer }
    }

    /// Reads the file for a start without etcd, which is away for `reason`, and says so.
    pub(super) fn load(&self, reason: &str) -> Result<(), CopyError> {
        let path = &self.shared.path;
        let (listing, age) = read(path, &self.shared.prefix)?;
        tracing::warn!(
            path = %path.display(),
            age_s = age.as_secs(),
            revision = listing.revision,
            objects = listing.entries.len(),
            reason,
            "etcd is away: the start is made from the local copy of the last configuration seen"
        );
        self.shared.lock().for_start = Some(listing);
        Ok(())
    }

    /// Whether the file has been loaded and not been used.
    pub(super) fn is_for_start(&self) -> bool {
        self.shared.lock().for_start.is_some()
    }

    /// What was loaded, once, if nothing has come from etcd yet.
    pub(super) fn take_for_start(&self) -> Option<Listing> {
        let mut state = self.shared.lock();
        let listing = state.for_start.take()?;
        state.held = Some(Held::of(&listing));
        Some(listing)
    }

    /// What is held of a key.
    pub(super) fn recall(&self, key: &str) -> Recalled {
        let state = self.shared.lock();
        match &state.held {
            None => Recalled::Unknown,
            Some(held) => match held.entries.get(key) {
                Some(entry) => Recalled::Entry(entry.clone()),
                None => Recalled::Absent,
            },
        }
    }

    /// The revision that is held; 0 where none is.
    pub(super) fn revision(&self) -> Revision {
        let state = self.shared.lock();
        state.held.as_ref().map_or(0, |held| held.revision)
    }

    /// Takes over a listing of the whole store. `known` is the revision that was held when the listing was asked for: an older
    /// listing means that etcd has gone back. One that has gone back to nothing is not taken over: it is about to be filled, and
    /// who reads it keeps what there was as well.
    pub(super) fn replace(&self, known: Revision, listing: &Listing) {
        let mut state = self.shared.lock();
        state.for_start = None;
        let is_overtaken = state
            .held
            .as_ref()
            .is_some_and(|held| (known..held.revision).contains(&listing.revision));
        let is_wiped = listing.entries.is_empty()
            && state
                .held
                .as_ref()
                .is_some_and(|held| listing.revision < held.revision && !held.entries.is_empty());
        if is_overtaken || is_wiped {
            return;
        }
        state.held = Some(Held::of(listing));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Takes over what a watch brought to one who was at `after`.
    pub(super) fn apply(&self, after: Revision, batch: &Batch) {
        let mut state = self.shared.lock();
        // What is held already is not taken again, and nothing after a gap.
        let held = state.held.as_mut();
        let Some(held) = held.filter(|held| (after..batch.revision).contains(&held.revision))
        else {
            return;
        };
        held.apply(batch);
        drop(state);
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
impl LocalCopy {
    /// Writes what is held, at once.
    pub(super) fn write_now(&self) -> io::Result<()> {
        self.shared.write()
    }
}

impl Drop for LocalCopy {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Held {
    fn of(listing: &Listing) -> Self {
        let entries = listing.entries.iter();
        Self {
            revision: listing.revision,
            entries: entries
                .map(|entry| (entry.key.clone(), entry.clone()))
                .collect(),
        }
    }

    fn apply(&mut self, batch: &Batch) {
        for change in &batch.changes {
            match change {
                Change::Put(entry) if entry.mod_revision > self.revision => {
                    self.entries.insert(entry.key.clone(), entry.clone());
                }
                Change::Delete { key, revision } if *revision > self.revision => {
                    self.entries.remove(key);
                }
                Change::Put(_) | Change::Delete { .. } => {}
            }
        }
        self.revision = batch.revision;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is held. Blocks.
    fn write(&self) -> io::Result<()> {
        let (revision, entries) = match &self.lock().held {
            None => return Ok(()),
            Some(held) => (
                held.revision,
                held.entries.values().cloned().collect::<Vec<Entry>>(),
            ),
        };
        let document = Document {
            format: FORMAT,
            prefix: Cow::Borrowed(&self.prefix),
            saved_at_unix_s: unix_s(),
            revision,
            entries: entries.iter().map(Item::of).collect(),
        };
        replace_file(&self.path, &document)
    }
}

impl<'a> Item<'a> {
    fn of(entry: &'a Entry) -> Self {
        let text = std::str::from_utf8(&entry.value).ok();
        Self {
            key: Cow::Borrowed(&entry.key),
            base64: text.is_none().then(|| STANDARD.encode(&entry.value)),
            value: text.map(Cow::Borrowed),
            create_revision: entry.create_revision,
            mod_revision: entry.mod_revision,
        }
    }

    fn into_entry(self) -> Result<Entry, String> {
        let value = match (self.value, self.base64) {
            (Some(text), None) => text.into_owned().into_bytes(),
            (None, Some(base64)) => STANDARD
                .decode(base64)
                .map_err(|error| format!("{}: {error}", self.key))?,
            _ => return Err(format!("{} must have one value", self.key)),
        };
        Ok(Entry {
            key: self.key.into(),
            value: value.into(),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
        })
    }
}

/// Writes the file after changes, for ever.
async fn keep_written(shared: Arc<Shared>) {
    let mut has_failed = false;
    loop {
        shared.changed.notified().await;
        let started = Instant::now();
        let writing = shared.clone();
        let outcome = tokio::task::spawn_blocking(move || writing.write())
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let path = shared.path.display();
        match outcome {
            Ok(()) if has_failed => tracing::info!(%path, "the local copy is written again"),
            Ok(()) => {}
            Err(error) => {
                if !has_failed {
                    tracing::warn!(%path, %error, "the local copy of the configuration cannot be written");
                }
                // Tried again, also where nothing changes any more.
                shared.changed.notify_one();
                has_failed = true;
                tokio::time::sleep(limits::COPY_RETRY).await;
                continue;
            }
        }
        has_failed = false;
        let pause = started.elapsed() * limits::COPY_PARTS;
        tokio::time::sleep(pause.max(limits::COPY_PAUSE)).await;
    }
}

/// Puts a file in place as a whole, on the disk when this returns, readable by its owner alone.
fn replace_file(path: &Path, document: &Document<'_>) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // What an earlier process left half-written may have other rights.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let mut out = BufWriter::new(file);
    serde_json::to_writer(&mut out, document)?;
    out.write_all(b"\n")?;
    out.into_inner()?.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

/// Reads a file: what is in it, and how long ago it was written.
pub(super) fn read(path: &Path, prefix: &str) -> Result<(Listing, Duration), CopyError> {
    let name = || path.display().to_string();
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CopyError::Missing(name()),
        _ => CopyError::Unreadable(name(), error.to_string()),
    })?;
    let unreadable = |reason: String| CopyError::Unreadable(name(), reason);
    let document: Document<'_> =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if document.format != FORMAT {
        return Err(unreadable(format!(
            "its format is {}, not {FORMAT}",
            document.format
        )));
    }
    if document.prefix != prefix {
        return Err(CopyError::OtherPrefix(name(), document.prefix.into_owned()));
    }
    let mut entries: Vec<Entry> = document
        .entries
        .into_iter()
        .map(Item::into_entry)
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    entries.sort_by_key(|entry| entry.create_revision);
    let age = unix_s().saturating_sub(document.saved_at_unix_s);
    let listing = Listing {
        revision: document.revision,
        entries,
    };
    Ok((listing, Duration::from_secs(age)))
}

fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
