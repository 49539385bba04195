//! The store of a configuration file: read at start, looked at each second, and read again when it has changed
//! (`apisix/core/config_yaml.lua`).
//!
//! What stands in the file is for whoever reads it to say ([`Read`]); here it is bytes. A file that cannot be read, or that the reader
//! refuses as a whole, leaves the configuration as it was, and is told of once.

use std::{
    fmt,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::sleep};

use crate::{
    BoxFuture, Delete, Entry, Item, Listing, Put, Revision, Store, StoreError, Watch, Whole,
    Written,
    limits::{FILE_BYTES, FILE_POLL},
    whole::read_only,
};

/// Makes objects of the bytes of a file. The error is why it cannot be used as a whole.
pub type Read = Arc<dyn Fn(Vec<u8>) -> BoxFuture<'static, Result<Reading, String>> + Send + Sync>;

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The objects.
    pub items: Vec<Item>,
    /// What was left out.
    pub rejected: Vec<Rejected>,
}

/// Something in a file that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Key without the prefix, such as `routes/1`.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// Settings of a store of a file.
#[derive(Clone)]
pub struct FileOptions {
    /// Where it is.
    pub path: PathBuf,
    /// Reads it.
    pub read: Read,
    /// Time between two looks at it; default 1 s.
    pub poll: Duration,
}

impl FileOptions {
    /// The usual settings.
    pub fn new(path: impl Into<PathBuf>, read: Read) -> Self {
        Self {
            path: path.into(),
            read,
            poll: FILE_POLL,
        }
    }
}

/// The store of a file. Dropping it ends the looks.
pub struct File {
    path: String,
    shared: Arc<Followed>,
    following: JoinHandle<()>,
}

/// What the looks at the file fill.
#[derive(Debug, Default)]
struct Followed {
    whole: Whole,
    rejected: Mutex<Vec<Rejected>>,
}

impl File {
    /// Reads the file and follows it. Where it cannot be used, the store is empty until it can.
    pub async fn open(options: FileOptions) -> Self {
        let shared = Arc::<Followed>::default();
        let path = options.path.display().to_string();
        let mut follower = Follower {
            options,
            shared: shared.clone(),
            stamp: None,
            failure: None,
        };
        follower.look().await;
        let following = tokio::spawn(follower.follow());
        Self {
            path,
            shared,
            following,
        }
    }

    /// Whether the file has been read.
    pub fn is_filled(&self) -> bool {
        self.shared.whole.is_filled()
    }

    /// What was left out of it.
    pub fn rejected(&self) -> Vec<Rejected> {
        let rejected = self.shared.rejected.lock();
        rejected.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl fmt::Debug for File {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("File")
            .field("path", &self.path)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl Store for File {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        self.shared.whole.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        self.shared.whole.list(prefix)
    }

    fn put(&self, _put: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async { Err(read_only(&self.path)) })
    }

    fn delete(&self, _delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async { Err(read_only(&self.path)) })
    }

    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.shared.whole.watch(after)
    }
}

/// Tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    bytes: u64,
    /// Differs where another file was moved to the place.
    inode: (u64, u64),
}

/// Looks at the file.
struct Follower {
    options: FileOptions,
    shared: Arc<Followed>,
    /// State of the file that was read last, whether it could be used or not.
    stamp: Option<Stamp>,
    /// What was told of last.
    failure: Option<String>,
}

impl Follower {
    async fn follow(mut self) {
        loop {
            sleep(self.options.poll).await;
            self.look().await;
        }
    }

    /// Looks whether the file has changed, and takes it in then.
    async fn look(&mut self) {
        let (path, known) = (self.options.path.clone(), self.stamp);
        let read = tokio::task::spawn_blocking(move || read_changed(&path, known)).await;
        let outcome = match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(None) => return,
            Ok(Some((stamp, bytes))) => {
                self.stamp = Some(stamp);
                (self.options.read)(bytes).await
            }
            Err(error) => Err(error.to_string()),
        };
        let path = self.options.path.display();
        match outcome {
            Ok(reading) => {
                self.failure = None;
                self.take(reading);
                tracing::warn!("config file {path} reloaded.");
            }
            Err(error) => {
                if self.failure.as_ref() != Some(&error) {
                    tracing::error!(%path, %error, "the configuration file cannot be used: what was read before stays in force");
                    self.failure = Some(error);
                }
            }
        }
    }

    fn take(&self, reading: Reading) {
        for Rejected { key, reason } in &reading.rejected {
            tracing::error!(%key, error = %reason, "failed to check item data: it is left out");
        }
        // Before the objects, so that who sees these sees what was left out of them.
        let rejected = self.shared.rejected.lock();
        *rejected.unwrap_or_else(PoisonError::into_inner) = reading.rejected;
        self.shared.whole.replace(reading.items);
    }
}

/// Reads a file if it is in another state than the known one.
fn read_changed(path: &Path, known: Option<Stamp>) -> io::Result<Option<(Stamp, Vec<u8>)>> {
    // The state is looked at before the bytes: a change in between shows at the next look.
    let found = std::fs::metadata(path)?;
    let stamp = Stamp {
        modified: (found.mtime(), found.mtime_nsec()),
        bytes: found.len(),
        inode: (found.dev(), found.ino()),
    };
    if Some(stamp) == known {
        return Ok(None);
    }
    if !found.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        let limit = FILE_BYTES >> 20;
        return Err(io::Error::other(format!("it is larger than {limit} MiB")));
    }
    Ok(Some((stamp, bytes)))
}
