//! Keys that expire, across a restart.

use std::{sync::Arc, time::Duration};

use lockgate_store::{
    Author, Change, Embedded, EmbeddedOptions, HistoryOf, HistoryQuery, ManualClock, Put, Store,
};

use crate::writes::{next, put};

const NOON_MS: u64 = 1_795_000_000_000;

fn with_ttl(key: &str, seconds: u64) -> Put {
    Put {
        ttl: Some(Duration::from_secs(seconds)),
        ..put(key, "1")
    }
}

fn options(clock: &Arc<ManualClock>) -> EmbeddedOptions {
    EmbeddedOptions {
        clock: clock.clone(),
        ..EmbeddedOptions::default()
    }
}

#[tokio::test]
async fn removes_at_the_start_what_expired_while_it_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let clock = ManualClock::at(NOON_MS);
    let store = Embedded::open(&path, options(&clock)).unwrap();
    store.put(with_ttl("short", 10)).await.unwrap();
    store.put(with_ttl("long", 30)).await.unwrap();
    store.put(put("kept", "1")).await.unwrap();
    drop(store);

    clock.advance(Duration::from_secs(20));
    let store = Embedded::open(&path, options(&clock)).unwrap();
    let listing = store.list("").await.unwrap();
    assert_eq!(listing.revision, 4);
    let keys: Vec<&str> = listing.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["long", "kept"]);

    let mut watch = store.watch(listing.revision).unwrap();
    clock.advance(Duration::from_secs(10));
    let batch = next(&mut *watch).await;
    assert!(
        matches!(&batch.changes[..], [Change::Delete { key, revision: 5 }] if &**key == "long"),
        "{batch:?}"
    );

    let query = HistoryQuery {
        of: HistoryOf::Key("long".to_owned()),
        before: None,
        limit: 1,
    };
    let records = store.history(query).await.unwrap();
    assert_eq!(records[0].author, Author::expiry());
    assert_eq!(records[0].unix_ms, NOON_MS + 30_000);
    assert!(records[0].is_removal);
}

#[tokio::test]
async fn removes_a_thousand_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(NOON_MS);
    let store = Arc::new(Embedded::open(dir.path().join("store"), options(&clock)).unwrap());
    let writes: Vec<_> = (0..3_000)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.put(with_ttl(&format!("{n}"), 10)).await.unwrap() })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }
    let mut watch = store.watch(store.revision()).unwrap();
    clock.advance(Duration::from_secs(10));
    let mut removed = 0;
    while removed < 3_000 {
        removed += next(&mut *watch).await.changes.len();
    }
    assert_eq!(store.list("").await.unwrap().entries, []);
}
