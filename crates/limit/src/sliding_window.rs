//! The sliding window of the reference (`limit-count/sliding-window/`): this window's count, and a share of the last one's.

use crate::{
    key::Key,
    quota::{Decision, Quota},
    table::{State, Table, Usage},
};

/// Counters of sliding windows, shared by all workers.
///
/// Time is cut into windows at multiples of their length. What counts is what was spent in this window, and of what was
/// spent in the one before, the limit at most, the share that a window of the full length ending now would still cover. A
/// request passes, whatever it costs, while both that estimate and this window's count are below the limit; only what passes
/// is counted.
///
/// Deciding and counting are one step under one lock, so that the limit is exact for the whole node. The reference's shared
/// memory does it in three, and lets some more pass when several workers ask at once, which it calls best effort.
///
/// Windows of different lengths count apart under the same key, as in the reference.
#[derive(Debug)]
pub struct SlidingWindow {
    table: Table<Windows>,
}

#[derive(Debug)]
struct Windows {
    /// Which window `spent` is of: its beginning in window lengths since the epoch.
    number: u64,
    spent: u64,
    /// Spent in the window before.
    spent_before: u64,
    window_ms: u64,
}

impl SlidingWindow {
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            table: Table::new(entries),
        }
    }

    /// Counts a request that passes. `unix_ms` is the wall time since the Unix epoch, since clients see where windows begin.
    /// Where it goes back into the window before, the window that has begun goes on, at its beginning; further back, counting
    /// begins anew.
    #[inline]
    pub fn incoming(&self, key: Key, cost: u64, quota: Quota, unix_ms: u64) -> Decision {
        let number = unix_ms / quota.window_ms();
        self.table.update(
            key.with_number(quota.window_s.get()),
            unix_ms,
            |windows| {
                windows.move_to(number);
                windows.count(cost, quota, unix_ms)
            },
            || {
                let mut windows = Windows {
                    number,
                    spent: 0,
                    spent_before: 0,
                    window_ms: quota.window_ms(),
                };
                let decision = windows.count(cost, quota, unix_ms);
                (windows, decision)
            },
        )
    }

    /// How full the table is.
    pub fn usage(&self) -> Usage {
        self.table.usage()
    }
}

impl Windows {
    #[inline]
    fn move_to(&mut self, number: u64) {
        if self.number == number || self.number == number.wrapping_add(1) {
            return;
        }
        let is_next = self.number.wrapping_add(1) == number;
        self.spent_before = if is_next { self.spent } else { 0 };
        self.spent = 0;
        self.number = number;
    }

    /// The reference's formulas in its order of operations, so that rounding agrees.
    #[inline]
    fn count(&mut self, cost: u64, quota: Quota, unix_ms: u64) -> Decision {
        let limit = quota.limit.get();
        let window_s = quota.window_s.get() as f64;
        // Time before the window begins, of a clock that went back, counts as its beginning.
        let begins_s = (self.number * quota.window_s.get()) as f64;
        let left_s = window_s - (unix_ms as f64 / 1000.0 - begins_s).clamp(0.0, window_s);
        let spent_before = self.spent_before.min(limit) as f64;
        let share = spent_before / window_s * left_s;

        if self.spent >= limit || share + self.spent as f64 >= limit as f64 {
            let wait_s = if self.spent >= limit {
                left_s
            } else {
                // Until the share has shrunk to what this window leaves of the limit; it is above 0, or nothing were refused.
                let left = limit as f64 - self.spent as f64;
                (left_s - left / (spent_before / window_s)).max(0.0)
            };
            return Decision {
                is_allowed: false,
                remaining: 0,
                reset_s: hundredths_up(wait_s),
            };
        }
        self.spent = self.spent.saturating_add(cost);
        Decision {
            is_allowed: true,
            remaining: (limit as f64 - self.spent as f64 - share).floor() as i64,
            reset_s: hundredths_up(left_s),
        }
    }
}

impl State for Windows {
    fn is_dead(&self, unix_ms: u64) -> bool {
        // Its count is a share of the next window, and of none behind that.
        unix_ms / self.window_ms > self.number.saturating_add(1)
    }
}

