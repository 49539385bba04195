//! Log lines about batches.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{limits, sender::Failed};

/// The reference's line for a failed attempt with `count` entries.
pub(crate) fn failed(name: &str, count: usize, failed: &Failed) -> String {
    let reason = &failed.reason;
    match failed.sent {
        None => format!("Batch Processor[{name}] failed to process entries: {reason}"),
        Some(sent) => {
            let left = count.saturating_sub(sent);
            format!("Batch Processor[{name}] failed to process entries [{left}/{count}]: {reason}")
        }
    }
}

/// The reference's line for entries that are given up after this many attempts.
pub(crate) fn gave_up(name: &str, attempts: u64) -> String {
    format!("Batch Processor[{name}] exceeded the max_retry_count[{attempts}] dropping the entries")
}

/// Lets [`limits::LINES_PER_SECOND`] lines through in a second, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct LineLimit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    written: u32,
    withheld: u64,
}

impl LineLimit {
    /// Whether a line may be written, and how many were not before it.
    pub(crate) fn take(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if state.since.is_none_or(is_over) {
            state.since = Some(now);
            state.written = 0;
        }
        if state.written >= limits::LINES_PER_SECOND {
            state.withheld += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_reference_says() {
        for (failure, expected) in [
            (
                Failed::whole("x"),
                "Batch Processor[n] failed to process entries: x",
            ),
            (
                Failed::after(1, "x"),
                "Batch Processor[n] failed to process entries [2/3]: x",
            ),
            (
                Failed::after(0, "x"),
                "Batch Processor[n] failed to process entries [3/3]: x",
            ),
            (
                Failed::after(9, "x"),
                "Batch Processor[n] failed to process entries [0/3]: x",
            ),
        ] {
            assert_eq!(failed("n", 3, &failure), expected);
        }
        assert_eq!(
            gave_up("n", 1),
            "Batch Processor[n] exceeded the max_retry_count[1] dropping the entries"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn lets_a_few_lines_through_in_a_second() {
        let limit = LineLimit::default();
        let many = || {
            (0..15)
                .filter_map(|_| limit.take(Instant::now()))
                .collect::<Vec<_>>()
        };
        assert_eq!(many(), [0; 10]);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(many(), [0_u64; 0]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(many(), [20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
