//! Many threads count while others read.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use lockgate_metrics::{
    Buckets, CounterSeries, Declaration, HistogramSeries, Memo, Registry, Workers,
};
use lockgate_testkit::Exposition;

use crate::read::{read, text_of};

const THREADS: usize = 8;
const ROUNDS: u64 = 20_000;

#[test]
fn no_update_of_eight_threads_is_lost() {
    let registry = Registry::new("");
    let counter = registry
        .counter(&Declaration::new("c", "h", &["a"]))
        .unwrap();
    let buckets = Buckets::new([1.0, 3.0]);
    let histogram = registry
        .histogram(&Declaration::new("h", "h", &["a"]), &buckets)
        .unwrap();
    let (start, is_over) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let count = || {
            scope.spawn(|| {
                let mut recorder = registry.recorder();
                let mut memo: Memo<(CounterSeries, HistogramSeries)> = Memo::new();
                start.wait();
                for n in 0..ROUNDS {
                    let mut recording = recorder.at(0);
                    let label = n % 50;
                    let (count, latency) = memo.get(
                        &mut recording,
                        |key| {
                            key.number(label);
                        },
                        |recording| {
                            let label = label.to_string();
                            (
                                recording.counter(&counter, &[&label]),
                                recording.histogram(&histogram, &[&label]),
                            )
                        },
                    );
                    recording.add(count, 2);
                    recording.observe(latency, (n % 4) as f64);
                }
            })
        };
        let threads: Vec<_> = (0..THREADS).map(|_| count()).collect();
        let reader = scope.spawn(|| {
            start.wait();
            let mut last = 0.0;
            while !is_over.load(Relaxed) {
                let text = text_of(registry.scrape(0));
                let found =
                    Exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"));
                let count = found.sum("c", &[]).unwrap_or(0.0);
                assert!(count >= last, "{count} after {last}");
                last = count;
            }
        });
        for thread in threads {
            thread.join().expect("counting does not fail");
        }
        is_over.store(true, Relaxed);
        reader.join().expect("every text read was valid");
    });
    let found = read(&registry, 0);
    let all = (THREADS as u64 * ROUNDS) as f64;
    assert_eq!(found.sum("c", &[]), Some(2.0 * all));
    assert_eq!(found.sum("h_count", &[]), Some(all));
    assert_eq!(found.sum("h_sum", &[]), Some(all * 1.5));
    assert_eq!(found.sum("h_bucket", &[("le", "1")]), Some(all / 2.0));
    assert_eq!(found.sum("h_bucket", &[("le", "3")]), Some(all));
}

/// Series expire all the time, and cells change their series: a count must never appear under labels that it was not made under.
#[test]
fn counts_stay_with_their_labels_while_series_expire() {
    let registry = Registry::new("");
    let declaration = Declaration::new("c", "h", &["a"]).expire(Duration::from_millis(1));
    let family = registry.counter(&declaration).unwrap();
    let workers: Workers<CounterSeries> = Workers::new(&registry, THREADS);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (workers, family) = (&workers, &family);
                scope.spawn(move || {
                    for n in 0..ROUNDS {
                        workers.with(worker, |recorder, memo| {
                            let mut recording = recorder.at(n);
                            let label = n % 13 + 1;
                            let series = memo.get(
                                &mut recording,
                                |key| {
                                    key.number(label);
                                },
                                |recording| recording.counter(family, &[label.to_string()]),
                            );
                            // Multiples of the label, in the upper half of the number.
                            recording.add(series, label << 32);
                        });
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            // Everything expires each other time.
            for now_ms in [0, u64::MAX].into_iter().cycle() {
                if is_over.load(Relaxed) {
                    break;
                }
                let found = read(&registry, now_ms);
                for family in found.families.values() {
                    for ((_, labels), value) in &family.samples {
                        let label: u64 = labels["a"].parse().unwrap();
                        let count = (*value as u64) >> 32;
                        assert!(count.is_multiple_of(label), "{count} under {label}");
                    }
                }
            }
        });
        for thread in threads {
            thread.join().expect("counting does not fail");
        }
        is_over.store(true, Relaxed);
        reader.join().expect("every count was under its label");
    });
    registry.expire(u64::MAX);
    assert_eq!(read(&registry, 0).sum("c", &[]), None);
}
