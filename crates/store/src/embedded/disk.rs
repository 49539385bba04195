//! The database on its file: opened, written, and opened again after it failed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Builder, Database, ReadTransaction, ReadableDatabase};

use super::{
    HistoryLimits,
    file::{self, Backend, Medium},
    plan::Planned,
    tables::{self, Loaded},
};
use crate::{Revision, StoreError};

/// Why a batch was not written, for those who asked for it.
pub(super) type Reason = String;

/// A store's file and the database in it.
#[derive(Debug)]
pub(super) struct Disk {
    /// For messages.
    path: String,
    medium: Arc<dyn Medium>,
    cache_bytes: usize,
    /// `None` after a failed write, until it can be opened again.
    database: Option<Database>,
    sync_failed: Arc<AtomicBool>,
    given_up: Option<Reason>,
}

impl Disk {
    /// Opens the database on a medium that nobody else uses, and reads what is in it.
    pub(super) fn open(
        path: &Path,
        medium: Arc<dyn Medium>,
        cache_bytes: usize,
    ) -> Result<(Self, Loaded), StoreError> {
        let path = path.display().to_string();
        let mut disk = Self {
            path,
            medium,
            cache_bytes,
            database: None,
            sync_failed: Arc::default(),
            given_up: None,
        };
        let database = disk.open_database()?;
        let loaded = tables::load(&database).map_err(|error| disk.opening_failed(error))?;
        disk.database = Some(database);
        Ok((disk, loaded))
    }

    /// Whether the database can be used; if not, [`Self::reopen`] may help.
    pub(super) fn is_open(&self) -> bool {
        self.database.is_some()
    }

    /// Why no write is taken until the process starts anew, if that is so.
    ///
    /// The system forgets which writes a failed sync has not brought to the disk, and the next sync succeeds without them.
    /// Opened again, the file would read as if all were well, and what is acknowledged after that could be lost.
    pub(super) fn poison(&self) -> Option<Reason> {
        if self.sync_failed.load(Ordering::Acquire) {
            return Some(format!(
                "the disk failed to keep what was written to {}; the store takes no writes until it is started anew",
                self.path
            ));
        }
        self.given_up.clone()
    }

    /// Takes no writes from here on.
    pub(super) fn give_up(&mut self, reason: Reason) -> Reason {
        self.database = None;
        self.given_up.insert(reason).clone()
    }

    /// Opens the database anew after a failed write; answers the revision it is at.
    pub(super) fn reopen(&mut self) -> Result<Revision, Reason> {
        if let Some(reason) = self.poison() {
            return Err(reason);
        }
        let database = self.open_database().map_err(|error| error.to_string())?;
        let revision = tables::revision(&database).map_err(|error| error.to_string())?;
        self.database = Some(database);
        Ok(revision)
    }

    /// Writes a batch durably and trims the history; answers when its oldest record was made.
    ///
    /// After an error the database is closed, and whether the batch was written is seen when it is opened again.
    pub(super) fn write(
        &mut self,
        changes: &[Planned],
        now_ms: u64,
        limits: &HistoryLimits,
    ) -> Result<Option<u64>, Reason> {
        let Some(database) = &self.database else {
            return Err(format!("the store {} is closed after an error", self.path));
        };
        let written = catch_unwind(AssertUnwindSafe(|| {
            tables::write(database, changes, now_ms, limits)
        }));
        let reason = match written {
            Ok(Ok(oldest_record_ms)) => return Ok(oldest_record_ms),
            Ok(Err(error)) => error.to_string(),
            Err(_panic) => "the database failed unexpectedly".to_owned(),
        };
        // Closing panics too where a panic has left locks poisoned.
        let closed = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(closed)));
        Err(reason)
    }

    /// A picture of everything as it stands.
    pub(super) fn read(&self) -> Result<ReadTransaction, Reason> {
        match &self.database {
            Some(database) => database.begin_read().map_err(|error| error.to_string()),
            None => Err(format!("the store {} is closed after an error", self.path)),
        }
    }

    fn open_database(&self) -> Result<Database, StoreError> {
        file::forget_unfinished(&*self.medium).map_err(|error| StoreError::Unavailable {
            action: format!("reading the store {}", self.path),
            reason: error.to_string(),
        })?;
        let mut builder = Builder::new();
        builder
            .set_cache_size(self.cache_bytes)
            .set_check_integrity_on_open(true);
        let backend = Backend::new(self.medium.clone(), self.sync_failed.clone());
        // redb panics on some damages that its checksums do not cover.
        let opened = catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(backend)));
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(error)) => return Err(self.opening_failed(error)),
            Err(_panic) => return Err(self.damaged("it cannot be understood")),
        };
        self.prepare(&database)?;
        Ok(database)
    }

    /// Makes the tables of a new store, and refuses what is not a store.
    fn prepare(&self, database: &Database) -> Result<(), StoreError> {
        let look = || -> Result<_, redb::Error> {
            let transaction = database.begin_read()?;
            Ok((
                tables::is_empty(&transaction)?,
                tables::format(&transaction)?,
            ))
        };
        match look().map_err(|error| self.opening_failed(error))? {
            (true, _) => tables::create(database).map_err(|error| self.opening_failed(error)),
            (false, Some(tables::FORMAT_VERSION)) => Ok(()),
            (false, Some(format)) => Err(self.damaged(&format!(
                "its format is {format}, this version knows {}",
                tables::FORMAT_VERSION
            ))),
            (false, None) => Err(self.damaged("it is a database of something else")),
        }
    }

    fn opening_failed(&self, error: impl Into<redb::Error>) -> StoreError {
        match error.into() {
            redb::Error::Io(error) => match error.kind() {
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                    self.damaged(&error.to_string())
                }
                _ => self.unavailable(&error.to_string()),
            },
            redb::Error::DatabaseAlreadyOpen => StoreError::Locked {
                path: self.path.clone(),
            },
            error @ (redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::LockPoisoned(_)) => self.unavailable(&error.to_string()),
            error => self.damaged(&error.to_string()),
        }
    }

    fn unavailable(&self, reason: &str) -> StoreError {
        StoreError::Unavailable {
            action: format!("opening the store {}", self.path),
            reason: reason.to_owned(),
        }
    }

    fn damaged(&self, reason: &str) -> StoreError {
        StoreError::Damaged {
            what: format!("the store {}", self.path),
            reason: reason.to_owned(),
        }
    }
}
