//! What lies on disk: four tables, changed together in one transaction.

use std::{collections::BTreeMap, sync::Arc};

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition, TableHandle, WriteTransaction,
};

use super::{HistoryLimits, plan::Planned, state::Stored};
use crate::{Revision, limits};

/// Key → create revision, mod revision, expiry in Unix milliseconds (0: none), value.
pub(super) const ENTRIES: TableDefinition<'_, &str, EntryRow> = TableDefinition::new("entries");
pub(super) type EntryRow = (u64, u64, u64, &'static [u8]);

/// Revision → Unix milliseconds, key, author's name, author's address, is a removal; of what was replaced: create revision
/// (0: nothing was), mod revision, value.
pub(super) const HISTORY: TableDefinition<'_, u64, HistoryRow> = TableDefinition::new("history");
pub(super) type HistoryRow = (
    u64,
    &'static str,
    &'static str,
    &'static str,
    bool,
    u64,
    u64,
    &'static [u8],
);

/// The revisions of the history, by key.
pub(super) const HISTORY_KEYS: TableDefinition<'_, (&str, u64), ()> =
    TableDefinition::new("history_keys");

/// Single numbers.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// In [`META`]: version of this layout.
pub(super) const FORMAT: &str = "format";
/// The version that is written and read.
pub(super) const FORMAT_VERSION: u64 = 1;
/// In [`META`]: newest revision.
const REVISION: &str = "revision";
/// In [`META`]: size of the history as [`record_bytes`] counts it.
const HISTORY_BYTES: &str = "history_bytes";

/// Everything that is read at the start.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) revision: Revision,
    pub(super) entries: BTreeMap<Arc<str>, Stored>,
    /// When the oldest record of the history was made.
    pub(super) oldest_record_ms: Option<u64>,
}

