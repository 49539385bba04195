//! A copy of a store while it is in use: a store of its own, which holds what was committed when the copy began.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction,
};

use super::{
    file,
    tables::{ENTRIES, HISTORY, HISTORY_KEYS, META},
};
use crate::limits;

/// Copies everything into a new file at `to`, which appears when it is complete.
pub(super) fn write(transaction: &ReadTransaction, to: &Path) -> Result<(), redb::Error> {
    if to.try_exists()? {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
    }
    let partial = partial_path(to);
    let copied = copy(transaction, &partial).and_then(|()| {
        // Never over a file that came into being meanwhile.
        fs::hard_link(&partial, to)?;
        Ok(file::sync_directory(file::directory_of(to))?)
    });
    let removed = fs::remove_file(&partial);
    copied?;
    Ok(removed?)
}

fn partial_path(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn copy(from: &ReadTransaction, to: &Path) -> Result<(), redb::Error> {
    let file = file::create_new(to)?;
    let database = Builder::new()
        .set_cache_size(limits::CACHE_BYTES)
        .create_with_backend(redb::backends::FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    copy_table(from, &transaction, ENTRIES)?;
    copy_table(from, &transaction, HISTORY)?;
    copy_table(from, &transaction, HISTORY_KEYS)?;
    copy_table(from, &transaction, META)?;
    transaction.commit()?;
    Ok(database.close()?)
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let mut copy = to.open_table(table)?;
    for row in from.open_table(table)?.iter()? {
        let (key, value) = row?;
        copy.insert(key.value(), value.value())?;
    }
    Ok(())
}
