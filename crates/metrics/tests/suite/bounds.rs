//! Series that are too many, and series that expire.

use std::time::Duration;

use lockgate_metrics::{
    Buckets, Counter, CounterSeries, Declaration, Memo, Recorder, Registry, Workers,
};

use crate::read::read;

const DROPPED: &str = "lockgate_metric_updates_dropped_total";

fn declaration() -> Declaration {
    Declaration::new("c", "h", &["a", "b"])
}

fn count(
    recorder: &mut Recorder,
    memo: &mut Memo<CounterSeries>,
    family: &Counter,
    now_ms: u64,
    a: &str,
) {
    let mut recording = recorder.at(now_ms);
    let series = memo.get(
        &mut recording,
        |key| {
            key.bytes(a.as_bytes());
        },
        |recording| recording.counter(family, &[a, "1"]),
    );
    recording.add(series, 1);
}

#[test]
fn series_that_are_too_many_are_counted_together() {
    let registry = Registry::new("");
    let family = registry.counter(&declaration().series_max(3)).unwrap();
    let mut recorders = [
        (registry.recorder(), Memo::new()),
        (registry.recorder(), Memo::new()),
    ];
    for round in 0..2 {
        for (recorder, memo) in &mut recorders {
            for n in 0..10 {
                count(recorder, memo, &family, round, &n.to_string());
            }
        }
    }
    let found = read(&registry, 2);
    for n in ["0", "1", "2"] {
        assert_eq!(found.sum("c", &[("a", n), ("b", "1")]), Some(4.0));
    }
    let overflow = [("a", "overflow"), ("b", "overflow")];
    assert_eq!(found.sum("c", &overflow), Some(28.0));
    assert_eq!(found.sum("c", &[]), Some(40.0));
    assert_eq!(found.sum(DROPPED, &[("metric", "c")]), Some(28.0));
}

#[test]
fn nothing_is_said_of_dropped_updates_while_there_are_none() {
    let registry = Registry::new("");
    let family = registry.counter(&declaration().series_max(1)).unwrap();
    let (mut recorder, mut memo) = (registry.recorder(), Memo::new());
    count(&mut recorder, &mut memo, &family, 0, "0");
    assert_eq!(read(&registry, 0).sum(DROPPED, &[]), None);
}

#[test]
fn histograms_overflow_too() {
    let registry = Registry::new("");
    let declaration = declaration().series_max(1);
    let family = registry
        .histogram(&declaration, &Buckets::new([1.0]))
        .unwrap();
    let mut recorder = registry.recorder();
    let mut recording = recorder.at(0);
    for a in ["1", "2", "3"] {
        let series = recording.histogram(&family, &[a, ""]);
        recording.observe(&series, 0.5);
    }
    let found = read(&registry, 0);
    assert_eq!(found.sum("c_count", &[("a", "overflow")]), Some(2.0));
    assert_eq!(found.sum(DROPPED, &[]), Some(2.0));
}

#[test]
fn a_series_that_expires_comes_back_from_zero() {
    let registry = Registry::new("");
    let family = registry
        .counter(&declaration().expire(Duration::from_secs(1)))
        .unwrap();
    let (mut recorder, mut memo) = (registry.recorder(), Memo::new());
    for (now_ms, counts, expected) in [
        (5_000, 3, Some(3.0)),
        (5_999, 1, Some(4.0)),
        (6_998, 0, Some(4.0)),
        (6_999, 0, None),
        (7_000, 1, Some(1.0)),
        (7_500, 1, Some(2.0)),
        (60_000, 0, None),
        (61_000, 0, None),
        (61_000, 2, Some(2.0)),
    ] {
        for _ in 0..counts {
            count(&mut recorder, &mut memo, &family, now_ms, "x");
        }
        let found = read(&registry, now_ms);
        assert_eq!(found.sum("c", &[]), expected, "at {now_ms}");
    }
}

#[test]
fn a_series_lives_while_any_worker_counts_it() {
    let registry = Registry::new("");
    let family = registry
        .counter(&declaration().expire(Duration::from_secs(1)))
        .unwrap();
    let workers = Workers::new(&registry, 2);
    let count = |worker, now_ms| {
        workers.with(worker, |recorder, memo| {
            count(recorder, memo, &family, now_ms, "x");
        });
    };
    count(0, 0);
    for (now_ms, expected) in [(900, 2.0), (1_800, 3.0), (2_700, 4.0)] {
        count(1, now_ms);
        assert_eq!(read(&registry, now_ms).sum("c", &[]), Some(expected));
    }
    // The first has not counted for longer than the series may idle; its part is there still, and it goes on from it.
    count(0, 2_800);
    assert_eq!(read(&registry, 2_900).sum("c", &[]), Some(5.0));
    assert_eq!(read(&registry, 3_800).sum("c", &[]), None);
    count(0, 3_900);
    count(1, 3_900);
    count(7, 3_900);
    assert_eq!(read(&registry, 3_900).sum("c", &[]), Some(3.0));
}

#[test]
fn handles_of_expired_series_count_nothing_elsewhere() {
    let registry = Registry::new("");
    let family = registry
        .counter(&declaration().expire(Duration::from_millis(10)))
        .unwrap();
    let mut recorder = registry.recorder();
    let old = recorder.at(0).counter(&family, &["old", ""]);
    registry.expire(10);
    // Gets the memory of the first.
    let new = recorder.at(10).counter(&family, &["new", ""]);
    let mut recording = recorder.at(10);
    recording.add(&old, 100);
    recording.add(&new, 1);
    assert_eq!(read(&registry, 10).sum("c", &[]), Some(1.0));
}

