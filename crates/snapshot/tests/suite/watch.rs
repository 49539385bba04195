//! The watcher, on a store that says what it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use lockgate_router::Params;
use lockgate_snapshot::{Published, Route, Status, Watcher};
use lockgate_store::{
    Batch, BoxFuture, Change, Delete, Entry, Listing, Put, Revision, Store, StoreError, Watch,
    Written,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{inactive::compiler, incremental::Get};

type Event = Result<Batch, StoreError>;

/// A store with one listing after the other, whose watches read from one channel.
struct Scripted {
    listings: Mutex<VecDeque<Listing>>,
    events: Arc<tokio::sync::Mutex<UnboundedReceiver<Event>>>,
}

struct Events(Arc<tokio::sync::Mutex<UnboundedReceiver<Event>>>);

impl Watch for Events {
    fn next(&mut self) -> BoxFuture<'_, Event> {
        Box::pin(async {
            self.0
                .lock()
                .await
                .recv()
                .await
                .expect("the script goes on")
        })
    }
}

impl Store for Scripted {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async { Err(StoreError::Conflict) })
    }

    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        let next = self.listings.lock().expect("whole").pop_front();
        Box::pin(async { Ok(next.expect("a further listing")) })
    }

    fn put(&self, _: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async { Err(StoreError::Conflict) })
    }

    fn delete(&self, _: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async { Err(StoreError::Conflict) })
    }

    fn watch(&self, _: Revision) -> Result<Box<dyn Watch>, StoreError> {
        Ok(Box::new(Events(self.events.clone())))
    }
}

