//! Pauses between attempts.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::limits;

/// How long to wait after failures: longer each time, and not the same for all gateways.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failures: u32,
}

impl Pace {
    /// The pause after one more failure.
    pub(crate) fn failed(&mut self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1).min(16);
        let pause = limits::FIRST_PAUSE.saturating_mul(factor);
        jittered(pause.min(limits::LONGEST_PAUSE))
    }

    /// It went well.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// A pause that is up to a quarter shorter, by chance.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - below(1000) as f64 / 4000.0)
}

/// A number from 0 to below `count`, by chance.
pub(crate) fn below(count: usize) -> usize {
    let chance = RandomState::new().hash_one(0) as usize;
    chance % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pace = Pace::default();
        let mut longest = Duration::ZERO;
        for _ in 0..40 {
            longest = pace.failed();
        }
        assert!(longest <= limits::LONGEST_PAUSE && longest >= limits::LONGEST_PAUSE * 3 / 4);
        pace.succeeded();
        assert!(pace.failed() <= limits::FIRST_PAUSE);
    }
}