#[test]
fn handles_of_another_recorder_count_nothing() {
    let registry = Registry::new("");
    let family = registry.counter(&declaration()).unwrap();
    let (mut one, mut other) = (registry.recorder(), registry.recorder());
    let series = one.at(0).counter(&family, &["x", ""]);
    other.at(0).add(&series, 1);
    assert_eq!(read(&registry, 0).sum("c", &[]), Some(0.0));
}

#[test]
fn room_that_expired_series_leave_is_used() {
    let registry = Registry::new("");
    let declaration = declaration().series_max(1).expire(Duration::from_secs(1));
    let family = registry.counter(&declaration).unwrap();
    let (mut recorder, mut memo) = (registry.recorder(), Memo::new());
    for (now_ms, a) in [(0, "first"), (0, "second"), (900, "second")] {
        count(&mut recorder, &mut memo, &family, now_ms, a);
    }
    let found = read(&registry, 900);
    assert_eq!(found.sum("c", &[("a", "overflow")]), Some(2.0));
    registry.expire(1_000);
    // The memo held the overflow for it.
    count(&mut recorder, &mut memo, &family, 1_000, "second");
    let found = read(&registry, 1_000);
    assert_eq!(found.sum("c", &[("a", "first")]), None);
    assert_eq!(found.sum("c", &[("a", "second")]), Some(1.0));
    assert_eq!(found.sum("c", &[("a", "overflow")]), Some(2.0));
    assert_eq!(read(&registry, 1_900).sum("c", &[("a", "overflow")]), None);
}

#[test]
fn bounds_follow_the_latest_declaration() {
    let registry = Registry::new("");
    let family = registry.counter(&declaration()).unwrap();
    let (mut recorder, mut memo) = (registry.recorder(), Memo::new());
    count(&mut recorder, &mut memo, &family, 0, "x");
    assert_eq!(read(&registry, 1_000_000).sum("c", &[]), Some(1.0));
    let bounded = declaration().series_max(1).expire(Duration::from_secs(9));
    registry.counter(&bounded).unwrap();
    count(&mut recorder, &mut memo, &family, 1_000_000, "y");
    let found = read(&registry, 1_000_000);
    assert_eq!(found.sum("c", &[("a", "x")]), None);
    assert_eq!(found.sum("c", &[("a", "overflow")]), Some(1.0));
}

#[test]
fn what_a_recorder_has_counted_outlives_it() {
    let registry = Registry::new("");
    let family = registry
        .counter(&declaration().expire(Duration::from_secs(1)))
        .unwrap();
    let buckets = Buckets::new([1.0]);
    let histogram = registry
        .histogram(&Declaration::new("h", "h", &[]), &buckets)
        .unwrap();
    for round in 1..=3_u32 {
        let (mut recorder, mut memo) = (registry.recorder(), Memo::new());
        count(&mut recorder, &mut memo, &family, u64::from(round), "x");
        let mut recording = recorder.at(0);
        let series = recording.histogram::<&str>(&histogram, &[]);
        recording.observe(&series, 2.0);
        drop(recorder);
        let found = read(&registry, 0);
        let round = f64::from(round);
        assert_eq!(found.sum("c", &[]), Some(round));
        assert_eq!(found.sum("h_count", &[]), Some(round));
        assert_eq!(found.sum("h_bucket", &[("le", "1")]), Some(0.0));
        assert_eq!(found.sum("h_sum", &[]), Some(2.0 * round));
    }
    assert_eq!(read(&registry, 1_002).sum("c", &[]), Some(3.0));
    assert_eq!(read(&registry, 1_003).sum("c", &[]), None);
}

#[test]
fn a_memo_forgets_rather_than_grows() {
    let registry = Registry::new("");
    let family = registry
        .counter(&declaration().expire(Duration::from_secs(1)))
        .unwrap();
    let mut recorder = registry.recorder();
    // More keys than are looked through, then more than it holds.
    for (mut memo, keys) in [
        (Memo::new(), 5_000_u64),
        (Memo::with_keys_max(7), 100),
        (Memo::with_keys_max(0), 3),
    ] {
        let mut total = 0.0;
        registry.expire(u64::MAX);
        for round in 0..2 {
            for n in 0..keys {
                let now_ms = round * 10 + n;
                count(&mut recorder, &mut memo, &family, now_ms, &n.to_string());
                total += 1.0;
            }
        }
        assert_eq!(read(&registry, 0).sum("c", &[]), Some(total), "{keys} keys");
        // Half of them expire; those that are left are found under their keys.
        registry.expire(1_000 + keys / 2);
        for n in 0..2 * keys {
            count(&mut recorder, &mut memo, &family, 20_000, &n.to_string());
        }
        let found = read(&registry, 20_000);
        let values = found.families["c"].samples.values();
        let once = values.filter(|n| **n < 1.5);
        assert!(once.count() as u64 >= keys, "{keys} keys");
        assert_eq!(found.families["c"].samples.len() as u64, 2 * keys);
    }
}

#[test]
fn a_memo_that_was_cleared_takes_other_labels() {
    let registry = Registry::new("");
    let family = registry.counter(&declaration()).unwrap();
    let workers: Workers<CounterSeries> = Workers::new(&registry, 0);
    for label in ["before", "before", "after"] {
        if label == "after" {
            workers.clear_memos();
        }
        workers.with(3, |recorder, memo| {
            let mut recording = recorder.at(0);
            let series = memo.get(
                &mut recording,
                |key| {
                    key.number(7);
                },
                |recording| recording.counter(&family, &[label, ""]),
            );
            recording.add(series, 1);
        });
    }
    let found = read(&registry, 0);
    assert_eq!(found.sum("c", &[("a", "before")]), Some(2.0));
    assert_eq!(found.sum("c", &[("a", "after")]), Some(1.0));
}
