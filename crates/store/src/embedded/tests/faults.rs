//! A disk that fails, fills up, or loses power, at each call there is.

use std::sync::Arc;

use super::{
    Contents, Random, Script, contents,
    disk::{FakeDisk, Fault},
    open, put, run_script,
};
use crate::StoreError;

/// More calls than opening a store and running the script makes.
const MANY_CALLS: u64 = 5_000;

/// Runs the script against a disk on which the calls after each number of calls go wrong.
fn at_each_call(fault: Fault, check: impl Fn(&Arc<FakeDisk>, Script, Option<super::Embedded>)) {
    for calls in 0..MANY_CALLS {
        let disk = Arc::new(FakeDisk::default());
        disk.fail_after(calls, fault);
        let (script, store) = match open(&disk) {
            Ok(store) => (run_script(&store), Some(store)),
            Err(StoreError::Unavailable { .. }) => (Script::default(), None),
            Err(other) => panic!("after {calls} calls: {other}"),
        };
        if !disk.has_failed() {
            assert!(calls > 50, "the script makes {calls} calls only");
            return;
        }
        check(&disk, script, store);
    }
    panic!("the script does not end");
}

fn assert_whole(found: &Contents, script: &Script) {
    assert!(
        *found == script.acknowledged || *found == script.attempted,
        "found {:?}, acknowledged {:?}, attempted {:?}",
        lengths(found),
        lengths(&script.acknowledged),
        lengths(&script.attempted),
    );
}

fn lengths(contents: &Contents) -> Vec<(&str, usize)> {
    let lengths = contents.iter().map(|(key, value)| (&**key, value.len()));
    lengths.collect()
}

/// What is in memory equals the disk before the next write.
fn assert_memory_equals(store: &super::Embedded, disk: &FakeDisk) {
    let on_disk = open(&Arc::new(FakeDisk::with(disk.content()))).unwrap();
    assert_eq!(contents(&on_disk), contents(store));
    assert_eq!(on_disk.revision(), store.revision());
}

/// After a fault has passed: nothing is lost, memory equals the disk, and writes work unless a sync failed.
fn check_recovery(disk: &Arc<FakeDisk>, script: &Script, store: Option<super::Embedded>) {
    if let Some(store) = store {
        assert_whole(&contents(&store), script);
        disk.mend();
        let again = put(&store, "routes/again", b"again");
        if disk.has_failed_sync() {
            let Err(error @ StoreError::Unavailable { .. }) = again else {
                panic!("a write after a failed sync: {again:?}");
            };
            assert!(error.to_string().contains("started anew"), "{error}");
            assert_whole(&contents(&store), script);
            drop(store);
            assert_whole(&contents(&open(disk).unwrap()), script);
        } else {
            again.unwrap();
            let in_memory = contents(&store);
            drop(store);
            assert_eq!(contents(&open(disk).unwrap()), in_memory);
        }
    }
    disk.mend();
    let store = open(disk).unwrap();
    put(&store, "routes/again", b"again").unwrap();
    assert_eq!(contents(&store)["routes/again"], b"again");
}

#[test]
fn recovers_when_the_disk_is_broken_for_a_while() {
    at_each_call(Fault::Broken, |disk, script, store| {
        check_recovery(disk, &script, store);
    });
}

#[test]
fn recovers_when_one_call_fails() {
    at_each_call(Fault::Once, |disk, script, store| {
        if let Some(store) = &store
            && !disk.has_failed_sync()
        {
            assert_memory_equals(store, disk);
        }
        check_recovery(disk, &script, store);
    });
}

#[test]
fn recovers_when_the_database_panics() {
    for calls in 0..MANY_CALLS {
        let disk = Arc::new(FakeDisk::default());
        let store = open(&disk).unwrap();
        disk.fail_after(disk.calls() + calls, Fault::Panic);
        let script = run_script(&store);
        if !disk.has_failed() {
            assert!(calls > 50, "the script makes {calls} calls only");
            return;
        }
        if !disk.has_failed_sync() {
            assert_memory_equals(&store, &disk);
        }
        check_recovery(&disk, &script, Some(store));
    }
    panic!("the script does not end");
}

#[test]
fn starts_with_everything_after_being_killed_at_any_call() {
    at_each_call(Fault::Killed, |disk, script, store| {
        let left = Arc::new(FakeDisk::with(disk.content()));
        drop(store);
        let store = open(&left).expect("a start is never refused");
        assert_whole(&contents(&store), &script);
        put(&store, "routes/again", b"again").unwrap();
    });
}

#[test]
fn starts_with_everything_after_a_loss_of_power_at_any_call() {
    let mut random = Random(0x5eed);
    let seeds: Vec<u64> = (0..8).map(|_| random.next()).collect();
    at_each_call(Fault::Killed, |disk, script, store| {
        for &seed in &seeds {
            let mut random = Random(seed);
            let left = disk.after_power_loss(|| random.next().is_multiple_of(2));
            let store = open(&Arc::new(FakeDisk::with(left))).expect("a start is never refused");
            assert_whole(&contents(&store), &script);
        }
        drop(store);
    });
}

#[test]
fn goes_on_by_itself_after_a_full_disk_has_room_again() {
    for blocks in 0..120 {
        let disk = Arc::new(FakeDisk::default());
        let store = open(&disk).unwrap();
        put(&store, "routes/first", b"first").unwrap();
        disk.fill_up_after(blocks);
        let mut acknowledged = 0;
        let error = loop {
            match put(&store, &format!("routes/{acknowledged}"), &[1; 3000]) {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("no storage space"), "{error}");
        assert_eq!(contents(&store).len(), acknowledged + 1, "reads go on");
        disk.make_room();
        put(&store, "routes/last", b"last").unwrap();
        let in_memory = contents(&store);
        assert_eq!(in_memory.len(), acknowledged + 2);
        drop(store);
        assert_eq!(contents(&open(&disk).unwrap()), in_memory);
    }
}
