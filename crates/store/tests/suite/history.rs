//! Who changed what, read back; and how much of that is kept.

use std::{sync::Arc, time::Duration};

use lockgate_store::{
    Author, Embedded, EmbeddedOptions, HistoryLimits, HistoryOf, HistoryQuery, ManualClock, Put,
    Record, Store,
};

use crate::writes::{delete, put, remove, write};

const NOON_MS: u64 = 1_795_000_000_000;

fn key(key: &str) -> HistoryOf {
    HistoryOf::Key(key.to_owned())
}

fn prefix(prefix: &str) -> HistoryOf {
    HistoryOf::Prefix(prefix.to_owned())
}

async fn revisions(store: &Embedded, of: HistoryOf, before: Option<u64>, limit: usize) -> Vec<u64> {
    let query = HistoryQuery { of, before, limit };
    let records = store.history(query).await.unwrap();
    records.iter().map(|record| record.revision).collect()
}

#[tokio::test]
async fn tells_who_changed_what_and_from_what() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let clock = ManualClock::at(NOON_MS);
    let options = EmbeddedOptions {
        clock: clock.clone(),
        ..EmbeddedOptions::default()
    };
    let store = Embedded::open(&path, options.clone()).unwrap();
    let jack = Author {
        name: "jack".to_owned(),
        address: "10.0.0.1".to_owned(),
    };
    let by_jack = |value: &str| Put {
        author: jack.clone(),
        ..put("routes/1", value)
    };
    store.put(by_jack("one")).await.unwrap();
    clock.advance(Duration::from_secs(5));
    store.put(put("routes/1", "two")).await.unwrap();
    let removed = store.delete(delete("routes/1")).await.unwrap();
    store.put(by_jack("three")).await.unwrap();
    drop(store);

    let store = Embedded::open(&path, options).unwrap();
    let query = HistoryQuery {
        of: key("routes/1"),
        before: None,
        limit: 10,
    };
    let records = store.history(query).await.unwrap();
    let [anew, removal, second, first] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(
        *first,
        Record {
            revision: 1,
            unix_ms: NOON_MS,
            author: jack.clone(),
            key: "routes/1".to_owned(),
            is_removal: false,
            previous: None,
        }
    );
    assert_eq!((second.revision, second.unix_ms), (2, NOON_MS + 5_000));
    assert_eq!(second.author, Author::default());
    let replaced = second.previous.as_ref().unwrap();
    assert_eq!(&*replaced.value, b"one");
    assert_eq!((replaced.create_revision, replaced.mod_revision), (1, 1));
    assert!(removal.is_removal);
    assert_eq!(removal.previous, removed.previous);
    assert_eq!((anew.previous.clone(), anew.is_removal), (None, false));
}

#[tokio::test]
async fn answers_for_a_key_a_prefix_and_all_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path().join("store"), EmbeddedOptions::default()).unwrap();
    for key in [
        "routes/1",
        "routes/10",
        "services/1",
        "routes/1",
        "routes/2",
        "routes/1",
    ] {
        write(&store, key, "x").await;
    }
    remove(&store, "routes/2").await;
    let check = async |of: HistoryOf, before, limit, expected: &[u64]| {
        assert_eq!(revisions(&store, of, before, limit).await, expected);
    };
    check(key("routes/1"), None, 10, &[6, 4, 1]).await;
    check(key("routes/1"), None, 2, &[6, 4]).await;
    check(key("routes/1"), Some(4), 2, &[1]).await;
    check(key("routes/2"), None, 10, &[7, 5]).await;
    check(key("routes/"), None, 10, &[]).await;
    check(prefix("routes/"), None, 10, &[7, 6, 5, 4, 2, 1]).await;
    check(prefix("routes/1"), None, 10, &[6, 4, 2, 1]).await;
    check(prefix("routes/"), Some(5), 2, &[4, 2]).await;
    check(prefix("none/"), None, 10, &[]).await;
    check(prefix(""), None, 10, &[7, 6, 5, 4, 3, 2, 1]).await;
    check(prefix(""), Some(4), 2, &[3, 2]).await;
}

#[tokio::test]
async fn keeps_no_more_than_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let check = async |limits: HistoryLimits, expected: &[u64]| {
        let path = dir.path().join("store");
        let clock = ManualClock::at(NOON_MS);
        let options = EmbeddedOptions {
            clock: clock.clone(),
            history: limits.clone(),
            ..EmbeddedOptions::default()
        };
        let store = Embedded::open(&path, options).unwrap();
        for n in 0..10 {
            clock.advance(Duration::from_mins(1));
            write(&store, &format!("routes/{}", n % 2), vec![n; 1_000]).await;
        }
        let kept = revisions(&store, prefix(""), None, 100).await;
        assert_eq!(kept, expected, "{limits:?}");
        // What is found by key is what there is.
        let odd = revisions(&store, key("routes/1"), None, 100).await;
        let even = revisions(&store, key("routes/0"), None, 100).await;
        assert_eq!(odd.len() + even.len(), kept.len());
        assert_eq!(store.list("").await.unwrap().entries.len(), 2);
        drop(store);
        std::fs::remove_file(path).unwrap();
    };
    let all = HistoryLimits::default();
    check(all.clone(), &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).await;
    let by_count = HistoryLimits {
        max_records: 3,
        ..all.clone()
    };
    check(by_count, &[10, 9, 8]).await;
    let none = HistoryLimits {
        max_records: 0,
        ..all.clone()
    };
    check(none, &[]).await;
    let by_bytes = HistoryLimits {
        max_bytes: 4_000,
        ..all.clone()
    };
    check(by_bytes, &[10, 9, 8]).await;
    let by_age = HistoryLimits {
        max_age: Duration::from_secs(150),
        ..all
    };
    check(by_age, &[10, 9, 8]).await;
}

#[tokio::test]
async fn forgets_what_is_old_in_a_store_that_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let clock = ManualClock::at(NOON_MS);
    let options = EmbeddedOptions {
        clock: clock.clone(),
        ..EmbeddedOptions::default()
    };
    let store = Arc::new(Embedded::open(&path, options.clone()).unwrap());
    write(&*store, "routes/1", "x").await;
    drop(store);
    clock.advance(options.history.max_age + Duration::from_secs(3601));
    let store = Embedded::open(&path, options).unwrap();
    assert_eq!(revisions(&store, prefix(""), None, 10).await, [0; 0]);
    assert_eq!(store.revision(), 1);
}
