//! Windows that begin with the first request of a key (`limit-count-local.lua` over api7's `resty.limit.count`).

use crate::{
    key::Key,
    quota::{Decision, Quota},
    table::{State, Table, Usage},
};

/// Counters of fixed windows, shared by all workers.
///
/// A window begins with the first request of its key and ends `window_s` later, that moment being outside; what the quota of
/// a later request says of the length does not move the end. Each request adds its cost, refused ones too, and is refused if
/// the sum is above the limit then. The sum is one exact number for the whole node: the reference keeps it in shared memory
/// and adds to it atomically, so that a limit of 10 lets 10 requests pass, by however many workers they come.
///
/// A cost of 0 asks without spending, as the reference's dry run does. Like there it begins a window where none runs, and the
/// answer to what spends first in it counts the time to the end anew (`reset_s` is a whole window); the window ends when it
/// would have.
#[derive(Debug)]
pub struct FixedWindow {
    table: Table<Window>,
}

#[derive(Debug, Default)]
struct Window {
    spent: u64,
    ends_ms: u64,
    /// The end that clients are told, which the reference keeps apart (`plugin-limit-count-reset-header`): it is set when the
    /// first cost is accepted, and stays 0, that is over, in a window whose first cost was above the limit.
    told_ms: u64,
}

impl FixedWindow {
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            table: Table::new(entries),
        }
    }

    /// Counts a request. `now_ms` is on any clock that all callers share; one that never goes back is best. If it does, windows
    /// end when they would have.
    #[inline]
    pub fn incoming(&self, key: Key, cost: u64, quota: Quota, now_ms: u64) -> Decision {
        self.table.update(
            key,
            now_ms,
            |window| window.count(cost, quota, now_ms),
            || {
                let mut window = Window::default();
                let decision = window.count(cost, quota, now_ms);
                (window, decision)
            },
        )
    }

    /// How full the table is.
    pub fn usage(&self) -> Usage {
        self.table.usage()
    }
}

impl Window {
    #[inline]
    fn count(&mut self, cost: u64, quota: Quota, now_ms: u64) -> Decision {
        let end_ms = now_ms.saturating_add(quota.window_ms());
        if self.ends_ms <= now_ms {
            self.spent = 0;
            self.ends_ms = end_ms;
        }
        let is_first = self.spent == 0;
        self.spent = self.spent.saturating_add(cost);
        let left = quota.limit.get().checked_sub(self.spent);
        if is_first && left.is_some() {
            self.told_ms = end_ms;
        }
        Decision {
            is_allowed: left.is_some(),
            remaining: i64::try_from(left.unwrap_or(0)).unwrap_or(i64::MAX),
            reset_s: self.told_ms.saturating_sub(now_ms) as f64 / 1000.0,
        }
    }
}

impl State for Window {
    fn is_dead(&self, now_ms: u64) -> bool {
        self.ends_ms.max(self.told_ms) <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Prefix;

    const REFUSED: i64 = -1;

    /// Runs requests of one key, each as time, cost, and what is expected: what remains, or [`REFUSED`], and the reset.
    fn check(limit: u64, window_s: u64, requests: &[(u64, u64, i64, f64)]) {
        let counters = FixedWindow::new(100);
        let key = Prefix::new([1, 2]).with(b"a").key();
        let quota = Quota::new(limit, window_s).expect("a quota");
        for (place, (now_ms, cost, remaining, reset_s)) in requests.iter().enumerate() {
            let expected = Decision {
                is_allowed: *remaining != REFUSED,
                remaining: (*remaining).max(0),
                reset_s: *reset_s,
            };
            let decision = counters.incoming(key, *cost, quota, *now_ms);
            assert_eq!(decision, expected, "request {place}");
        }
    }

    #[test]
    fn counts_down_and_begins_anew_when_the_window_is_over() {
        check(
            2,
            10,
            &[
                (5_000, 1, 1, 10.0),
                (6_250, 1, 0, 8.75),
                (14_999, 1, REFUSED, 0.001),
                (15_000, 1, 1, 10.0),
            ],
        );
    }

    #[test]
    fn costs_count_even_when_they_are_refused() {
        check(
            10,
            60,
            &[
                (0, 2, 8, 60.0),
                (0, 6, 2, 60.0),
                (0, 3, REFUSED, 60.0),
                (0, 1, REFUSED, 60.0),
            ],
        );
    }

    #[test]
    fn a_first_cost_above_the_limit_has_no_reset() {
        check(
            5,
            60,
            &[
                (1, 6, REFUSED, 0.0),
                (2, 1, REFUSED, 0.0),
                (60_001, 5, 0, 60.0),
            ],
        );
    }

    #[test]
    fn a_cost_of_nothing_asks() {
        // The reference's own cases (limit-count5.t, test 8), and that asking begins the window.
        check(
            5,
            60,
            &[
                (0, 0, 5, 60.0),
                (10_000, 0, 5, 60.0),
                (20_000, 2, 3, 60.0),
                (20_000, 0, 3, 60.0),
                (30_000, 3, 0, 50.0),
                (30_000, 0, 0, 50.0),
                (59_999, 1, REFUSED, 20.001),
                (60_000, 0, 5, 60.0),
            ],
        );
    }

    #[test]
    fn huge_costs_and_times_stay_at_the_end_of_numbers() {
        check(
            u64::MAX,
            u64::MAX,
            &[
                (3, u64::MAX - 1, 1, (u64::MAX - 3) as f64 / 1000.0),
                (4, u64::MAX, 0, (u64::MAX - 4) as f64 / 1000.0),
                (u64::MAX, 1, i64::MAX, 0.0),
            ],
        );
        check(7, 1, &[(0, u64::MAX, REFUSED, 0.0), (999, 1, REFUSED, 0.0)]);
    }

    #[test]
    fn a_clock_that_goes_back_neither_refills_nor_refuses() {
        check(
            2,
            10,
            &[
                (100_000, 1, 1, 10.0),
                (40_000, 1, 0, 70.0),
                (40_000, 1, REFUSED, 70.0),
                (110_000, 1, 1, 10.0),
            ],
        );
    }

    #[test]
    fn the_length_is_that_of_the_request_that_began_it() {
        let counters = FixedWindow::new(100);
        let key = Prefix::new([1, 2]).key();
        let quota = |window_s| Quota::new(2, window_s).expect("a quota");
        assert!(counters.incoming(key, 2, quota(60), 0).is_allowed);
        assert!(!counters.incoming(key, 1, quota(1), 5_000).is_allowed);
        assert!(counters.incoming(key, 1, quota(1), 60_000).is_allowed);
    }
}
