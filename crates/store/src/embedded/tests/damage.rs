//! Files that are not, or are no longer, what a store wrote.

use std::sync::Arc;

use redb::{Builder, TableDefinition};

use super::{
    super::{file::Backend, tables},
    FakeDisk, contents, open, put, run_script,
};
use crate::StoreError;

fn closed_store() -> (Vec<u8>, super::Contents) {
    let disk = Arc::new(FakeDisk::default());
    let store = open(&disk).unwrap();
    run_script(&store);
    let contents = contents(&store);
    drop(store);
    (disk.content(), contents)
}

#[test]
fn notices_any_damage_or_is_not_harmed_by_it() {
    let (good, expected) = closed_store();
    let mut damaged = 0;
    for offset in (0..good.len()).step_by(331) {
        let mut bad = good.clone();
        bad[offset] ^= 0x40;
        match open(&Arc::new(FakeDisk::with(bad))) {
            Ok(store) => assert_eq!(contents(&store), expected, "byte {offset}"),
            Err(StoreError::Damaged { .. }) => damaged += 1,
            Err(other) => panic!("byte {offset}: {other}"),
        }
    }
    assert!(damaged > 10, "{damaged}");
}

#[test]
fn notices_a_file_cut_short() {
    let (good, _) = closed_store();
    for len in (1..good.len()).step_by(1777) {
        let cut = good[..len].to_vec();
        let opened = open(&Arc::new(FakeDisk::with(cut)));
        assert!(
            matches!(opened, Err(StoreError::Damaged { .. })),
            "{len} bytes: {opened:?}"
        );
    }
}

#[test]
fn finishes_a_creation_cut_short() {
    let mut header = vec![0; 73_728];
    header[9..64].fill(7);
    for content in [vec![], vec![0; 3], vec![0; 73_728], header] {
        let store = open(&Arc::new(FakeDisk::with(content))).unwrap();
        put(&store, "routes/1", b"1").unwrap();
    }
}

#[test]
fn says_what_is_wrong_with_what_is_not_a_store() {
    let check = |content: Vec<u8>, reason: &str| {
        let opened = open(&Arc::new(FakeDisk::with(content)));
        let Err(error @ StoreError::Damaged { .. }) = opened else {
            panic!("{reason}: {opened:?}");
        };
        assert!(error.to_string().contains(reason), "{error}");
    };
    check(b"routes:\n  - id: 1\n#END\n".repeat(100), "magic number");
    // Zeroes, then something: not a creation cut short.
    check([vec![0; 8192], vec![1; 8192]].concat(), "magic number");
    check(
        database(|transaction| {
            let mut table = transaction
                .open_table(TableDefinition::<u64, u64>::new("other"))
                .unwrap();
            table.insert(1, 1).unwrap();
        }),
        "a database of something else",
    );
    check(
        database(|transaction| {
            let mut meta = transaction.open_table(tables::META).unwrap();
            meta.insert(tables::FORMAT, 2).unwrap();
        }),
        "its format is 2",
    );
}

fn database(fill: impl FnOnce(&redb::WriteTransaction)) -> Vec<u8> {
    let disk = Arc::new(FakeDisk::default());
    let backend = Backend::new(disk.clone(), Arc::default());
    let database = Builder::new().create_with_backend(backend).unwrap();
    let transaction = database.begin_write().unwrap();
    fill(&transaction);
    transaction.commit().unwrap();
    drop(database);
    disk.content()
}
