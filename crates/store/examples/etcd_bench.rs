//! How fast an etcd is written, read as a whole, and followed: `etcd_bench URL [KEYS]`.
//!
//! Everything happens below the prefix `/lockgate-bench`, which is left behind: use an etcd that can be thrown away.

#![expect(clippy::print_stdout, reason = "a program that prints its findings")]

use std::{env, error::Error, sync::Arc, time::Duration};

use lockgate_store::{Author, Etcd, EtcdOptions, Expect, Put, Store, StoreError};
use tokio::{task::JoinSet, time::Instant};

/// Writes under way at one time.
const WRITERS: usize = 64;

/// Bytes of a value, about those of a route.
const VALUE_BYTES: usize = 1_000;

/// Changes whose way to a watcher is measured.
const CHANGES: usize = 1_000;

fn put(key: String) -> Put {
    Put {
        key,
        value: vec![b'x'; VALUE_BYTES],
        expect: Expect::Any,
        ttl: None,
        author: Author::default(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().ok_or("usage: etcd_bench URL [KEYS]")?;
    let keys: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let options = EtcdOptions {
        endpoints: vec![url],
        prefix: "/lockgate-bench".to_owned(),
        ..EtcdOptions::default()
    };
    let store = Arc::new(Etcd::connect(options).await?);
    write(&store, keys).await?;
    read(&store).await?;
    follow(&store).await?;
    Ok(())
}

async fn write(store: &Arc<Etcd>, keys: usize) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for n in (writer..keys).step_by(WRITERS) {
                store.put(put(format!("routes/{n}"))).await?;
            }
            Ok::<(), StoreError>(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    let rate = keys as f64 / started.elapsed().as_secs_f64();
    println!("write: {keys} keys of {VALUE_BYTES} bytes, {WRITERS} at one time: {rate:.0}/s");
    Ok(())
}

async fn read(store: &Etcd) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let listing = store.list("").await?;
        times.push((started.elapsed(), listing.entries.len()));
    }
    times.sort_unstable();
    let (median, keys) = times.get(2).ok_or("no listing")?;
    println!(
        "read: {keys} keys: {:.2} s (median of 5)",
        median.as_secs_f64()
    );
    Ok(())
}

async fn follow(store: &Arc<Etcd>) -> Result<(), Box<dyn Error>> {
    let start = store.put(put("routes/0".to_owned())).await?.revision;
    let mut watch = store.watch(start - 1)?;
    watch.next().await?;
    let mut ways = Vec::new();
    for n in 0..CHANGES {
        let started = Instant::now();
        let (written, batch) = tokio::join!(store.put(put(format!("routes/{n}"))), watch.next());
        written?;
        batch?;
        ways.push(started.elapsed());
    }
    ways.sort_unstable();
    let at = |share: usize| {
        ways.get(CHANGES * share / 100)
            .copied()
            .unwrap_or(Duration::ZERO)
    };
    println!(
        "follow: from the start of a write to its event and its answer: median {:.2?}, p99 {:.2?}",
        at(50),
        at(99)
    );
    Ok(())
}
