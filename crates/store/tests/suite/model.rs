//! The embedded store against the simplest thing that could be right, through restarts.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use lockgate_store::{
    Change, Embedded, EmbeddedOptions, Entry, Expect, ManualClock, Put, Revision, Store,
    StoreError, Watch,
};
use proptest::prelude::*;

use crate::writes::{delete, next, put};

const KEYS: [&str; 5] = ["a", "a/1", "a/2", "b", "b/1"];

#[derive(Debug, Clone)]
enum Step {
    Put {
        key: usize,
        value: u8,
        size: usize,
        expect: Guess,
        ttl_s: Option<u64>,
    },
    Delete {
        key: usize,
    },
    Pass {
        seconds: u64,
    },
    List {
        prefix: usize,
    },
    Reopen,
}

/// A precondition, chosen so that it often holds.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Any,
    Absent,
    Newest,
    Other,
}

fn step() -> impl Strategy<Value = Step> {
    let guess = prop_oneof![
        4 => Just(Guess::Any),
        1 => Just(Guess::Absent),
        2 => Just(Guess::Newest),
        1 => Just(Guess::Other),
    ];
    let key = 0..KEYS.len();
    let size = prop_oneof![3 => 0..100_usize, 1 => 5_000..9_000_usize];
    prop_oneof![
        8 => (key.clone(), any::<u8>(), size, guess, prop::option::weighted(0.2, 1..20_u64))
            .prop_map(|(key, value, size, expect, ttl_s)| Step::Put { key, value, size, expect, ttl_s }),
        3 => key.clone().prop_map(|key| Step::Delete { key }),
        2 => (1..10_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => key.prop_map(|prefix| Step::List { prefix }),
        1 => Just(Step::Reopen),
    ]
}

/// Value, create revision, mod revision, expiry.
type Kept = (Vec<u8>, Revision, Revision, Option<u64>);

#[derive(Debug, Default)]
struct Model {
    revision: Revision,
    now_ms: u64,
    entries: BTreeMap<&'static str, Kept>,
    changes: Vec<Change>,
}

impl Model {
    fn entry(&self, key: &'static str) -> Option<Entry> {
        let (value, create_revision, mod_revision, _) = self.entries.get(key)?;
        Some(Entry {
            key: key.into(),
            value: value.as_slice().into(),
            create_revision: *create_revision,
            mod_revision: *mod_revision,
        })
    }

    fn list(&self, prefix: &str) -> Vec<Entry> {
        let keys = self.entries.keys().filter(|key| key.starts_with(prefix));
        let mut entries: Vec<Entry> = keys.filter_map(|key| self.entry(key)).collect();
        entries.sort_by_key(|entry| entry.create_revision);
        entries
    }

    fn put(&mut self, key: &'static str, value: Vec<u8>, ttl_s: Option<u64>) {
        self.revision += 1;
        let created = self.entries.get(key).map_or(self.revision, |entry| entry.1);
        let expires = ttl_s.map(|seconds| self.now_ms + seconds * 1_000);
        self.entries
            .insert(key, (value, created, self.revision, expires));
        self.changes.extend(self.entry(key).map(Change::Put));
    }

    fn delete(&mut self, key: &'static str) {
        if self.entries.remove(key).is_some() {
            self.revision += 1;
            self.changes.push(Change::Delete {
                key: key.into(),
                revision: self.revision,
            });
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now_ms += seconds * 1_000;
        let mut due: Vec<(u64, &'static str)> = (self.entries.iter())
            .filter_map(|(key, entry)| Some((entry.3?, *key)))
            .filter(|(at, _)| *at <= self.now_ms)
            .collect();
        due.sort_unstable();
        for (_, key) in due {
            self.delete(key);
        }
    }
}

/// The store, what it is compared with, and a watch that follows it.
struct Pair<'a> {
    path: &'a Path,
    clock: Arc<ManualClock>,
    store: Option<Embedded>,
    watch: Option<Box<dyn Watch>>,
    model: Model,
}

impl Pair<'_> {
    fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions {
            clock: self.clock.clone(),
            ..EmbeddedOptions::default()
        }
    }

    fn store(&self) -> &Embedded {
        self.store.as_ref().unwrap()
    }

    fn open(&mut self) {
        // Closed before it is opened.
        self.store = None;
        self.store = Some(Embedded::open(self.path, self.options()).unwrap());
        self.watch = Some(self.store().watch(self.model.revision).unwrap());
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Put {
                key,
                value,
                size,
                expect,
                ttl_s,
            } => {
                let key = KEYS[*key];
                let value = vec![*value; *size];
                let current = self.model.entry(key);
                let newest = current.as_ref().map(|entry| entry.mod_revision);
                let expect = match expect {
                    Guess::Any => Expect::Any,
                    Guess::Absent => Expect::Absent,
                    Guess::Newest => Expect::ModRevision(newest.unwrap_or(1)),
                    Guess::Other => Expect::ModRevision(newest.unwrap_or(1) + 1),
                };
                let holds = match expect {
                    Expect::Any => true,
                    Expect::Absent => current.is_none(),
                    Expect::ModRevision(revision) => newest == Some(revision),
                };
                let put = Put {
                    expect,
                    ttl: ttl_s.map(Duration::from_secs),
                    ..put(key, &value)
                };
                match self.store().put(put).await {
                    Ok(written) => {
                        assert!(holds);
                        self.model.put(key, value, *ttl_s);
                        assert_eq!(written.revision, self.model.revision);
                        assert_eq!(written.previous, current);
                    }
                    Err(StoreError::Conflict) => assert!(!holds),
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Delete { key } => {
                let key = KEYS[*key];
                let current = self.model.entry(key);
                self.model.delete(key);
                let written = self.store().delete(delete(key)).await.unwrap();
                assert_eq!(written.revision, self.model.revision);
                assert_eq!(written.previous, current);
            }
            Step::Pass { seconds } => {
                self.model.pass(*seconds);
                self.clock.advance(Duration::from_secs(*seconds));
            }
            Step::List { prefix } => {
                let prefix = KEYS[*prefix];
                let listing = self.store().list(prefix).await.unwrap();
                assert_eq!(listing.entries, self.model.list(prefix));
            }
            Step::Reopen => self.open(),
        }
        self.follow().await;
        assert_eq!(self.store().revision(), self.model.revision);
        for key in KEYS {
            let found = self.store().get(key).await.unwrap();
            assert_eq!(found, self.model.entry(key));
        }
    }

    /// Reads from the watch what the model says has happened.
    async fn follow(&mut self) {
        let expected = std::mem::take(&mut self.model.changes);
        let watch = self.watch.as_mut().unwrap();
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            seen.extend(next(&mut **watch).await.changes);
        }
        assert_eq!(seen, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_time: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn does_what_a_map_would(steps in prop::collection::vec(step(), 1..50)) {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let now_ms = 1_795_000_000_000;
        let mut pair = Pair {
            path: &dir.path().join("store"),
            clock: ManualClock::at(now_ms),
            store: None,
            watch: None,
            model: Model { now_ms, ..Model::default() },
        };
        pair.open();
        runtime.block_on(async {
            for step in &steps {
                pair.step(step).await;
            }
        });
    }
}
