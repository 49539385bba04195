//! A process killed at any moment loses nothing that it acknowledged, and the next one starts.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lockgate_store::{Embedded, EmbeddedOptions, Store, StoreError};

use crate::{
    child::{self, Spawned},
    writes::{delete, put},
};

const KILLS: u64 = 24;
const KILLS_WHEN_NEW: u64 = 8;
const THREADS: u64 = 4;
/// A child whose parent has gone away ends by itself.
const MOST_WRITES: u64 = 50_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes from several threads, and says what has been acknowledged, until it is killed.
fn write_until_killed(path: &Path) {
    let store = Arc::new(Embedded::open(path, EmbeddedOptions::default()).unwrap());
    // No lower than any number used before.
    let base = store.revision();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let store = store.clone();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                for n in base..base + MOST_WRITES {
                    let key = format!("{thread}/{}", n % 20);
                    let value = format!("{n} {}", "x".repeat((n * 37 % 3_000) as usize));
                    let gone = format!("gone/{thread}/{n}");
                    runtime.block_on(async {
                        store.put(put(&key, value)).await.unwrap();
                        child::say(&format!("{key} {n}"));
                        store.put(put(&gone, "")).await.unwrap();
                        store.delete(delete(&gone)).await.unwrap();
                        child::say(&format!("{gone} removed"));
                    });
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What has been acknowledged, over all children.
#[derive(Default)]
struct Acknowledged {
    numbers: BTreeMap<String, u64>,
    removed: Vec<String>,
    count: u64,
}

impl Acknowledged {
    fn take(&mut self, line: &str) {
        // The last line of a killed process may be cut short.
        let Some((key, what)) = line.split_once(' ') else {
            return;
        };
        self.count += 1;
        match what.parse() {
            Ok(number) => {
                self.numbers.insert(key.to_owned(), number);
            }
            Err(_) if what == "removed" => self.removed.push(key.to_owned()),
            Err(_) => {}
        }
    }

    async fn check(&self, store: &Embedded) {
        for (key, number) in &self.numbers {
            let entry = store.get(key).await.unwrap().expect("it was acknowledged");
            let value = std::str::from_utf8(&entry.value).unwrap();
            let (found, filling) = value.split_once(' ').unwrap();
            let found: u64 = found.parse().unwrap();
            assert!(
                found >= *number,
                "{key} is {found}, {number} was acknowledged"
            );
            assert_eq!(filling.len() as u64, found * 37 % 3_000);
        }
        for key in &self.removed {
            assert_eq!(store.get(key).await.unwrap(), None, "{key}");
        }
        assert!(store.revision() >= self.numbers.len() as u64);
    }
}

/// Reads what a child says until `most` lines or so much time, then kills it.
fn kill_after(child: Spawned, most: u64, time: Duration, acknowledged: &mut Acknowledged) {
    let begun = Instant::now();
    for _ in 0..most {
        match child
            .lines
            .recv_timeout(time.saturating_sub(begun.elapsed()))
        {
            Ok(line) => acknowledged.take(&line),
            Err(_) => break,
        }
    }
    for line in child.kill() {
        acknowledged.take(&line);
    }
}

#[tokio::test]
async fn loses_nothing_acknowledged_when_killed_at_any_moment() {
    if let Some(path) = child::path() {
        return write_until_killed(&path);
    }
    let name = "kill::loses_nothing_acknowledged_when_killed_at_any_moment";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut random = seed.as_nanos() as u64 | 1;
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let mut acknowledged = Acknowledged::default();
    for round in 0..KILLS {
        let child = Spawned::test(name, &path);
        if round % 3 == 0 {
            // While it starts, perhaps.
            let time = Duration::from_micros(below(60_000));
            kill_after(child, u64::MAX, time, &mut acknowledged);
        } else {
            kill_after(child, 1 + below(300), PATIENCE, &mut acknowledged);
        }
        let store =
            Embedded::open(&path, EmbeddedOptions::default()).expect("a start is never refused");
        acknowledged.check(&store).await;
    }
    assert!(acknowledged.count > 500, "{}", acknowledged.count);

    for round in 0..KILLS_WHEN_NEW {
        let path = dir.path().join(format!("new-{round}"));
        let child = Spawned::test(name, &path);
        let mut acknowledged = Acknowledged::default();
        // Until it has been made, or in the middle of that.
        let deadline = Instant::now() + PATIENCE;
        while !path.exists() && Instant::now() < deadline {
            thread::yield_now();
        }
        kill_after(
            child,
            u64::MAX,
            Duration::from_micros(below(4_000)),
            &mut acknowledged,
        );
        let store =
            Embedded::open(&path, EmbeddedOptions::default()).expect("a start is never refused");
        acknowledged.check(&store).await;
    }
}

#[test]
fn one_process_at_a_time_has_the_store() {
    if let Some(path) = child::path() {
        let _store = Embedded::open(path, EmbeddedOptions::default()).unwrap();
        child::say("open");
        // Until the parent has gone or kills it.
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let child = Spawned::test("kill::one_process_at_a_time_has_the_store", &path);
    assert_eq!(child.lines.recv_timeout(PATIENCE).unwrap(), "open");
    let refused = Embedded::open(&path, EmbeddedOptions::default()).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Locked { path: named } if Path::new(named) == path),
        "{refused}"
    );
    child.kill();
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    let second = Embedded::open(&path, EmbeddedOptions::default());
    assert!(
        matches!(second, Err(StoreError::Locked { .. })),
        "{second:?}"
    );
    drop(store);
    Embedded::open(&path, EmbeddedOptions::default()).unwrap();
}
