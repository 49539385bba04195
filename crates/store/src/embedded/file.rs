//! The file under the database: who may open it, and the seam where tests put a disk that fails.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::StorageBackend;

use crate::{StoreError, limits::UNFINISHED_BYTES};

/// How a database of redb begins.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// Bytes at the start of the file that redb writes before it writes [`MAGIC`].
const HEADER_BYTES: u64 = 4096;

/// Bytes at certain places of a disk.
pub(super) trait Medium: fmt::Debug + Send + Sync + 'static {
    fn len(&self) -> io::Result<u64>;
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Waits until everything written will survive a loss of power.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is locked for as long as it is open.
#[derive(Debug)]
pub(super) struct LockedFile(File);

impl Medium for LockedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing is not enough while a process that is being started has yet to close what it was given. If this fails, that
        // is all there is.
        let _ = self.0.unlock();
    }
}

/// Opens the file of a store, making it and its directory where there is none, and keeps every other process out for as long
/// as it is open. Only the owner may read a new one: it holds keys.
pub(super) fn open(path: &Path) -> Result<LockedFile, StoreError> {
    let unavailable = |error: io::Error| StoreError::Unavailable {
        action: format!("opening the store {}", path.display()),
        reason: error.to_string(),
    };
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let directory = directory_of(path);
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(directory).map_err(unavailable)?;
            options.open(path)
        }
        opened => opened,
    }
    .map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Locked {
                path: path.display().to_string(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(unavailable(error)),
    }
    // A file whose name is lost with the power takes with it what was written to it.
    sync_directory(directory).map_err(unavailable)?;
    Ok(LockedFile(file))
}

/// Makes a directory and those above it, durably.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory_of(directory);
    make_directory(parent)?;
    match fs::create_dir(directory) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        made => made?,
    }
    sync_directory(parent)
}

/// Where a file or directory lies.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

/// Makes a file that only its owner may read.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes new names in a directory survive a loss of power.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Empties a file whose creation was cut short. redb refuses those: it makes room, writes everything but its magic number,
/// and that number last; nothing is stored in such a file.
pub(super) fn forget_unfinished(medium: &dyn Medium) -> io::Result<()> {
    let len = medium.len()?;
    if len == 0 || len > UNFINISHED_BYTES {
        return Ok(());
    }
    let mut content = vec![0; len as usize];
    medium.read_at(0, &mut content)?;
    let is_zero =
        |bytes: Option<&[u8]>| bytes.is_none_or(|bytes| bytes.iter().all(|&byte| byte == 0));
    let magic = ..content.len().min(MAGIC.len());
    let body = content.len().min(HEADER_BYTES as usize)..;
    if is_zero(content.get(magic)) && is_zero(content.get(body)) {
        medium.set_len(0)?;
    }
    Ok(())
}

/// What redb sees of a medium. Locking is not its business: the file is locked while this process has it, also between a
/// database that failed and the one opened in its place.
#[derive(Debug)]
pub(super) struct Backend {
    medium: Arc<dyn Medium>,
    sync_failed: Arc<AtomicBool>,
}

impl Backend {
    /// `sync_failed` is set when a sync fails, after which nobody knows what the disk holds.
    pub(super) fn new(medium: Arc<dyn Medium>, sync_failed: Arc<AtomicBool>) -> Self {
        Self {
            medium,
            sync_failed,
        }
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.medium.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.medium.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.medium.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.medium.sync();
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::Release);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.write_at(offset, data)
    }
}
