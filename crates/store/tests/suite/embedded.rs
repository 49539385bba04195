//! Opening, closing and copying the file of an embedded store.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use lockgate_store::{
    Embedded, EmbeddedOptions, HistoryOf, HistoryQuery, Record, Store, StoreError,
};

use crate::writes::{put, write};

fn everything() -> HistoryQuery {
    HistoryQuery {
        of: HistoryOf::Prefix(String::new()),
        before: None,
        limit: usize::MAX,
    }
}

#[tokio::test]
async fn makes_the_directory_and_a_file_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/data/store");
    drop(Embedded::open(&path, EmbeddedOptions::default()).unwrap());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn says_what_it_cannot_open() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "not a directory").unwrap();
    fs::write(dir.path().join("text"), "routes: []\n".repeat(500)).unwrap();
    let check = |name: &str, expected: &str| {
        let path = dir.path().join(name);
        let error = Embedded::open(&path, EmbeddedOptions::default()).unwrap_err();
        let expected = expected.replace("PATH", &path.display().to_string());
        assert_eq!(error.to_string(), expected);
    };
    check(
        "file/store",
        "opening the store PATH failed: Not a directory (os error 20)",
    );
    check(
        "",
        "opening the store PATH failed: Is a directory (os error 21)",
    );
    check(
        "text",
        "the store PATH is damaged: Not a redb database: magic number mismatch",
    );
}

#[test]
fn leaves_a_file_of_something_else_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    fs::write(&path, "routes: []\n").unwrap();
    assert!(Embedded::open(&path, EmbeddedOptions::default()).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "routes: []\n");
}

#[tokio::test]
async fn does_the_writes_nobody_waits_for_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    let mut write = store.put(put("routes/1", "1"));
    tokio::select! {
        biased;
        _ = &mut write => {}
        () = std::future::ready(()) => {}
    }
    drop(write);
    drop(store);
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    assert!(store.get("routes/1").await.unwrap().is_some());
}

#[tokio::test]
async fn copies_itself_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store =
        Arc::new(Embedded::open(dir.path().join("store"), EmbeddedOptions::default()).unwrap());
    for n in 0..200 {
        write(&*store, &format!("routes/{}", n % 50), vec![n; 2_000]).await;
    }
    let before = store.list("").await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..100 {
                write(&*store, &format!("routes/{n}"), "meanwhile").await;
            }
        }
    });
    let to = dir.path().join("copy");
    store.backup(&to).await.unwrap();
    writer.await.unwrap();
    let records = store.history(everything()).await.unwrap();

    let mode = fs::metadata(&to).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let copy = Embedded::open(&to, EmbeddedOptions::default()).unwrap();
    let listing = copy.list("").await.unwrap();
    assert!(listing.revision >= before.revision);
    if listing.revision == before.revision {
        assert_eq!(listing, before);
    }
    let copied = copy.history(everything()).await.unwrap();
    let until: Vec<Record> = (records.into_iter())
        .filter(|record| record.revision <= listing.revision)
        .collect();
    assert_eq!(copied, until);
    assert_eq!(
        write(&copy, "routes/1", "1").await.revision,
        listing.revision + 1
    );

    let again = store.backup(&to).await.unwrap_err();
    assert!(matches!(again, StoreError::Unavailable { .. }), "{again}");
    let nowhere = store.backup(dir.path().join("none/copy")).await;
    assert!(nowhere.is_err());
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
