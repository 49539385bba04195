//! The contract of a store: run against each by a factory of empty ones.

use std::{any::Any, sync::Arc, time::Duration};

use lockgate_store::{
    BoxFuture, Change, Embedded, EmbeddedOptions, Expect, ManualClock, Put, Revision, Store,
    StoreError, Watch,
};

use crate::writes::{delete, next, put, remove, within, write};

/// An empty store.
pub(crate) struct Fresh {
    pub(crate) store: Arc<dyn Store>,
    /// Moves the store's time; where nothing does, keys that expire are not tested.
    pub(crate) clock: Option<Arc<ManualClock>>,
    /// What must outlive the store: its directory, its server.
    pub(crate) _keep: Box<dyn Any + Send + Sync>,
}

type Case = (&'static str, for<'a> fn(&'a Fresh) -> BoxFuture<'a, ()>);

/// Checks every clause, each on a store of its own.
pub(crate) async fn check(make: impl AsyncFn() -> Fresh) {
    for (name, case) in CASES {
        println!("{name}");
        let fresh = make().await;
        within(case(&fresh)).await;
    }
}

const CASES: &[Case] = &[
    ("finds nothing in an empty store", |fresh| {
        Box::pin(finds_nothing(&*fresh.store))
    }),
    ("gives each write the next revision", |fresh| {
        Box::pin(gives_each_write_the_next_revision(&*fresh.store))
    }),
    ("reads what was written", |fresh| {
        Box::pin(reads_what_was_written(&*fresh.store))
    }),
    ("lists a prefix by creation", |fresh| {
        Box::pin(lists_a_prefix_by_creation(&*fresh.store))
    }),
    ("keeps preconditions", |fresh| {
        Box::pin(keeps_preconditions(&*fresh.store))
    }),
    ("lets one of many create a key", |fresh| {
        Box::pin(lets_one_of_many_create(fresh.store.clone()))
    }),
    ("removes", |fresh| Box::pin(removes(&*fresh.store))),
    ("watches from any revision", |fresh| {
        Box::pin(watches_from_any_revision(&*fresh.store))
    }),
    ("watches what comes", |fresh| {
        Box::pin(watches_what_comes(fresh.store.clone()))
    }),
    ("loses nothing when a wait is given up", |fresh| {
        Box::pin(loses_nothing_when_a_wait_is_given_up(&*fresh.store))
    }),
    ("lets keys expire", |fresh| {
        Box::pin(lets_keys_expire(fresh))
    }),
];

async fn finds_nothing(store: &dyn Store) {
    assert_eq!(store.get("routes/1").await.unwrap(), None);
    let listing = store.list("").await.unwrap();
    assert_eq!(listing.entries, []);
    assert_eq!(remove(store, "routes/1").await.revision, listing.revision);
    assert_eq!(store.list("").await.unwrap().revision, listing.revision);
}

async fn gives_each_write_the_next_revision(store: &dyn Store) {
    let start = store.list("").await.unwrap().revision;
    assert_eq!(write(store, "a", "1").await.revision, start + 1);
    assert_eq!(write(store, "b", "1").await.revision, start + 2);
    // Also where nothing changes.
    assert_eq!(write(store, "b", "1").await.revision, start + 3);
    assert_eq!(remove(store, "a").await.revision, start + 4);
    assert_eq!(store.list("").await.unwrap().revision, start + 4);
}

async fn reads_what_was_written(store: &dyn Store) {
    let large = vec![0xfe; 1 << 20];
    let cases: &[(&str, &[u8])] = &[
        ("routes/1", b"{}"),
        ("routes/empty", b""),
        ("routes/bytes", &[0, 255, 10, 13]),
        ("routes/large", &large),
        ("consumers/jack/credentials/a.b-c_d", b"1"),
        ("plugin_metadata/gr\u{fc}\u{df}e", b"1"),
    ];
    for (key, value) in cases {
        let first = write(store, key, value).await;
        assert_eq!(first.previous, None);
        let entry = store.get(key).await.unwrap().unwrap();
        assert_eq!((&*entry.key, &*entry.value), (*key, *value));
        assert_eq!(entry.create_revision, first.revision);
        assert_eq!(entry.mod_revision, first.revision);

        let second = write(store, key, "second").await;
        assert_eq!(second.previous, Some(entry));
        let entry = store.get(key).await.unwrap().unwrap();
        assert_eq!(&*entry.value, b"second");
        assert_eq!(entry.create_revision, first.revision);
        assert_eq!(entry.mod_revision, second.revision);
    }
}

async fn lists_a_prefix_by_creation(store: &dyn Store) {
    let keys = [
        "routes/9",
        "services/1",
        "routes/10",
        "routes",
        "routes_x/1",
        "routes/1/a",
        "routes/1",
    ];
    for key in keys {
        write(store, key, key).await;
    }
    write(store, "routes/9", "again").await;
    remove(store, "routes/10").await;
    write(store, "routes/10", "anew").await;
    let list = async |prefix: &str| -> Vec<String> {
        let listing = store.list(prefix).await.unwrap();
        let keys = listing.entries.iter().map(|entry| entry.key.to_string());
        keys.collect()
    };
    assert_eq!(
        list("routes/").await,
        ["routes/9", "routes/1/a", "routes/1", "routes/10"]
    );
    assert_eq!(
        list("routes/1").await,
        ["routes/1/a", "routes/1", "routes/10"]
    );
    assert_eq!(list("none/").await, [""; 0]);
    assert_eq!(
        list("").await,
        [
            "routes/9",
            "services/1",
            "routes",
            "routes_x/1",
            "routes/1/a",
            "routes/1",
            "routes/10",
        ]
    );
    let listing = store.list("routes/9").await.unwrap();
    assert_eq!(&*listing.entries[0].value, b"again");
}

async fn keeps_preconditions(store: &dyn Store) {
    let attempt = async |key: &str, expect: Expect| {
        let before = store.list("").await.unwrap();
        let attempt = Put {
            expect,
            ..put(key, "attempt")
        };
        match store.put(attempt).await {
            Ok(written) => Some(written.revision),
            Err(StoreError::Conflict) => {
                assert_eq!(store.list("").await.unwrap(), before, "nothing is written");
                None
            }
            Err(other) => panic!("{other}"),
        }
    };
    let first = attempt("a", Expect::Absent).await.unwrap();
    assert_eq!(attempt("a", Expect::Absent).await, None);
    assert_eq!(attempt("a", Expect::ModRevision(first + 1)).await, None);
    assert_eq!(attempt("b", Expect::ModRevision(first)).await, None);
    let second = attempt("a", Expect::ModRevision(first)).await.unwrap();
    assert_eq!(attempt("a", Expect::ModRevision(first)).await, None);
    write(store, "b", "other keys do not matter").await;
    assert!(attempt("a", Expect::ModRevision(second)).await.is_some());
    assert!(attempt("a", Expect::Any).await.is_some());
    remove(store, "a").await;
    assert!(attempt("a", Expect::Absent).await.is_some());
}

async fn lets_one_of_many_create(store: Arc<dyn Store>) {
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let create = Put {
                    expect: Expect::Absent,
                    ..put("a", n.to_string())
                };
                store.put(create).await.is_ok()
            })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += u32::from(task.await.unwrap());
    }
    assert_eq!(created, 1);
}