/// Makes the tables in an empty database.
pub(super) fn create(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(HISTORY)?;
    transaction.open_table(HISTORY_KEYS)?;
    transaction
        .open_table(META)?
        .insert(FORMAT, FORMAT_VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Version of the layout; `None` where the database is not a store.
pub(super) fn format(transaction: &ReadTransaction) -> Result<Option<u64>, redb::Error> {
    if transaction
        .list_tables()?
        .all(|table| table.name() != META.name())
    {
        return Ok(None);
    }
    let format = transaction.open_table(META)?.get(FORMAT)?;
    Ok(format.map(|format| format.value()))
}

/// Whether nothing has been made in a database.
pub(super) fn is_empty(transaction: &ReadTransaction) -> Result<bool, redb::Error> {
    Ok(transaction.list_tables()?.next().is_none()
        && transaction.list_multimap_tables()?.next().is_none())
}

pub(super) fn revision(database: &Database) -> Result<Revision, redb::Error> {
    number(&database.begin_read()?.open_table(META)?, REVISION)
}

pub(super) fn load(database: &Database) -> Result<Loaded, redb::Error> {
    let transaction = database.begin_read()?;
    let mut loaded = Loaded {
        revision: number(&transaction.open_table(META)?, REVISION)?,
        ..Loaded::default()
    };
    let mut entries = Vec::new();
    for row in transaction.open_table(ENTRIES)?.iter()? {
        let (key, row) = row?;
        let (create_revision, mod_revision, expires_ms, value) = row.value();
        let stored = Stored {
            value: value.into(),
            create_revision,
            mod_revision,
            expires_ms: (expires_ms != 0).then_some(expires_ms),
        };
        entries.push((Arc::<str>::from(key.value()), stored));
    }
    // In order, so that the map is built without a search for each.
    loaded.entries = entries.into_iter().collect();
    loaded.oldest_record_ms = oldest_record_ms(&transaction.open_table(HISTORY)?)?;
    Ok(loaded)
}

/// Writes a batch and trims the history, durably. Answers when the oldest record left was made.
pub(super) fn write(
    database: &Database,
    changes: &[Planned],
    now_ms: u64,
    limits: &HistoryLimits,
) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_write()?;
    let oldest_record_ms = write_tables(&transaction, changes, now_ms, limits)?;
    transaction.commit()?;
    Ok(oldest_record_ms)
}

fn write_tables(
    transaction: &WriteTransaction,
    changes: &[Planned],
    now_ms: u64,
    limits: &HistoryLimits,
) -> Result<Option<u64>, redb::Error> {
    let mut entries = transaction.open_table(ENTRIES)?;
    let mut history = transaction.open_table(HISTORY)?;
    let mut history_keys = transaction.open_table(HISTORY_KEYS)?;
    let mut meta = transaction.open_table(META)?;
    let mut history_bytes = number(&meta, HISTORY_BYTES)?;
    for change in changes {
        let key = &*change.key;
        match &change.new {
            Some(new) => {
                let row = (
                    new.create_revision,
                    new.mod_revision,
                    new.expires_ms.unwrap_or(0),
                    &*new.value,
                );
                entries.insert(key, row)?;
            }
            None => {
                entries.remove(key)?;
            }
        }
        let (old_create, old_mod, old_value) = match &change.old {
            Some(old) => (old.create_revision, old.mod_revision, &*old.value),
            None => (0, 0, &[][..]),
        };
        let row = (
            now_ms,
            key,
            &*change.author.name,
            &*change.author.address,
            change.new.is_none(),
            old_create,
            old_mod,
            old_value,
        );
        history_bytes += record_bytes(row);
        history.insert(change.revision, row)?;
        history_keys.insert((key, change.revision), ())?;
    }
    let mut trim = Trim {
        history: &mut history,
        keys: &mut history_keys,
        bytes: &mut history_bytes,
    };
    let budget = match changes.len() {
        0 => limits::TRIM_IDLE,
        written => 2 * written + limits::TRIM_STEP,
    };
    trim.run(now_ms, limits, budget)?;
    meta.insert(HISTORY_BYTES, history_bytes)?;
    if let Some(newest) = changes.last() {
        meta.insert(REVISION, newest.revision)?;
    }
    oldest_record_ms(&history)
}

/// The history of an open transaction.
struct Trim<'a, 'txn> {
    history: &'a mut Table<'txn, u64, HistoryRow>,
    keys: &'a mut Table<'txn, (&'static str, u64), ()>,
    bytes: &'a mut u64,
}

impl Trim<'_, '_> {
    /// Removes the oldest records while there are too many, or they are too large or too old; at most `budget` of them.
    fn run(
        &mut self,
        now_ms: u64,
        limits: &HistoryLimits,
        budget: usize,
    ) -> Result<(), redb::Error> {
        let max_age_ms = u64::try_from(limits.max_age.as_millis()).unwrap_or(u64::MAX);
        for _ in 0..budget {
            let is_full =
                self.history.len()? > limits.max_records || *self.bytes > limits.max_bytes;
            let revision = {
                let Some((revision, row)) = self.history.first()? else {
                    break;
                };
                let (revision, row) = (revision.value(), row.value());
                if !is_full && row.0.saturating_add(max_age_ms) > now_ms {
                    break;
                }
                self.keys.remove((row.1, revision))?;
                *self.bytes = self.bytes.saturating_sub(record_bytes(row));
                revision
            };
            self.history.remove(revision)?;
        }
        Ok(())
    }
}

fn record_bytes(row: (u64, &str, &str, &str, bool, u64, u64, &[u8])) -> u64 {
    let (_, key, name, address, _, _, _, value) = row;
    // The key is kept twice.
    (2 * key.len() + name.len() + address.len() + value.len()) as u64 + limits::RECORD_BYTES
}

fn oldest_record_ms(
    history: &impl ReadableTable<u64, HistoryRow>,
) -> Result<Option<u64>, redb::Error> {
    Ok(history.first()?.map(|(_, row)| row.value().0))
}

fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, redb::Error> {
    Ok(meta.get(name)?.map_or(0, |number| number.value()))
}
