//! Requests that are under way at the same time (`resty.limit.conn`).

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    key::Key,
    table::{State, Table, Usage},
};

/// How many requests may be under way at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// As many as go on at once.
    pub conn: NonZeroU64,
    /// As many as wait besides.
    pub burst: u64,
}

impl Room {
    /// Room for `conn` requests and `burst` more that wait; `None` if the first is 0, which the reference refuses too.
    pub fn new(conn: u64, burst: u64) -> Option<Self> {
        let conn = NonZeroU64::new(conn)?;
        Some(Self { conn, burst })
    }
}

/// Counts of requests under way, shared by all workers.
///
/// Counts are exact for the whole node, as the reference's are, which keeps them in shared memory. There is no bound on the
/// entries and none is evicted: each stands for a request under way at least, and those are bounded. Keys without one go as
/// new ones come.
#[derive(Debug)]
pub struct Concurrency {
    table: Table<UnderWay>,
}

#[derive(Debug)]
struct UnderWay(u64);

/// A request that was let in.
#[derive(Debug)]
pub struct Entered {
    /// Its place; it leaves when this is dropped.
    pub lease: Lease,
    /// How many are under way with it.
    pub conn: u64,
    /// How long it should wait before it goes on, in seconds: 0 for those within `conn`, a unit of delay for those as many
    /// again, two for the next, and so on. The reference waits from a millisecond on.
    pub delay_s: f64,
}

/// The place of a request under way. It is given back when this is dropped: once, and on whatever way the request ends.
#[derive(Debug)]
#[must_use = "the request leaves when this is dropped"]
pub struct Lease {
    counts: Arc<Concurrency>,
    key: Key,
}

impl Concurrency {
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new(usize::MAX),
        }
    }

    /// Lets a request in if there is room, whose unit of delay is `unit_delay_s` (`default_conn_delay`, or what
    /// [`UnitDelay`] estimates). `None` if there is not.
    #[inline]
    pub fn enter(self: &Arc<Self>, key: Key, room: Room, unit_delay_s: f64) -> Option<Entered> {
        let most = room.conn.saturating_add(room.burst).get();
        let conn = self.table.update(
            key,
            0,
            |UnderWay(conn)| {
                let more = *conn + 1;
                if more > most {
                    return None;
                }
                *conn = more;
                Some(more)
            },
            || (UnderWay(1), Some(1)),
        )?;
        Some(Entered {
            lease: Lease {
                counts: Arc::clone(self),
                key,
            },
            conn,
            delay_s: unit_delay_s * ((conn - 1) / room.conn) as f64,
        })
    }

    /// How full the table is. `evicted` is always 0.
    pub fn usage(&self) -> Usage {
        self.table.usage()
    }

    fn leave(&self, key: Key) {
        // Invariant: the entry counts this request, so that it is neither dead nor 0.
        self.table.update(
            key,
            0,
            |UnderWay(conn)| *conn = conn.saturating_sub(1),
            || (UnderWay(0), ()),
        );
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.counts.leave(self.key);
    }
}

impl State for UnderWay {
    fn is_dead(&self, _: u64) -> bool {
        self.0 == 0
    }
}

/// An estimate of how long a request takes, for the unit of delay: each observation counts half, and what was before the other.
///
/// `resty.limit.conn` keeps one per limiter and worker. Whether to observe is the caller's (`only_use_default_delay`). The
/// reference of version 3.18 makes a new limiter for each request, so that its estimates are forgotten and the delay is always
/// that of the configuration.
#[derive(Debug)]
pub struct UnitDelay(AtomicU64);

impl UnitDelay {
    /// An estimate that begins with `default_s` seconds (`default_conn_delay`).
    pub fn new(default_s: f64) -> Self {
        Self(AtomicU64::new(default_s.to_bits()))
    }

    /// The estimate, in seconds.
    #[inline]
    pub fn seconds(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Takes in how long a request took, in seconds.
    pub fn observe(&self, latency_s: f64) {
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let after = f64::midpoint(f64::from_bits(before), latency_s).to_bits();
            match self
                .0
                .compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(other) => before = other,
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "delays are exact products and halves")]
mod tests {
    use super::*;
    use crate::key::Prefix;

    fn key(text: &str) -> Key {
        Prefix::new([1, 2]).with(text.as_bytes()).key()
    }

    fn room(conn: u64, burst: u64) -> Room {
        Room::new(conn, burst).expect("room")
    }

    /// How many requests are under way before this one asks.
    fn under_way(counts: &Arc<Concurrency>, key: Key) -> u64 {
        let entered = counts.enter(key, room(u64::MAX, 0), 1.0);
        entered.expect("room").conn - 1
    }

    #[test]
    fn those_beyond_wait_by_how_far_they_are() {
        let counts = Arc::new(Concurrency::new());
        let mut held = Vec::new();
        let delays = [0.0, 0.0, 0.25, 0.25, 0.5];
        for (conn, delay_s) in (1..).zip(delays) {
            let entered = counts.enter(key("a"), room(2, 3), 0.25).expect("room");
            assert_eq!((entered.conn, entered.delay_s), (conn, delay_s));
            held.push(entered.lease);
        }
        assert!(counts.enter(key("a"), room(2, 3), 0.25).is_none());
        assert!(counts.enter(key("b"), room(2, 3), 0.25).is_some());
        drop(held.remove(2));
        assert_eq!(under_way(&counts, key("a")), 4);
        let entered = counts.enter(key("a"), room(2, 3), 0.25).expect("room");
        assert_eq!(entered.conn, 5);
    }

    #[test]
    fn a_refused_request_takes_no_place_and_a_lost_lease_gives_its_back() {
        let counts = Arc::new(Concurrency::new());
        let lease = counts.enter(key("a"), room(1, 0), 1.0).map(|it| it.lease);
        for _ in 0..5 {
            assert!(counts.enter(key("a"), room(1, 0), 1.0).is_none());
        }
        assert_eq!(under_way(&counts, key("a")), 1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _lease = lease;
            panic!("of a plugin");
        }));
        assert!(panicked.is_err());
        assert_eq!(under_way(&counts, key("a")), 0);
    }

    #[test]
    fn keys_that_nothing_is_under_way_of_make_room() {
        let counts = Arc::new(Concurrency::new());
        let lasting: Vec<_> = (0..1000)
            .map(|number| counts.enter(key(&format!("lasting {number}")), room(1, 0), 1.0))
            .collect();
        for number in 0..100_000 {
            let entered = counts.enter(key(&number.to_string()), room(1, 0), 1.0);
            assert!(entered.is_some());
        }
        assert!(counts.usage().entries < 3000, "{:?}", counts.usage());
        for number in 0..1000 {
            assert_eq!(under_way(&counts, key(&format!("lasting {number}"))), 1);
        }
        drop(lasting);
    }

    #[test]
    fn the_most_there_can_be_is_no_trouble() {
        let counts = Arc::new(Concurrency::new());
        let entered = counts.enter(key("a"), room(u64::MAX, u64::MAX), f64::MAX);
        assert_eq!(entered.expect("room").delay_s, 0.0);
    }

    #[test]
    fn an_estimate_is_half_the_last_observation() {
        let unit = UnitDelay::new(0.1);
        assert_eq!(unit.seconds(), 0.1);
        unit.observe(0.5);
        assert_eq!(unit.seconds(), 0.3);
        unit.observe(0.0);
        assert_eq!(unit.seconds(), 0.15);
    }
}