async fn removes(store: &dyn Store) {
    let first = write(store, "a", "1").await.revision;
    let second = write(store, "a", "2").await.revision;
    let removed = remove(store, "a").await;
    assert_eq!(removed.revision, second + 1);
    let previous = removed.previous.unwrap();
    assert_eq!(&*previous.value, b"2");
    assert_eq!(previous.create_revision, first);
    assert_eq!(previous.mod_revision, second);
    assert_eq!(store.get("a").await.unwrap(), None);

    let again = remove(store, "a").await;
    assert_eq!((again.revision, again.previous), (removed.revision, None));

    let anew = write(store, "a", "3").await;
    assert_eq!(anew.previous, None);
    let entry = store.get("a").await.unwrap().unwrap();
    assert_eq!(entry.create_revision, anew.revision);
}

/// Reads changes up to a revision, as `key=value` and `-key`.
async fn changes_until(watch: &mut dyn Watch, until: Revision) -> Vec<(Revision, String)> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(revision, _)| *revision < until) {
        let batch = next(watch).await;
        assert!(!batch.changes.is_empty());
        for change in batch.changes {
            seen.push(match change {
                Change::Put(entry) => {
                    let value = String::from_utf8_lossy(&entry.value);
                    (entry.mod_revision, format!("{}={value}", entry.key))
                }
                Change::Delete { key, revision } => (revision, format!("-{key}")),
            });
        }
        assert_eq!(
            seen.last().map(|(revision, _)| *revision),
            Some(batch.revision)
        );
    }
    seen
}

