//! Lines of the log that a client could cause without end.

use std::cell::Cell;

use crate::limits;

/// Lets one line through in a while, and counts those it does not.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    logged: Cell<Option<u64>>,
    silent: Cell<u64>,
}

impl Quiet {
    /// Whether a line may be written at `now`, in microseconds; how many were not since the last.
    pub(crate) fn lets_through(&self, now: u64) -> Option<u64> {
        let pause = limits::LOG_PAUSE.as_micros() as u64;
        if self.logged.get().is_some_and(|last| now < last + pause) {
            self.silent.set(self.silent.get() + 1);
            return None;
        }
        self.logged.set(Some(now));
        Some(self.silent.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_left_out() {
        let quiet = Quiet::default();
        let pause = limits::LOG_PAUSE.as_micros() as u64;
        assert_eq!(quiet.lets_through(5), Some(0));
        assert_eq!(quiet.lets_through(5), None);
        assert_eq!(quiet.lets_through(4 + pause), None);
        assert_eq!(quiet.lets_through(5 + pause), Some(2));
        assert_eq!(quiet.lets_through(5 + 3 * pause), Some(0));
    }
}
