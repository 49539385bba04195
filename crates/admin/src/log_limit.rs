//! Keeps a client from filling the log.

use std::sync::atomic::{AtomicU64, Ordering};

/// Lets one line through in a second, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    /// The second in which a line was let through last.
    last: AtomicU64,
    withheld: AtomicU64,
}

impl LogLimit {
    /// Whether a line may be written at this second, and how many were not before it.
    pub(crate) fn take(&self, now: u64) -> Option<u64> {
        if self.last.swap(now, Ordering::Relaxed) == now {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.withheld.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_one_line_through_in_a_second() {
        let limit = LogLimit::default();
        let taken = [5, 5, 5, 6, 6, 9].map(|second| limit.take(second));
        assert_eq!(taken, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