/// A watcher that runs, and what it reports.
struct Followed {
    events: UnboundedSender<Event>,
    published: Arc<Published>,
    status: Arc<Status>,
    running: tokio::task::JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Followed {
    async fn start(listings: impl IntoIterator<Item = Listing>) -> Self {
        Self::start_after(None, listings).await
    }

    /// In place of another.
    async fn start_after(
        before: Option<&Self>,
        listings: impl IntoIterator<Item = Listing>,
    ) -> Self {
        let (events, receiver) = unbounded_channel();
        let store = Scripted {
            listings: Mutex::new(listings.into_iter().collect()),
            events: Arc::new(tokio::sync::Mutex::new(receiver)),
        };
        let before = before.map(|before| &*before.status);
        let watcher = Watcher::start(Arc::new(store), compiler(), before)
            .await
            .expect("the first listing");
        Self {
            events,
            published: watcher.published(),
            status: watcher.status(),
            running: tokio::spawn(watcher.run()),
        }
    }

    /// Says that changes are missing; the next listing is read then, which has this revision.
    async fn compact(&self, revision: Revision) {
        let before = self.published.version();
        let lost = StoreError::Compacted { oldest: revision };
        self.events.send(Err(lost)).expect("it runs");
        self.until(before).await;
        assert_eq!(self.status.revision(), revision);
    }

    async fn send(&self, revision: Revision, changes: Vec<Change>) {
        let before = self.published.version();
        self.events
            .send(Ok(Batch { revision, changes }))
            .expect("it runs");
        self.until(before).await;
    }

    /// Waits for another snapshot than the one of this version.
    async fn until(&self, version: u64) {
        while self.published.version() == version {
            tokio::task::yield_now().await;
        }
        self.status.reached(self.published.load().revision).await;
    }

    fn route(&self, path: &str) -> Option<Arc<Route>> {
        let snapshot = self.published.load();
        let get = Get {
            path,
            host: "a.test",
        };
        let found = snapshot.routes.find(&get, &mut Params::default());
        found.map(|found| found.value().clone())
    }
}

fn entry(key: &str, value: &Value, revision: Revision) -> Entry {
    Entry {
        key: key.into(),
        value: value.to_string().into_bytes().into(),
        create_revision: revision,
        mod_revision: revision,
    }
}

fn route(id: usize) -> Entry {
    let value = json!({"uri": format!("/{id}"), "upstream_id": "1"});
    entry(&format!("routes/r{id}"), &value, 2 + id as u64)
}

fn upstream(port: u16) -> Entry {
    let value = json!({"nodes": {format!("127.0.0.1:{port}"): 1}});
    entry("upstreams/1", &value, 1)
}

/// The values of an etcd that was read again are copies, not the same memory.
fn copied(entry: &Entry) -> Entry {
    Entry {
        key: (&*entry.key).into(),
        value: entry.value.to_vec().into(),
        ..*entry
    }
}

#[tokio::test]
async fn a_new_reading_builds_only_what_has_changed() {
    const ROUTES: usize = 10_000;
    let mut entries = vec![upstream(1)];
    entries.extend((0..ROUTES).map(route));
    let mut again: Vec<Entry> = entries.iter().map(copied).collect();
    // One is another, one is gone, one is new; everything else is as it was.
    again[7 + 1].value = json!({"uri": "/7", "upstream_id": "1", "priority": 1})
        .to_string()
        .into_bytes()
        .into();
    again[7 + 1].mod_revision = 50_000;
    again.retain(|entry| &*entry.key != "routes/r8");
    again.push(entry("routes/new", &json!({"uri": "/new"}), 50_001));
    let followed = Followed::start([
        Listing {
            revision: 20_000,
            entries,
        },
        Listing {
            revision: 60_000,
            entries: again,
        },
    ])
    .await;
    let all = |followed: &Followed| -> Vec<Option<Arc<Route>>> {
        (0..ROUTES)
            .map(|id| followed.route(&format!("/{id}")))
            .collect()
    };
    let before = all(&followed);
    assert!(before.iter().all(Option::is_some));
    followed.compact(60_000).await;
    let built: Vec<usize> = all(&followed)
        .iter()
        .zip(&before)
        .enumerate()
        .filter(|(_, (after, before))| match (after, before) {
            (Some(after), Some(before)) => !Arc::ptr_eq(after, before),
            _ => true,
        })
        .map(|(id, _)| id)
        .collect();
    assert_eq!(built, [7, 8]);
    assert!(followed.route("/8").is_none());
    assert!(followed.route("/new").is_some());
}

#[tokio::test]
async fn a_changed_upstream_still_reaches_its_routes_after_a_new_reading() {
    let listing = |revision, port| Listing {
        revision,
        entries: vec![upstream(port), route(0)],
    };
    let followed = Followed::start([listing(5, 1), listing(9, 2)]).await;
    let before = followed.route("/0").unwrap();
    followed.compact(9).await;
    assert!(!Arc::ptr_eq(&before, &followed.route("/0").unwrap()));
}

#[tokio::test]
async fn a_store_that_is_empty_anew_takes_nothing_away_until_it_is_written_to() {
    let empty = |revision| Listing {
        revision,
        entries: Vec::new(),
    };
    let full = Listing {
        revision: 30,
        entries: vec![upstream(1), route(0), route(1)],
    };
    let filled = Listing {
        revision: 3,
        entries: vec![upstream(1), route(1)],
    };
    let followed = Followed::start([full, empty(1), empty(2), filled, empty(9)]).await;
    let before = followed.route("/1").unwrap();
    followed.compact(1).await;
    assert!(followed.route("/0").is_some());
    // Lost once more, and empty as before.
    followed.compact(2).await;
    assert!(followed.route("/0").is_some());
    // What is written makes it the store that counts, with all that is in it and nothing else.
    followed.send(3, vec![Change::Put(route(1))]).await;
    assert!(followed.route("/0").is_none());
    assert!(Arc::ptr_eq(&before, &followed.route("/1").unwrap()));
    // One that has gone on and is empty was emptied by somebody.
    followed.compact(9).await;
    assert!(followed.route("/1").is_none());
}

#[tokio::test]
async fn a_store_that_is_empty_anew_takes_nothing_away_from_the_watcher_that_comes_next() {
    let empty = |revision| Listing {
        revision,
        entries: Vec::new(),
    };
    let edited = Entry {
        mod_revision: 30,
        ..route(1)
    };
    let full = || Listing {
        revision: 30,
        entries: vec![upstream(1), route(0), edited.clone()],
    };
    let filled = Listing {
        revision: 3,
        entries: vec![upstream(1), route(1)],
    };
    // Whether the one before has seen it by then or not.
    let unaware = Followed::start([full()]).await;
    let aware = Followed::start([full(), empty(1)]).await;
    aware.compact(1).await;
    for before in [unaware, aware] {
        let next = Followed::start_after(Some(&before), [empty(1)]).await;
        assert!(next.route("/0").is_some());
        assert_eq!(next.status.written()["routes"], 30);
        let last = Followed::start_after(Some(&next), [empty(2), filled.clone()]).await;
        drop((before, next));
        assert!(last.route("/0").is_some());
        assert_eq!(last.status.revision(), 2);
        last.send(3, vec![Change::Put(route(1))]).await;
        assert!(last.route("/0").is_none());
        assert!(last.route("/1").is_some());
    }
    // One that has gone on and is empty was emptied by somebody.
    let before = Followed::start([full()]).await;
    let next = Followed::start_after(Some(&before), [empty(31)]).await;
    assert!(next.route("/0").is_none());
}

#[tokio::test]
async fn problems_are_told_as_they_come_and_go() {
    let bad = |key: &str, revision| entry(key, &json!("text"), revision);
    let start = Listing {
        revision: 5,
        entries: vec![bad("routes/a", 1), bad("services/b", 2)],
    };
    let again = Listing {
        revision: 9,
        entries: vec![bad("routes/c", 8), bad("services/b", 2)],
    };
    let followed = Followed::start([start, again]).await;
    let keys = |followed: &Followed| -> Vec<String> {
        let problems = followed.status.problems().into_iter();
        problems.map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(keys(&followed), ["routes/a", "services/b"]);
    let good = entry("routes/a", &json!({"uri": "/"}), 6);
    followed.send(6, vec![Change::Put(good)]).await;
    assert_eq!(keys(&followed), ["services/b"]);
    followed.compact(9).await;
    assert_eq!(keys(&followed), ["routes/c", "services/b"]);
}