fn hundredths_up(seconds: f64) -> f64 {
    (seconds * 100.0).ceil() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Prefix;

    const REFUSED: i64 = i64::MIN;

    /// Runs requests of one key, each as time, cost, and what is expected: what remains, or [`REFUSED`], and the reset.
    fn check(limit: u64, window_s: u64, requests: &[(u64, u64, i64, f64)]) {
        let counters = SlidingWindow::new(100);
        let key = Prefix::new([1, 2]).with(b"a").key();
        let quota = Quota::new(limit, window_s).expect("a quota");
        for (place, (unix_ms, cost, remaining, reset_s)) in requests.iter().enumerate() {
            let is_allowed = *remaining != REFUSED;
            let expected = Decision {
                is_allowed,
                remaining: if is_allowed { *remaining } else { 0 },
                reset_s: *reset_s,
            };
            let decision = counters.incoming(key, *cost, quota, *unix_ms);
            assert_eq!(decision, expected, "request {place}");
        }
    }

    #[test]
    fn a_first_window_counts_like_a_fixed_one() {
        check(
            2,
            5,
            &[
                (1_001, 1, 1, 4.0),
                (1_999, 1, 0, 3.01),
                (2_000, 1, REFUSED, 3.0),
                (4_999, 1, REFUSED, 0.01),
            ],
        );
    }

    #[test]
    fn the_window_before_counts_by_its_share() {
        // Ten in the window before: at 2.5 s into this one, 7.5 of them count.
        check(
            10,
            10,
            &[
                (0, 10, 0, 10.0),
                (10_000, 1, REFUSED, 0.0),
                (12_500, 1, 1, 7.5),
                (12_500, 1, 0, 7.5),
                // 9.5 count: below the limit, so that a request passes and overdraws it.
                (12_500, 1, -1, 7.5),
                (12_500, 1, REFUSED, 0.5),
                (15_000, 1, 1, 5.0),
            ],
        );
    }

    #[test]
    fn what_is_refused_is_not_counted_and_what_passes_may_cost_anything() {
        check(
            10,
            10,
            &[
                (0, 9, 1, 10.0),
                (0, 100, -99, 10.0),
                (1_000, 1, REFUSED, 9.0),
                // Of the 109, the limit counts.
                (15_000, 1, 4, 5.0),
            ],
        );
    }

    #[test]
    fn a_window_without_requests_leaves_nothing() {
        check(3, 5, &[(0, 3, 0, 5.0), (10_000, 1, 2, 5.0)]);
    }

    #[test]
    fn a_clock_that_goes_back_stays_in_the_window_or_begins_anew() {
        check(
            4,
            10,
            &[
                (100_000, 3, 1, 10.0),
                (99_000, 1, 0, 10.0),
                (91_000, 1, REFUSED, 10.0),
                (105_000, 1, REFUSED, 5.0),
                (50_000, 1, 3, 10.0),
            ],
        );
    }

    #[test]
    fn windows_of_different_lengths_count_apart() {
        let counters = SlidingWindow::new(100);
        let key = Prefix::new([1, 2]).key();
        let ask = |window_s| {
            let quota = Quota::new(1, window_s).expect("a quota");
            counters.incoming(key, 1, quota, 1_000).is_allowed
        };
        assert_eq!(
            [ask(5), ask(60), ask(5), ask(60)],
            [true, true, false, false]
        );
    }

    #[test]
    fn huge_costs_and_times_do_not_overflow() {
        let counters = SlidingWindow::new(100);
        let key = Prefix::new([1, 2]).key();
        for window_s in [1, u64::MAX] {
            let quota = Quota::new(u64::MAX, window_s).expect("a quota");
            for unix_ms in [0, u64::MAX, 1, u64::MAX] {
                for cost in [u64::MAX, 1, 0] {
                    let decision = counters.incoming(key, cost, quota, unix_ms);
                    assert!(decision.reset_s >= 0.0, "{decision:?}");
                }
            }
        }
    }
}