async fn watches_from_any_revision(store: &dyn Store) {
    let start = store.list("").await.unwrap().revision;
    write(store, "a", "1").await;
    write(store, "b", "1").await;
    write(store, "a", "2").await;
    remove(store, "b").await;
    remove(store, "b").await;
    let all = ["a=1", "b=1", "a=2", "-b"];
    for seen in 0..all.len() as u64 {
        let mut watch = store.watch(start + seen).unwrap();
        let changes = changes_until(&mut *watch, start + 4).await;
        let expected: Vec<(Revision, String)> = (seen..)
            .zip(&all[seen as usize..])
            .map(|(before, change)| (start + before + 1, (*change).to_owned()))
            .collect();
        assert_eq!(changes, expected, "after {seen}");
    }
}

async fn watches_what_comes(store: Arc<dyn Store>) {
    let start = write(&*store, "before", "0").await.revision;
    let mut watch = store.watch(start).unwrap();
    let dropped = store.watch(start).unwrap();
    let follower = tokio::spawn(async move {
        let seen = changes_until(&mut *watch, start + 3).await;
        (watch, seen)
    });
    tokio::task::yield_now().await;
    drop(dropped);
    write(&*store, "a", "1").await;
    write(&*store, "b", "1").await;
    remove(&*store, "a").await;
    let (mut watch, seen) = within(follower).await.unwrap();
    let changes: Vec<&str> = seen.iter().map(|(_, change)| &**change).collect();
    assert_eq!(changes, ["a=1", "b=1", "-a"]);
    // What is answered is there to be watched.
    write(&*store, "c", "1").await;
    let seen = changes_until(&mut *watch, start + 4).await;
    assert_eq!(seen, [(start + 4, "c=1".to_owned())]);
}

async fn loses_nothing_when_a_wait_is_given_up(store: &dyn Store) {
    let start = store.list("").await.unwrap().revision;
    let mut watch = store.watch(start).unwrap();
    for round in 1..=3 {
        tokio::select! {
            biased;
            _ = watch.next() => panic!("nothing was written"),
            () = std::future::ready(()) => {}
        }
        write(store, "a", "1").await;
        let seen = changes_until(&mut *watch, start + round).await;
        assert_eq!(seen, [(start + round, "a=1".to_owned())]);
    }
}

async fn lets_keys_expire(fresh: &Fresh) {
    let Some(clock) = &fresh.clock else {
        return;
    };
    let store = &*fresh.store;
    let with_ttl = |key: &str, seconds| Put {
        ttl: Some(Duration::from_secs(seconds)),
        ..put(key, "1")
    };
    store.put(with_ttl("long", 30)).await.unwrap();
    store.put(with_ttl("short", 10)).await.unwrap();
    store.put(with_ttl("kept", 10)).await.unwrap();
    store.put(with_ttl("removed", 10)).await.unwrap();
    store.put(with_ttl("renewed", 10)).await.unwrap();
    // A write without a time takes the time away.
    write(store, "kept", "2").await;
    store.delete(delete("removed")).await.unwrap();
    clock.advance(Duration::from_secs(9));
    let last = store.put(with_ttl("renewed", 10)).await.unwrap().revision;
    assert_eq!(store.list("").await.unwrap().entries.len(), 4);

    let mut watch = store.watch(last).unwrap();
    for (seconds, gone) in [(1, "-short"), (9, "-renewed"), (11, "-long")] {
        clock.advance(Duration::from_secs(seconds));
        let batch = next(&mut *watch).await;
        let [Change::Delete { key, revision }] = &batch.changes[..] else {
            panic!("{batch:?}");
        };
        assert_eq!(format!("-{key}"), gone);
        assert_eq!(*revision, batch.revision);
        assert_eq!(store.get(key).await.unwrap(), None);
    }
    let left = store.list("").await.unwrap();
    assert_eq!(left.revision, last + 3);
    assert_eq!(&*left.entries[0].key, "kept");
    assert_eq!(left.entries.len(), 1);
}

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    check(async || {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(1_795_000_000_000);
        let options = EmbeddedOptions {
            clock: clock.clone(),
            ..EmbeddedOptions::default()
        };
        Fresh {
            store: Arc::new(Embedded::open(dir.path().join("store"), options).unwrap()),
            clock: Some(clock),
            _keep: Box::new(dir),
        }
    })
    .await;
}
