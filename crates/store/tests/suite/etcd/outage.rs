//! What becomes of calls and watches when etcd fails in one way or another.

use std::time::{Duration, Instant};

use lockgate_store::{Batch, Change, Etcd, EtcdOptions, Revision, Store, StoreError, Watch};

use super::{
    cable::Cable,
    server::{Server, options},
};
use crate::writes::{next, put, within, write};

/// Waits as a gateway does: an error that says so is waited out.
async fn next_in_spite(watch: &mut dyn Watch) -> Batch {
    within(async {
        loop {
            match watch.next().await {
                Ok(batch) => return batch,
                Err(StoreError::Unavailable { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    })
    .await
}

fn keys(batch: &Batch) -> Vec<(Revision, String)> {
    batch
        .changes
        .iter()
        .map(|change| match change {
            Change::Put(entry) => (entry.mod_revision, entry.key.to_string()),
            Change::Delete { key, revision } => (*revision, format!("-{key}")),
        })
        .collect()
}

/// A store whose only way to etcd is a cable, and a watch that has begun.
struct Wired {
    server: Server,
    cable: Cable,
    store: Etcd,
    watch: Box<dyn Watch>,
    /// What the watch has seen.
    seen: Revision,
}

impl Wired {
    async fn up(adapt: impl FnOnce(&mut EtcdOptions)) -> Self {
        let server = Server::start().await;
        let cable = Cable::to(server.client_port).await;
        let mut options = options(vec![cable.url()]);
        adapt(&mut options);
        let store = Etcd::connect(options).await.unwrap();
        let start = write(&store, "routes/0", "{}").await.revision;
        let mut watch = store.watch(start - 1).unwrap();
        let seen = next(&mut *watch).await.revision;
        Self {
            server,
            cable,
            store,
            watch,
            seen,
        }
    }
}

fn impatient(options: &mut EtcdOptions) {
    options.timeout = Duration::from_millis(500);
    options.watch_timeout = Duration::from_millis(500);
}

fn is_unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(error @ StoreError::Unavailable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn says_quickly_that_etcd_is_down_and_goes_on_when_it_is_up() {
    let mut wired = Wired::up(|_| {}).await;
    let url = wired.cable.url();
    wired.server.kill();
    let asked = Instant::now();
    let refused = is_unavailable(wired.store.put(put("routes/1", "{}")).await);
    assert!(
        refused.starts_with(&format!("writing routes/1 failed: {url}: ")),
        "{refused}"
    );
    is_unavailable(wired.store.get("routes/1").await);
    is_unavailable(wired.store.list("").await);
    is_unavailable(wired.store.list("routes/").await);
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    let lost = is_unavailable(within(wired.watch.next()).await);
    assert!(lost.starts_with("watching etcd failed: "), "{lost}");

    wired.server.restart().await;
    let written = write(&wired.store, "routes/1", "{}").await.revision;
    let batch = next_in_spite(&mut *wired.watch).await;
    assert_eq!(keys(&batch), [(written, "routes/1".to_owned())]);
}

#[tokio::test]
async fn waits_no_longer_than_it_is_told_for_an_etcd_that_stands_still() {
    let mut wired = Wired::up(impatient).await;
    wired.server.pause();
    let asked = Instant::now();
    let unknown = is_unavailable(wired.store.put(put("routes/1", "{}")).await);
    // How much of the time was left when the call began is the machine's affair.
    assert!(unknown.contains(": no answer within "), "{unknown}");
    assert!(
        unknown.ends_with("ms; whether it was done is not known"),
        "{unknown}"
    );
    is_unavailable(wired.store.get("routes/1").await);
    is_unavailable(wired.store.list("").await);
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    is_unavailable(within(wired.watch.next()).await);
    wired.server.resume();
    // What was asked for may have been done after all.
    let written = within(async {
        loop {
            if let Ok(written) = wired.store.put(put("routes/2", "{}")).await {
                return written.revision;
            }
        }
    })
    .await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(revision, _)| *revision < written) {
        seen.extend(keys(&next_in_spite(&mut *wired.watch).await));
    }
    assert_eq!(seen.last().unwrap().1, "routes/2");
    let revisions: Vec<Revision> = seen.iter().map(|(revision, _)| *revision).collect();
    let expected: Vec<Revision> = (wired.seen + 1..=written).collect();
    assert_eq!(revisions, expected);
}

#[tokio::test]
async fn finds_a_watch_dead_that_gives_no_sign_of_life() {
    let mut wired = Wired::up(impatient).await;
    // The connection stays; nothing comes over it any more.
    wired.cable.silence();
    let missed = wired.server.put("/apisix/routes/1", b"{}").await;
    let asked = Instant::now();
    let lost = is_unavailable(within(wired.watch.next()).await);
    assert!(lost.contains("no answer within"), "{lost}");
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    wired.cable.mend();
    let batch = next_in_spite(&mut *wired.watch).await;
    assert_eq!(keys(&batch), [(missed, "routes/1".to_owned())]);
}

#[tokio::test]
async fn keeps_a_watch_that_is_silent_and_alive() {
    let mut wired = Wired::up(impatient).await;
    let before = wired.cable.connections();
    let nothing = tokio::time::timeout(Duration::from_secs(2), wired.watch.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    assert_eq!(wired.cable.connections(), before);
    let written = wired.server.put("/apisix/routes/1", b"{}").await;
    let batch = next(&mut *wired.watch).await;
    assert_eq!(keys(&batch), [(written, "routes/1".to_owned())]);
}

#[tokio::test]
async fn resumes_a_watch_that_was_cut_without_a_word() {
    let mut wired = Wired::up(|_| {}).await;
    for round in 1..=3 {
        wired.cable.cut();
        let missed = wired.server.put("/apisix/routes/1", b"{}").await;
        let removed = wired.server.delete("/apisix/routes/1").await;
        wired.cable.mend();
        let batch = next_in_spite(&mut *wired.watch).await;
        assert_eq!(
            keys(&batch),
            [
                (missed, "routes/1".to_owned()),
                (removed, "-routes/1".to_owned())
            ],
            "round {round}"
        );
    }
}

#[tokio::test]
async fn notices_changes_that_were_compacted_while_it_was_away() {
    let mut wired = Wired::up(|_| {}).await;
    wired.cable.cut();
    is_unavailable(within(wired.watch.next()).await);
    wired.server.put("/apisix/routes/1", b"{}").await;
    let kept = wired.server.put("/apisix/routes/2", b"{}").await;
    wired.server.compact(kept).await;
    wired.cable.mend();
    let missed = within(async {
        loop {
            match wired.watch.next().await {
                Err(StoreError::Unavailable { .. }) => {}
                other => return other,
            }
        }
    })
    .await;
    assert!(
        matches!(missed, Err(StoreError::Compacted { oldest }) if oldest == kept),
        "{missed:?}"
    );
    // As its reader does: everything anew, and on from there.
    let listing = wired.store.list("").await.unwrap();
    assert_eq!((listing.revision, listing.entries.len()), (kept, 3));
    let mut watch = wired.store.watch(listing.revision).unwrap();
    let written = write(&wired.store, "routes/3", "{}").await.revision;
    assert_eq!(next(&mut *watch).await.revision, written);
}

#[tokio::test]
async fn misses_no_removal_at_the_very_revision_of_a_compaction() {
    let server = Server::start().await;
    let store = server.connect().await;
    let start = write(&store, "routes/1", "{}").await.revision;
    let removed = server.delete("/apisix/routes/1").await;
    assert_eq!(removed, start + 1);
    server.compact(removed).await;
    let mut watch = store.watch(start).unwrap();
    let missed = within(watch.next()).await;
    assert!(
        matches!(missed, Err(StoreError::Compacted { oldest }) if oldest == removed),
        "{missed:?}"
    );
    let mut watch = store.watch(removed).unwrap();
    let written = write(&store, "routes/2", "{}").await.revision;
    assert_eq!(next(&mut *watch).await.revision, written);
}

#[tokio::test]
async fn notices_an_etcd_that_was_made_anew() {
    let mut wired = Wired::up(|_| {}).await;
    for n in 0..5 {
        write(&wired.store, &format!("routes/{n}"), "{}").await;
        wired.seen = next(&mut *wired.watch).await.revision;
    }
    wired.server.kill();
    wired.server.wipe();
    wired.server.restart().await;
    wired.server.put("/apisix/routes/new", b"{}").await;
    let lost = within(async {
        loop {
            match wired.watch.next().await {
                Err(StoreError::Unavailable { .. }) => {}
                other => return other,
            }
        }
    })
    .await;
    assert!(
        matches!(lost, Err(StoreError::Compacted { oldest }) if oldest < wired.seen),
        "{lost:?}"
    );
    let listing = wired.store.list("").await.unwrap();
    assert!(listing.revision < wired.seen);
    assert_eq!(listing.entries.len(), 1);
    assert_eq!(&*listing.entries[0].key, "routes/new");
    let mut watch = wired.store.watch(listing.revision).unwrap();
    let written = write(&wired.store, "routes/newer", "{}").await.revision;
    assert_eq!(next(&mut *watch).await.revision, written);
}

#[tokio::test]
async fn gives_up_the_start_after_its_attempts() {
    let mut server = Server::start().await;
    server.kill();
    let options = EtcdOptions {
        startup_retry: 2,
        ..server.options()
    };
    let url = server.url();
    let asked = Instant::now();
    assert_eq!(
        Server::refusal(options).await,
        format!("etcd cannot be reached: {url}: Connection refused (os error 111)")
    );
    // One pause between two attempts.
    assert!(
        asked.elapsed() >= Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
}
