//! What does a durable write cost, alone and with others, and what does a start with 100 000 routes?
//!
//! `cargo run --release -p lockgate-store --example store_bench [DIR]`: DIR is on the disk in question, else the system's
//! directory for temporary files is used. Run it five times and take medians; the disk's fsync decides the first table, so that
//! is measured beside it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark reports to the terminal and has nobody to hand errors to"
)]

use std::{
    fs,
    hint::black_box,
    io::Write as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lockgate_store::{
    Author, Embedded, EmbeddedOptions, Expect, HistoryOf, HistoryQuery, Put, Store,
};
use tokio::runtime::{Builder, Runtime};

const OBJECTS: usize = 100_000;
const WRITERS: [usize; 5] = [1, 8, 64, 256, 1024];
/// Tells this program that it is to measure a start.
const OPEN: &str = "--open";
/// Writes that are watched.
const WATCHED: usize = 1_000;
const SPAN: Duration = Duration::from_secs(2);

fn main() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let mut arguments = std::env::args().skip(1);
    let dir = match arguments.next() {
        Some(flag) if flag == OPEN => return open(&runtime, Path::new(&arguments.next().unwrap())),
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .unwrap();
    println!("plain fsync of 4 KiB: {:.0}/s", plain_fsyncs(dir.path()));
    for writers in WRITERS {
        let path = dir.path().join(format!("writers-{writers}"));
        write_rate(&runtime, &path, writers);
    }
    watch_delay(&runtime, &dir.path().join("watch"));
    start(&runtime, &dir.path().join("start"));
}

/// How much later than the writer a watcher on another thread hears of a write.
fn watch_delay(runtime: &Runtime, path: &Path) {
    let store = Embedded::open(path, EmbeddedOptions::default()).unwrap();
    let mut watch = store.watch(0).unwrap();
    let watcher = thread::spawn(move || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut seen = Vec::new();
        while seen.len() < WATCHED {
            let batch = runtime.block_on(watch.next()).unwrap();
            seen.resize(batch.revision as usize, Instant::now());
        }
        seen
    });
    let answered: Vec<Instant> = (0..WATCHED)
        .map(|id| {
            runtime.block_on(store.put(route(id))).unwrap();
            Instant::now()
        })
        .collect();
    let seen = watcher.join().unwrap();
    // Negative where the watcher was first.
    let mut delays_us: Vec<i64> = seen
        .iter()
        .zip(&answered)
        .map(|(seen, answered)| {
            let later = seen.saturating_duration_since(*answered).as_micros();
            let earlier = answered.saturating_duration_since(*seen).as_micros();
            later as i64 - earlier as i64
        })
        .collect();
    delays_us.sort_unstable();
    println!(
        "a watcher hears {} us after the writer's answer (median), {} us (99 %)",
        delays_us[WATCHED / 2],
        delays_us[WATCHED * 99 / 100]
    );
}

fn plain_fsyncs(dir: &Path) -> f64 {
    let mut file = fs::File::create(dir.join("plain")).unwrap();
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < SPAN / 2 {
        file.write_all(&[count as u8; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

fn write_rate(runtime: &Runtime, path: &Path, writers: usize) {
    let store = Arc::new(Embedded::open(path, EmbeddedOptions::default()).unwrap());
    let slowest_us = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let count: usize = runtime.block_on(async {
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let (store, slowest_us) = (store.clone(), slowest_us.clone());
                tokio::spawn(async move {
                    let mut count = 0;
                    while begun.elapsed() < SPAN {
                        let asked = Instant::now();
                        store.put(route(writer * 1_000_000 + count)).await.unwrap();
                        slowest_us.fetch_max(asked.elapsed().as_micros() as u64, Ordering::Relaxed);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap();
        }
        total
    });
    println!(
        "{writers:5} writers: {:7.0} writes/s, slowest {:6.1} ms",
        count as f64 / begun.elapsed().as_secs_f64(),
        slowest_us.load(Ordering::Relaxed) as f64 / 1e3,
    );
}

fn start(runtime: &Runtime, path: &Path) {
    let begun = Instant::now();
    let store = Arc::new(Embedded::open(path, EmbeddedOptions::default()).unwrap());
    runtime.block_on(async {
        let tasks: Vec<_> = (0..OBJECTS)
            .map(|id| {
                let store = store.clone();
                tokio::spawn(async move { store.put(route(id)).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    println!("{OBJECTS} objects written in {:.2?}", begun.elapsed());
    let closing = Instant::now();
    drop(store);
    println!(
        "closed in {:.1?}, the file has {:.1} MB",
        closing.elapsed(),
        fs::metadata(path).unwrap().len() as f64 / 1e6
    );

    for _ in 0..5 {
        let opened = Command::new(std::env::current_exe().unwrap())
            .arg(OPEN)
            .arg(path)
            .status();
        assert!(opened.unwrap().success());
    }
    let store = Embedded::open(path, EmbeddedOptions::default()).unwrap();
    let begun = Instant::now();
    runtime
        .block_on(store.backup(path.with_extension("backup")))
        .unwrap();
    println!("backed up in {:.1?}", begun.elapsed());
}

/// What a start costs, in a process of its own.
fn open(runtime: &Runtime, path: &Path) {
    let before_kib = resident_kib();
    let begun = Instant::now();
    let store = Embedded::open(path, EmbeddedOptions::default()).unwrap();
    let opened = begun.elapsed();
    let after_kib = resident_kib();
    let begun = Instant::now();
    let listing = runtime.block_on(store.list("")).unwrap();
    let listed = begun.elapsed();
    let entries = listing.entries.iter();
    let bytes: usize = entries
        .map(|entry| entry.value.len() + entry.key.len())
        .sum();
    drop(black_box(listing));
    let begun = Instant::now();
    let query = HistoryQuery {
        of: HistoryOf::Key("routes/50000".to_owned()),
        before: None,
        limit: 10,
    };
    assert_eq!(runtime.block_on(store.history(query)).unwrap().len(), 1);
    println!(
        "opened in {opened:.1?}, listed in {listed:.1?}, history of a key {:.1?}; {:.1} MB resident for {:.1} MB of keys and values",
        begun.elapsed(),
        (after_kib - before_kib) as f64 / 1e3,
        bytes as f64 / 1e6,
    );
}

/// A route of ordinary size.
fn route(id: usize) -> Put {
    let value = format!(
        r#"{{"uri":"/api/v1/tenants/{id}/orders/*","methods":["GET","POST","PUT","DELETE"],"host":"tenant-{id}.example.com","name":"orders of tenant {id}","labels":{{"team":"orders","tier":"gold"}},"upstream":{{"type":"roundrobin","scheme":"http","pass_host":"pass","hash_on":"vars","nodes":[{{"host":"10.0.{}.{}","port":8080,"weight":1,"priority":0}},{{"host":"10.1.{}.{}","port":8080,"weight":1,"priority":0}}]}},"priority":0,"status":1,"id":"{id}","create_time":1795000000,"update_time":1795000000}}"#,
        id / 256 % 256,
        id % 256,
        id / 256 % 256,
        id % 256,
    );
    Put {
        key: format!("routes/{id}"),
        value: value.into_bytes(),
        expect: Expect::Any,
        ttl: None,
        author: Author {
            name: "admin".to_owned(),
            address: "127.0.0.1".to_owned(),
        },
    }
}

fn resident_kib() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
