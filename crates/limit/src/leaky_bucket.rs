//! Requests that leak at a steady rate (`resty.limit.req`).

use crate::{
    key::Key,
    table::{State, Table, Usage},
};

/// How fast requests may come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Thousandths of a request per second; above 0 and finite.
    milli: f64,
    /// Thousandths of a request that may be in excess of that; at least 0 and finite.
    burst_milli: f64,
}

impl Rate {
    /// `per_second` requests, and `burst` more that wait; both may have fractions. `None` unless the first is above 0, the
    /// second at least 0, and both are a thousand times finite.
    pub fn new(per_second: f64, burst: f64) -> Option<Self> {
        let (milli, burst_milli) = (per_second * 1000.0, burst * 1000.0);
        let is_rate = milli > 0.0 && milli.is_finite();
        let is_burst = burst_milli >= 0.0 && burst_milli.is_finite();
        (is_rate && is_burst).then_some(Self { milli, burst_milli })
    }
}

/// What a leaky bucket says to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    /// It may pass, and should wait before. The reference waits from a millisecond on, and not at all with `nodelay`.
    Delayed {
        /// How long, in seconds; 0 if there is no excess.
        delay_s: f64,
    },
    /// It came too fast.
    Refused,
}

/// Leaky buckets, shared by all workers.
///
/// The first request of a key passes, whatever the burst. Each further one adds a request to the excess, from which the rate
/// has taken what it takes in the time since; above the burst it is refused, and nothing is kept of it. The excess is kept in
/// whole thousandths of a request, cut off, and times in whole milliseconds, as in the reference.
///
/// Reading and writing are one step under one lock. The reference's shared memory does it in two, and lets some more pass when
/// several workers ask at once.
#[derive(Debug)]
pub struct LeakyBucket {
    table: Table<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    excess_milli: u64,
    last_ms: u64,
    /// When the next request finds no excess, which is what it would find without this entry.
    drained_ms: u64,
}

impl LeakyBucket {
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            table: Table::new(entries),
        }
    }

    /// Takes in a request. `now_ms` is on any clock that all callers share; one that never goes back is best. If it does, time
    /// counts as if it had gone forward by as much, as in the reference.
    #[inline]
    pub fn incoming(&self, key: Key, rate: Rate, now_ms: u64) -> Admission {
        self.table.update(
            key,
            now_ms,
            |bucket| {
                let elapsed_ms = now_ms.abs_diff(bucket.last_ms) as f64;
                let left = bucket.excess_milli as f64 - rate.milli * elapsed_ms / 1000.0;
                let excess = (left + 1000.0).max(0.0);
                if excess > rate.burst_milli {
                    return Admission::Refused;
                }
                *bucket = Bucket::new(excess, rate, now_ms);
                Admission::Delayed {
                    delay_s: excess / rate.milli,
                }
            },
            || {
                let admission = Admission::Delayed { delay_s: 0.0 };
                (Bucket::new(0.0, rate, now_ms), admission)
            },
        )
    }

    /// How full the table is.
    pub fn usage(&self) -> Usage {
        self.table.usage()
    }
}

impl Bucket {
    #[inline]
    fn new(excess: f64, rate: Rate, now_ms: u64) -> Self {
        let excess_milli = excess as u64;
        // One more for what rounding may have taken off.
        let drains_ms = (excess_milli as f64 + 1000.0) * 1000.0 / rate.milli;
        Self {
            excess_milli,
            last_ms: now_ms,
            drained_ms: now_ms.saturating_add((drains_ms as u64).saturating_add(2)),
        }
    }
}

impl State for Bucket {
    fn is_dead(&self, now_ms: u64) -> bool {
        self.drained_ms <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Prefix;

    const REFUSED: f64 = -1.0;

    /// Runs requests of one key, each as its time and the delay that is expected, or [`REFUSED`].
    fn check(per_second: f64, burst: f64, requests: &[(u64, f64)]) {
        let buckets = LeakyBucket::new(100);
        let key = Prefix::new([1, 2]).with(b"a").key();
        let rate = Rate::new(per_second, burst).expect("a rate");
        for (place, (now_ms, delay_s)) in requests.iter().enumerate() {
            let delay_s = *delay_s;
            let expected = if delay_s < 0.0 {
                Admission::Refused
            } else {
                Admission::Delayed { delay_s }
            };
            let admission = buckets.incoming(key, rate, *now_ms);
            assert_eq!(admission, expected, "request {place}");
        }
    }

    #[test]
    fn what_is_above_the_rate_waits_up_to_the_burst() {
        check(
            2.0,
            2.0,
            &[
                (0, 0.0),
                (0, 0.5),
                (0, 1.0),
                (0, REFUSED),
                (499, REFUSED),
                (500, 1.0),
                (1_500, 0.5),
                (10_000, 0.0),
            ],
        );
    }

    #[test]
    fn without_a_burst_the_rate_is_a_distance() {
        check(
            10.0,
            0.0,
            &[
                (7, 0.0),
                (7, REFUSED),
                (106, REFUSED),
                (107, 0.0),
                (207, 0.0),
            ],
        );
    }

    #[test]
    fn rates_below_one_a_second_and_fractions_of_a_burst_count() {
        check(
            0.1,
            1.5,
            &[(0, 0.0), (0, 10.0), (4_999, REFUSED), (5_000, 15.0)],
        );
    }

    #[test]
    fn parts_of_a_thousandth_are_cut_off() {
        // A third of a request per second: after a millisecond the excess is 999.667, and 999 is kept.
        let third = 1.0 / 3.0;
        let rate = third * 1000.0;
        check(
            third,
            5.0,
            &[
                (0, 0.0),
                (1, (1000.0 - rate / 1000.0) / rate),
                (1, 1999.0 / rate),
            ],
        );
    }

    #[test]
    fn a_clock_that_goes_back_drains_as_if_it_went_forward() {
        check(
            1.0,
            1.0,
            &[(10_000, 0.0), (10_000, 1.0), (9_000, 1.0), (9_000, REFUSED)],
        );
    }

    #[test]
    fn the_ends_of_numbers_are_no_trouble() {
        check(
            1e300,
            1e300,
            &[(0, 0.0), (u64::MAX, 0.0), (u64::MAX, 1.0 / 1e300)],
        );
        check(f64::MIN_POSITIVE, 0.0, &[(0, 0.0), (u64::MAX, REFUSED)]);
    }

    #[test]
    fn a_rate_is_above_nothing_and_finite() {
        for (per_second, burst) in [
            (0.0, 0.0),
            (-1.0, 0.0),
            (1.0, -0.1),
            (f64::NAN, 0.0),
            (1.0, f64::NAN),
            (f64::INFINITY, 0.0),
            (1.0, 1e306),
        ] {
            assert_eq!(Rate::new(per_second, burst), None, "{per_second} {burst}");
        }
    }
}
