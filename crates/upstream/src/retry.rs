//! When a request is sent again beyond the reference's conditions (`lockgate.retry` of an upstream).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use lockgate_model::resource::{RetryBudget, RetryPolicy};

use crate::limits::{BUDGET_BURST, BUDGET_SECONDS, DOUBLINGS};

/// When a request is sent again.
#[derive(Debug)]
pub struct Retry {
    statuses: Box<[u16]>,
    per_try: Option<Duration>,
    repeats_unsafe: bool,
    /// Most of the first pause, and of any.
    pause: Option<(Duration, Duration)>,
    budget: Option<Arc<Budget>>,
}

impl Retry {
    /// From what is stored. The budget of `previous` goes on where it is the same.
    pub(crate) fn new(stored: &RetryPolicy, previous: Option<&Self>) -> Self {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let budget = stored.budget.map(|stored| {
            previous
                .and_then(|previous| previous.budget.as_ref())
                .filter(|budget| budget.stored == stored)
                .map_or_else(|| Arc::new(Budget::new(stored)), Arc::clone)
        });
        Self {
            statuses: stored.http_statuses.as_slice().into(),
            per_try: stored.per_try_timeout.map(seconds),
            repeats_unsafe: stored.non_idempotent,
            pause: stored
                .backoff
                .map(|backoff| (seconds(backoff.base), seconds(backoff.max))),
            budget,
        }
    }

    /// Whether another node is asked when one answers with this status.
    #[inline]
    pub fn is_for(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }

    /// How long an attempt may take from its begin to the head of the response.
    #[inline]
    pub fn per_try_timeout(&self) -> Option<Duration> {
        self.per_try
    }

    /// Whether a request whose method is not idempotent is sent again, too.
    #[inline]
    pub fn repeats_unsafe_methods(&self) -> bool {
        self.repeats_unsafe
    }

    /// How long to wait before further attempt number `attempt`, which counts from 0. `chance` is any random number.
    pub fn pause(&self, attempt: u32, chance: u64) -> Duration {
        let Some((base, max)) = self.pause else {
            return Duration::ZERO;
        };
        let longest = base.saturating_mul(1 << attempt.min(DOUBLINGS)).min(max);
        longest.mul_f64(f64::from(chance as u32) / f64::from(u32::MAX))
    }

    /// Notes that a request began, which adds to the budget. `now_us` is a reading of the system's monotonic clock.
    #[inline]
    pub fn began(&self, now_us: u64) {
        if let Some(budget) = &self.budget {
            budget.add(now_us);
        }
    }

    /// Takes a further attempt out of the budget; false where there is none left.
    pub fn take(&self, now_us: u64) -> bool {
        self.budget
            .as_ref()
            .is_none_or(|budget| budget.take(now_us))
    }
}

/// How many further attempts an upstream has left, in thousandths. Shared by all workers.
#[derive(Debug)]
struct Budget {
    stored: RetryBudget,
    per_request: i64,
    most: i64,
    left: AtomicI64,
    /// Up to when the seconds have been counted, in microseconds of the system's monotonic clock; 0 before the first request.
    counted_us: AtomicU64,
}

impl Budget {
    fn new(stored: RetryBudget) -> Self {
        let reserve = i64::from(stored.min_per_second) * 1000;
        Self {
            stored,
            per_request: (stored.ratio * 1000.0) as i64,
            most: reserve * BUDGET_SECONDS + BUDGET_BURST * 1000,
            left: AtomicI64::new(reserve),
            counted_us: AtomicU64::new(0),
        }
    }

    fn add(&self, now_us: u64) {
        self.count(now_us);
        if self.left.load(Relaxed) < self.most {
            self.left.fetch_add(self.per_request, Relaxed);
        }
    }

    /// Adds what the time since the last count is worth. Whole milliseconds are counted, so that none is lost to rounding.
    fn count(&self, now_us: u64) {
        let counted = self.counted_us.load(Relaxed);
        let since_ms = now_us.saturating_sub(counted) / 1000;
        if since_ms == 0 {
            return;
        }
        let (upto, worth_ms) = if counted == 0 {
            (now_us, 0)
        } else {
            (counted + since_ms * 1000, since_ms)
        };
        // Of two workers one counts.
        if self
            .counted_us
            .compare_exchange(counted, upto, Relaxed, Relaxed)
            .is_ok()
        {
            let worth = i64::try_from(worth_ms)
                .unwrap_or(i64::MAX)
                .saturating_mul(i64::from(self.stored.min_per_second))
                .min(self.most);
            let added = |left: i64| Some(left.saturating_add(worth).min(self.most));
            // Invariant: the closure always gives a value.
            let _before = self.left.fetch_update(Relaxed, Relaxed, added);
        }
    }

    fn take(&self, now_us: u64) -> bool {
        self.count(now_us);
        self.left
            .fetch_update(Relaxed, Relaxed, |left| {
                (left >= 1000).then_some(left - 1000)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(stored: &serde_json::Value) -> Retry {
        let stored: RetryPolicy = serde_json::from_value(stored.clone()).expect("valid");
        Retry::new(&stored, None)
    }

    #[test]
    fn the_budget_is_a_share_of_the_traffic_and_a_reserve() {
        const SECOND: u64 = 1_000_000;
        let retry = retry(&serde_json::json!({"budget": {"ratio": 0.5, "min_per_second": 2}}));
        let taken = |now_us| (0..1000).take_while(|_| retry.take(now_us)).count();
        retry.began(SECOND);
        assert_eq!(taken(SECOND), 2, "a second of the reserve");
        for _ in 0..10 {
            retry.began(SECOND);
        }
        assert_eq!(taken(SECOND), 5, "half of ten requests, and a half left");
        assert_eq!(taken(2 * SECOND), 2);
        assert_eq!(taken(2 * SECOND + SECOND / 2), 1);
        assert_eq!(taken(10_000 * SECOND), 120, "idle times do not pile up");
    }

    #[test]
    fn the_pause_doubles_up_to_its_end() {
        let retry = retry(&serde_json::json!({"backoff": {"base": 0.1, "max": 1}}));
        let most = |attempt| retry.pause(attempt, u64::MAX);
        let millis = Duration::from_millis;
        assert_eq!([most(0), most(1)], [millis(100), millis(200)]);
        assert_eq!([most(4), most(400)], [millis(1000), millis(1000)]);
        assert_eq!(retry.pause(3, 0), Duration::ZERO);
    }

    #[test]
    fn an_edit_does_not_refill_the_budget() {
        let stored = RetryPolicy {
            budget: Some(RetryBudget::default()),
            ..RetryPolicy::default()
        };
        let before = Retry::new(&stored, None);
        while before.take(1000) {}
        let after = Retry::new(&stored, Some(&before));
        assert!(!after.take(1000));
    }
}
