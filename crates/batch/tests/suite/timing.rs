//! When batches are sent.

use std::time::Duration;

use tokio::time::advance;

use crate::recorder::{Attempt, Rig};

#[tokio::test(start_paused = true)]
async fn sends_full_batches_at_once_and_the_rest_when_no_more_comes() {
    let mut rig = Rig::new(&[]);
    rig.push(1..=7);
    assert_eq!(rig.attempt().await, (0, vec![1, 2, 3]));
    assert_eq!(rig.attempt().await, (0, vec![4, 5, 6]));
    assert_eq!(rig.attempt().await, (5000, vec![7]));
    assert_eq!(rig.settled().await.sent, 7);
}

#[tokio::test(start_paused = true)]
async fn each_entry_puts_the_end_of_a_batch_off() {
    let mut rig = Rig::new(&[]);
    rig.push([1]);
    advance(Duration::from_millis(4999)).await;
    assert!(rig.is_silent());
    rig.push([2]);
    assert_eq!(rig.attempt().await, (9999, vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn no_entry_waits_longer_than_the_duration() {
    let mut rig = Rig::with(&[], |settings| {
        settings.batch_max_size = 1000;
        settings.buffer_duration = Duration::from_secs(10);
    });
    rig.push([0]);
    for entry in 1..4 {
        advance(Duration::from_secs(3)).await;
        rig.push([entry]);
    }
    assert_eq!(rig.attempt().await, (10_000, vec![0, 1, 2, 3]));
    // The clock starts anew with the next batch.
    rig.push([4]);
    assert_eq!(rig.attempt().await.1, [4]);
}

#[tokio::test(start_paused = true)]
async fn sends_each_entry_at_once_where_batches_have_one() {
    let mut rig = Rig::with(&[], |settings| settings.batch_max_size = 1);
    rig.push(1..=3);
    for entry in 1..=3 {
        assert_eq!(rig.attempt().await, (0, vec![entry]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_batch_does_not_hold_up_the_next() {
    let slow = Attempt::Takes(Duration::from_secs(100));
    let mut rig = Rig::new(&[slow]);
    rig.push(1..=6);
    assert_eq!(rig.attempt().await, (0, vec![1, 2, 3]));
    assert_eq!(rig.attempt().await, (0, vec![4, 5, 6]));
    assert_eq!(rig.settled().await.sent, 6);
}

#[tokio::test(start_paused = true)]
async fn so_many_batches_are_on_their_way_and_no_more() {
    let slow = vec![Attempt::Takes(Duration::from_secs(1)); 65];
    let mut rig = Rig::with(&slow, |settings| settings.batch_max_size = 1);
    rig.push(0..65);
    for entry in 0..64 {
        assert_eq!(rig.attempt().await, (0, vec![entry]));
    }
    assert_eq!(rig.attempt().await, (1000, vec![64]));
}

#[tokio::test(start_paused = true)]
async fn sends_large_entries_before_the_batch_is_full() {
    let mut rig = Rig::new(&[]);
    assert!(rig.processor.push(1, 1));
    assert!(rig.processor.push(2, 16 << 20));
    assert_eq!(rig.attempt().await, (0, vec![1, 2]));
}
