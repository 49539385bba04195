//! What does one decision cost, by sort of table, with one key and with a hundred thousand, for one thread and for two?
//!
//! `cargo run --release -p lockgate-limit --example limit_bench`; each figure is the median of nine runs in time on a CPU, so
//! that other work on the machine counts as little as it can. Of two threads it is the mean of both: spinning for the lock
//! and going to sleep for it count, being asleep does not.

use std::{hint::black_box, sync::Barrier, thread};

use lockgate_limit::{Key, Quota, Rate, Room, Tables};

const DECISIONS: usize = 400_000;
const RUNS: usize = 9;
const KEYS: usize = 100_000;

#[expect(clippy::print_stdout, reason = "its figures are for a person")]
fn main() {
    let tables = Tables::default();
    let quota = Quota::new(1 << 50, 3600).expect("a quota");
    let rate = Rate::new(1e9, 1e9).expect("a rate");
    let room = Room::new(1 << 50, 0).expect("room");
    let (fixed, sliding) = (tables.fixed_window("a"), tables.sliding_window("a"));
    let (leaky, concurrency) = (tables.leaky_bucket("a"), tables.concurrency("a"));

    println!(
        "nanoseconds per decision\n{:<28}{:>10}{:>12}{:>12}{:>12}",
        "", "hot key", "100k keys", "hot key, 2", "100k, 2"
    );
    let prefix = tables.prefix(b"/apisix/routes/1:3405691582:");
    let hash = |number: usize| {
        let address = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
        prefix.with(address.as_bytes()).key()
    };
    row(
        "hashing 12 bytes of a key",
        |_| {
            black_box(prefix.with(black_box(b"203.0.113.77")).key());
        },
        &hash,
    );
    row(
        "fixed window",
        |key| {
            black_box(fixed.incoming(key, 1, quota, 1));
        },
        &hash,
    );
    row(
        "sliding window",
        |key| {
            black_box(sliding.incoming(key, 1, quota, 1));
        },
        &hash,
    );
    row(
        "leaky bucket",
        |key| {
            black_box(leaky.incoming(key, rate, 1));
        },
        &hash,
    );
    row(
        "concurrency, both ways",
        |key| {
            black_box(concurrency.enter(key, room, 0.1));
        },
        &hash,
    );

    // Each key is new: in a table that is full, each evicts another.
    let small = Tables::new(1 << 16);
    let full = small.fixed_window("a");
    let mut number = 0_usize;
    let mut runs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let keys: Vec<Key> = (number..number + DECISIONS).map(hash).collect();
            number += DECISIONS;
            let began = cpu_ns();
            for key in &keys {
                black_box(full.incoming(*key, 1, quota, 1));
            }
            (cpu_ns() - began) / DECISIONS as f64
        })
        .collect();
    println!(
        "{:<28}{:>10}{:>12.1}",
        "fixed window, all evicting",
        "",
        median(&mut runs)
    );
}

#[expect(clippy::print_stdout, reason = "its figures are for a person")]
fn row(name: &str, ask: impl Fn(Key) + Sync, hash: &impl Fn(usize) -> Key) {
    let hot = vec![hash(0); KEYS];
    // In an order that no prefetching guesses: 61 813 has no divisor in common with 100 000.
    let many: Vec<Key> = (0..KEYS).map(|place| hash(place * 61_813 % KEYS)).collect();
    let mut figures = Vec::new();
    for keys in [&hot, &many] {
        run(keys, 0, &ask);
        let mut runs: Vec<f64> = (0..RUNS)
            .map(|_| {
                let began = cpu_ns();
                run(keys, 0, &ask);
                (cpu_ns() - began) / DECISIONS as f64
            })
            .collect();
        figures.push(median(&mut runs));
    }
    for keys in [&hot, &many] {
        let mut runs: Vec<f64> = (0..RUNS).map(|_| two_threads(keys, &ask)).collect();
        figures.push(median(&mut runs));
    }
    print!(
        "{name:<28}{:>10.1}",
        figures.first().copied().unwrap_or_default()
    );
    for figure in figures.iter().skip(1) {
        print!("{figure:>12.1}");
    }
    println!();
}

/// Asks for one key after the other, beginning somewhere.
fn run(keys: &[Key], begin: usize, ask: &impl Fn(Key)) {
    for key in keys.iter().cycle().skip(begin).take(DECISIONS) {
        ask(*key);
    }
}

fn two_threads(keys: &[Key], ask: &(impl Fn(Key) + Sync)) -> f64 {
    let barrier = Barrier::new(2);
    let timed = |begin: usize| {
        barrier.wait();
        let began = cpu_ns();
        run(keys, begin, ask);
        (cpu_ns() - began) / DECISIONS as f64
    };
    let timed = &timed;
    thread::scope(|scope| {
        let other = scope.spawn(move || timed(KEYS / 2));
        let one = timed(0);
        f64::midpoint(one, other.join().unwrap_or_default())
    })
}

fn median(runs: &mut [f64]) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}

/// Nanoseconds this thread has run for, as Linux counts them.
fn cpu_ns() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = counts.split(' ').next().and_then(|text| text.parse().ok());
    ns.unwrap_or_default()
}
