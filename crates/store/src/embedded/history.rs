//! Reading back who changed what, and when.

use std::time::Duration;

use redb::{ReadTransaction, ReadableTable};

use super::tables::{HISTORY, HISTORY_KEYS, HistoryRow};
use crate::{Author, Entry, Revision, limits};

/// How much of the history is kept: what exceeds any of the bounds is removed with later writes, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Age; default 90 days. Records of a store that is not written may outlive it by an hour.
    pub max_age: Duration,
    /// Records, one for each write; default 100 000. Zero keeps no history.
    pub max_records: u64,
    /// Bytes of all records, most of which are replaced values; default 64 MiB.
    pub max_bytes: u64,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            max_age: limits::HISTORY_AGE,
            max_records: limits::HISTORY_RECORDS,
            max_bytes: limits::HISTORY_BYTES,
        }
    }
}

/// Which keys' history is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryOf {
    /// That of one key.
    Key(String),
    /// That of all keys that start with this; `""` for all there are.
    Prefix(String),
}

/// A question to the history. Answers are newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Which keys.
    pub of: HistoryOf,
    /// Only writes before this revision, for the next page.
    pub before: Option<Revision>,
    /// Most records to answer.
    pub limit: usize,
}

/// One write that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its revision.
    pub revision: Revision,
    /// Wall time, milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Who asked for it.
    pub author: Author,
    /// The key that was written or removed.
    pub key: String,
    /// The key was removed. If not, what was written is `previous` of the key's next record, or the value it has.
    pub is_removal: bool,
    /// What was replaced or removed.
    pub previous: Option<Entry>,
}

/// Answers a question from a picture of the disk.
pub(super) fn read(
    transaction: &ReadTransaction,
    query: &HistoryQuery,
) -> Result<Vec<Record>, redb::Error> {
    let before = query.before.unwrap_or(Revision::MAX);
    let history = transaction.open_table(HISTORY)?;
    let keys = transaction.open_table(HISTORY_KEYS)?;
    let revisions = match &query.of {
        HistoryOf::Key(key) => of_key(&keys, key, before, query.limit)?,
        HistoryOf::Prefix(prefix) if prefix.is_empty() => of_all(&history, before, query.limit)?,
        HistoryOf::Prefix(prefix) => of_prefix(&keys, prefix, before, query.limit)?,
    };
    let mut records = Vec::with_capacity(revisions.len());
    for revision in revisions {
        if let Some(row) = history.get(revision)? {
            records.push(record(revision, row.value()));
        }
    }
    Ok(records)
}

fn of_all(
    history: &impl ReadableTable<u64, HistoryRow>,
    before: Revision,
    limit: usize,
) -> Result<Vec<Revision>, redb::Error> {
    let newest = history.range(..before)?.rev().take(limit);
    newest.map(|row| Ok(row?.0.value())).collect()
}

fn of_key(
    keys: &impl ReadableTable<(&'static str, u64), ()>,
    key: &str,
    before: Revision,
    limit: usize,
) -> Result<Vec<Revision>, redb::Error> {
    let newest = keys.range((key, 0)..(key, before))?.rev().take(limit);
    newest.map(|row| Ok(row?.0.value().1)).collect()
}

fn of_prefix(
    keys: &impl ReadableTable<(&'static str, u64), ()>,
    prefix: &str,
    before: Revision,
    limit: usize,
) -> Result<Vec<Revision>, redb::Error> {
    let mut revisions = Vec::new();
    for row in keys.range((prefix, 0)..)? {
        let key = row?.0;
        let (key, revision) = key.value();
        if !key.starts_with(prefix) {
            break;
        }
        if revision < before {
            revisions.push(revision);
        }
    }
    revisions.sort_unstable_by(|a, b| b.cmp(a));
    revisions.truncate(limit);
    Ok(revisions)
}

fn record(revision: Revision, row: <HistoryRow as redb::Value>::SelfType<'_>) -> Record {
    let (unix_ms, key, name, address, is_removal, old_create, old_mod, old_value) = row;
    Record {
        revision,
        unix_ms,
        author: Author {
            name: name.to_owned(),
            address: address.to_owned(),
        },
        key: key.to_owned(),
        is_removal,
        previous: (old_create != 0).then(|| Entry {
            key: key.into(),
            value: old_value.into(),
            create_revision: old_create,
            mod_revision: old_mod,
        }),
    }
}
