//! Many writers and many watchers at once.

use std::{collections::BTreeMap, sync::Arc};

use lockgate_store::{Change, Embedded, EmbeddedOptions, Revision, Store, StoreError, Watch};

use crate::writes::{delete, next, put, within};

const WRITERS: usize = 16;
const WATCHERS: usize = 4;
const WRITES_EACH: usize = 150;

/// Follows from a revision until it has seen another, and checks that every one between comes once and in order.
async fn follow(
    mut watch: Box<dyn Watch>,
    after: Revision,
    until: Revision,
) -> BTreeMap<String, Vec<u8>> {
    let mut seen = after;
    let mut mirror = BTreeMap::new();
    while seen < until {
        for change in next(&mut *watch).await.changes {
            seen += 1;
            match change {
                Change::Put(entry) => {
                    assert_eq!(entry.mod_revision, seen);
                    mirror.insert(entry.key.to_string(), entry.value.to_vec());
                }
                Change::Delete { key, revision } => {
                    assert_eq!(revision, seen);
                    assert!(mirror.remove(&*key).is_some(), "{key} was not there");
                }
            }
        }
    }
    mirror
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_watcher_sees_every_change_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Arc::new(Embedded::open(&path, EmbeddedOptions::default()).unwrap());
    let total = (WRITERS * WRITES_EACH) as Revision;
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| tokio::spawn(follow(store.watch(0).unwrap(), 0, total)))
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut newest = 0;
                for n in 0..WRITES_EACH {
                    let key = format!("routes/{writer}-{}", n % 10);
                    let written = if n % 15 == 14 {
                        store.delete(delete(&format!("routes/{writer}-4"))).await
                    } else {
                        store.put(put(&key, format!("{n}"))).await
                    };
                    let written = written.unwrap();
                    assert!(written.revision > newest, "revisions grow for each writer");
                    newest = written.revision;
                    // A writer reads its own write.
                    if n % 15 != 14 {
                        let entry = store.get(&key).await.unwrap().unwrap();
                        assert_eq!(entry.mod_revision, newest);
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        within(writer).await.unwrap();
    }
    assert_eq!(store.revision(), total);
    let expected: BTreeMap<String, Vec<u8>> = (store.list("").await.unwrap().entries.iter())
        .map(|entry| (entry.key.to_string(), entry.value.to_vec()))
        .collect();
    for watcher in watchers {
        assert_eq!(within(watcher).await.unwrap(), expected);
    }
    // Late, from the middle.
    drop(store.watch(total / 2).unwrap());
    drop(store);
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    assert_eq!(store.revision(), total);
    assert_eq!(store.list("").await.unwrap().entries.len(), expected.len());
}

#[tokio::test]
async fn tells_a_watcher_that_is_too_far_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let check = async |options: EmbeddedOptions, value: usize, kept: u64| {
        let store = Embedded::open(&path, options).unwrap();
        let start = store.revision();
        let mut slow = store.watch(start).unwrap();
        for n in 0..20 {
            store
                .put(put(&format!("{n}"), vec![0; value]))
                .await
                .unwrap();
        }
        let expected = start + 20 - kept;
        let compacted =
            |error| matches!(error, StoreError::Compacted { oldest } if oldest == expected);
        assert!(compacted(slow.next().await.unwrap_err()));
        assert!(compacted(store.watch(start).err().unwrap()));
        assert!(compacted(store.watch(expected - 1).err().unwrap()));
        let mut watch = store.watch(expected).unwrap();
        assert_eq!(next(&mut *watch).await.changes.len() as u64, kept);
    };
    let options = EmbeddedOptions::default();
    let by_count = EmbeddedOptions {
        watch_changes: 5,
        ..options.clone()
    };
    check(by_count, 10, 5).await;
    let by_bytes = EmbeddedOptions {
        watch_bytes: 3_500,
        ..options.clone()
    };
    check(by_bytes, 1_000, 3).await;
    let newest_only = EmbeddedOptions {
        watch_bytes: 10,
        ..options
    };
    check(newest_only, 1_000, 1).await;
}

#[tokio::test]
async fn has_nothing_to_watch_from_before_it_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    for n in 0..3 {
        store.put(put("a", format!("{n}"))).await.unwrap();
    }
    drop(store);
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    assert!(matches!(
        store.watch(2).err().unwrap(),
        StoreError::Compacted { oldest: 3 }
    ));
    let mut watch = store.watch(3).unwrap();
    store.put(put("a", "3")).await.unwrap();
    assert_eq!(next(&mut *watch).await.revision, 4);
    drop(store);
    let ended = watch.next().await.unwrap_err();
    assert!(matches!(ended, StoreError::Unavailable { .. }), "{ended}");
}
