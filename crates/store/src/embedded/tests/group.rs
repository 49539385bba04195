//! Writes that share a transaction: how many fsyncs they cost, and what they share when it fails.

use std::{pin::pin, sync::Arc, task::Poll};

use super::{
    contents, delete,
    disk::{FakeDisk, Fault},
    open, put, put_of, wait,
};
use crate::{BoxFuture, Expect, Put, Store, StoreError, Written};

/// Queues these writes while the one before is being synced, so that they make one batch; then does `meanwhile` and lets the
/// disk go on.
fn in_one_batch(
    disk: &FakeDisk,
    store: &super::Embedded,
    puts: Vec<Put>,
    meanwhile: impl FnOnce(),
) -> Vec<Result<Written, StoreError>> {
    disk.hold();
    let mut writes: Vec<BoxFuture<'_, _>> = vec![store.put(put_of("first", b"first"))];
    writes.extend(puts.into_iter().map(|put| store.put(put)));
    wait(async {
        // Queued when polled first; the first of them alone is taken until the sync ends.
        poll_once(&mut writes[0]).await;
        while disk.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        for write in &mut writes[1..] {
            poll_once(write).await;
        }
        meanwhile();
        disk.release();
        let mut results = Vec::new();
        for write in writes {
            results.push(write.await);
        }
        results
    })
}

async fn poll_once(write: &mut BoxFuture<'_, Result<Written, StoreError>>) {
    let mut write = pin!(write);
    std::future::poll_fn(|context| {
        assert!(write.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn shares_one_sync_among_the_writes_that_wait() {
    let disk = Arc::new(FakeDisk::default());
    let store = open(&disk).unwrap();
    // Makes room: growing the file costs syncs too.
    put(&store, "large", &vec![0; 200_000]).unwrap();
    delete(&store, "large").unwrap();
    let before = disk.syncs();
    put(&store, "alone", b"alone").unwrap();
    let alone = disk.syncs() - before;
    let puts = (0..100).map(|n| put_of(&format!("routes/{n}"), b"x"));
    let before = disk.syncs();
    let results = in_one_batch(&disk, &store, puts.collect(), || {});
    assert_eq!(
        disk.syncs() - before,
        2 * alone,
        "one for the first, one for the hundred"
    );
    let revisions: Vec<u64> = results
        .into_iter()
        .map(|result| result.unwrap().revision)
        .collect();
    assert_eq!(revisions, (4..105).collect::<Vec<u64>>());
}

#[test]
fn fails_the_writes_of_a_failed_batch_and_no_others() {
    let disk = Arc::new(FakeDisk::default());
    let store = open(&disk).unwrap();
    let taken = Put {
        expect: Expect::Absent,
        ..put_of("routes/1", b"second")
    };
    let puts = vec![put_of("routes/1", b"first"), taken];
    let results = in_one_batch(&disk, &store, puts, || {
        // The sync that is held and what follows it in that commit succeed.
        disk.fail_after(disk.calls() + 1, Fault::Once);
    });
    assert!(results[0].is_ok(), "{results:?}");
    for result in &results[1..] {
        // Also the one whose precondition fails only because of the other.
        assert!(
            matches!(result, Err(StoreError::Unavailable { .. })),
            "{results:?}"
        );
    }
    assert_eq!(contents(&store).len(), 1);
    put(&store, "routes/1", b"third").unwrap();
}

#[test]
fn decides_preconditions_on_the_writes_before_in_the_batch() {
    let disk = Arc::new(FakeDisk::default());
    let store = open(&disk).unwrap();
    let expecting = |expect, value: &[u8]| Put {
        expect,
        ..put_of("routes/1", value)
    };
    let results = in_one_batch(
        &disk,
        &store,
        vec![
            expecting(Expect::Absent, b"1"),
            expecting(Expect::Absent, b"2"),
            expecting(Expect::ModRevision(2), b"3"),
            expecting(Expect::ModRevision(2), b"4"),
        ],
        || {},
    );
    let outcome: Vec<Option<u64>> = results
        .iter()
        .map(|result| result.as_ref().ok().map(|written| written.revision))
        .collect();
    assert_eq!(outcome, [Some(1), Some(2), None, Some(3), None]);
    assert_eq!(contents(&store)["routes/1"], b"3");
}
