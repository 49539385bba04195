//! Counts are exact when eight threads ask at once.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use lockgate_limit::{Admission, Quota, Rate, Room, Tables};

const THREADS: u64 = 8;

/// Runs `ask` in all threads, each as often in each of some rounds that begin together; it gets the round and the number of
/// the request in it. Returns what it said, by round.
fn ask_in_rounds<T: Send>(
    rounds: u64,
    requests: u64,
    ask: impl Fn(u64, u64) -> T + Sync,
) -> Vec<Vec<T>> {
    let barrier = Barrier::new(THREADS as usize);
    let run = |thread: u64| {
        (0..rounds)
            .map(|round| {
                barrier.wait();
                let numbers = (0..requests).map(|number| number * THREADS + thread);
                numbers.map(|number| ask(round, number)).collect()
            })
            .collect()
    };
    let run = &run;
    let answers: Vec<Vec<Vec<T>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let mut by_round: Vec<Vec<T>> = (0..rounds).map(|_| Vec::new()).collect();
    for rounds in answers {
        for (all, of_thread) in by_round.iter_mut().zip(rounds) {
            all.extend(of_thread);
        }
    }
    by_round
}

#[test]
fn a_fixed_window_allows_its_limit_and_says_each_number_once() {
    let tables = Tables::default();
    let counters = tables.fixed_window("a");
    let key = tables.prefix(b"hot").key();
    let quota = Quota::new(300, 1).expect("a quota");
    // The threads disagree about the time, by less than a window; rounds are further apart than that.
    let rounds = ask_in_rounds(200, 60, |round, number| {
        counters.incoming(key, 1, quota, round * 2000 + number)
    });
    for (round, answers) in rounds.into_iter().enumerate() {
        let allowed = answers.iter().filter(|decision| decision.is_allowed);
        let mut remaining: Vec<_> = allowed.map(|decision| decision.remaining).collect();
        remaining.sort_unstable();
        assert_eq!(remaining, (0..300).collect::<Vec<_>>(), "round {round}");
    }
}

#[test]
fn costs_of_many_threads_add_up() {
    let tables = Tables::default();
    let counters = tables.fixed_window("a");
    let quota = Quota::new(1 << 40, 60).expect("a quota");
    // A hundred keys, each a thousand times with costs of 1 to 7.
    let rounds = ask_in_rounds(100, 125, |round, number| {
        let key = tables.prefix(&round.to_le_bytes()).key();
        counters.incoming(key, number % 7 + 1, quota, 0).remaining
    });
    let spent: i64 = (0..1000).map(|number| number % 7 + 1).sum();
    for answers in rounds {
        let least = answers.into_iter().min().expect("answers");
        assert_eq!(least, (1 << 40) - spent);
    }
}

#[test]
fn a_sliding_window_allows_its_limit() {
    let tables = Tables::default();
    let counters = tables.sliding_window("a");
    let key = tables.prefix(b"hot").key();
    let quota = Quota::new(300, 1).expect("a quota");
    // Every second window is left out, so that the one before counts nothing.
    let rounds = ask_in_rounds(200, 60, |round, number| {
        counters.incoming(key, 1, quota, round * 2000 + number)
    });
    for answers in rounds {
        let allowed = answers.iter().filter(|decision| decision.is_allowed);
        assert_eq!(allowed.count(), 300);
    }
}

#[test]
fn a_leaky_bucket_lets_one_and_its_burst_pass_at_a_time() {
    let tables = Tables::default();
    let buckets = tables.leaky_bucket("a");
    let key = tables.prefix(b"hot").key();
    let rate = Rate::new(100.0, 50.0).expect("a rate");
    // Far enough apart for the bucket to be empty again.
    let rounds = ask_in_rounds(200, 60, |round, _| {
        buckets.incoming(key, rate, round * 1000)
    });
    for answers in rounds {
        let passed = answers.iter().filter_map(|admission| match admission {
            Admission::Delayed { delay_s } => Some(*delay_s),
            Admission::Refused => None,
        });
        let mut delays: Vec<_> = passed.collect();
        delays.sort_by(f64::total_cmp);
        let expected: Vec<_> = (0..=50).map(|place| f64::from(place) / 100.0).collect();
        assert_eq!(delays, expected);
    }
}

#[test]
fn no_more_are_under_way_than_there_is_room_for() {
    let tables = Tables::default();
    let counts = tables.concurrency("a");
    let key = tables.prefix(b"hot").key();
    let room = Room::new(3, 2).expect("room");
    let (inside, entries) = (AtomicU64::new(0), AtomicU64::new(0));
    ask_in_rounds(1, 20_000, |_, _| {
        let Some(entered) = counts.enter(key, room, 0.1) else {
            return;
        };
        assert!(entered.conn <= 5);
        assert!(inside.fetch_add(1, Ordering::SeqCst) < 5);
        thread::yield_now();
        inside.fetch_sub(1, Ordering::SeqCst);
        entries.fetch_add(1, Ordering::SeqCst);
    });
    assert!(entries.into_inner() > 0);
    let entered = counts.enter(key, room, 0.1).expect("all have left");
    assert_eq!(entered.conn, 1);
}

#[test]
fn all_that_ask_at_once_share_the_room() {
    let tables = Tables::default();
    let counts = tables.concurrency("a");
    let room = Room::new(20, 7).expect("room");
    // A key per round, whose leases live until all have asked.
    let rounds = ask_in_rounds(100, 10, |round, _| {
        counts.enter(tables.prefix(&round.to_le_bytes()).key(), room, 0.1)
    });
    for answers in rounds {
        let mut conns: Vec<_> = answers.iter().flatten().map(|it| it.conn).collect();
        conns.sort_unstable();
        assert_eq!(conns, (1..=27).collect::<Vec<_>>());
    }
}

#[test]
fn many_keys_from_many_threads_stay_within_the_bound() {
    let tables = Tables::new(1024);
    let counters = tables.fixed_window("a");
    let quota = Quota::new(5, 60).expect("a quota");
    ask_in_rounds(4, 5_000, |round, number| {
        let key = tables
            .prefix(&[round, number].map(u64::to_le_bytes).concat())
            .key();
        counters.incoming(key, 1, quota, 0)
    });
    let usage = counters.usage();
    assert_eq!(usage.entries, 1024);
    assert_eq!(usage.evicted, 4 * 5_000 * THREADS - 1024);
}
