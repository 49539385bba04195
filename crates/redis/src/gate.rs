//! How failures to reach something hold back further attempts.

use std::time::Duration;

use tokio::time::Instant;

use crate::{error::Error, limits};

/// What is known of attempts at one thing. After a failure nothing is attempted for a while, and callers are given the reason
/// at once; then one caller attempts and waits, and the others are given the reason until that has succeeded.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    error: Error,
    pause: Duration,
    until: Instant,
}

impl Gate {
    /// An attempt has failed: a pause, twice the one before.
    pub(crate) fn fail(&mut self, error: Error, at: Instant) {
        let pause = match &self.failed {
            Some(failed) => (failed.pause * 2).min(limits::BACKOFF_MAX),
            None => limits::BACKOFF_FIRST,
        };
        let until = at + pause;
        self.failed = Some(Failed {
            error,
            pause,
            until,
        });
    }

    /// Something that was reached fell silent: no pause, but one caller alone tries whether it answers.
    pub(crate) fn doubt(&mut self, error: Error, at: Instant) {
        self.failed = Some(Failed {
            error,
            pause: limits::BACKOFF_FIRST / 2,
            until: at,
        });
    }

    /// An attempt has succeeded.
    pub(crate) fn succeed(&mut self) {
        self.failed = None;
    }

    /// What a caller is told instead of attempting anything.
    pub(crate) fn refusal(&self, now: Instant) -> Option<Error> {
        let failed = self.failed.as_ref()?;
        (now < failed.until).then(|| failed.error.clone())
    }

    /// What a caller is told instead of waiting for the attempt of another.
    pub(crate) fn doubted(&self) -> Option<Error> {
        Some(self.failed.as_ref()?.error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_success() {
        let mut gate = Gate::default();
        let now = Instant::now();
        assert_eq!(gate.refusal(now), None);
        for pause_ms in [50, 100, 200, 400, 800, 1000, 1000] {
            gate.fail(Error::Timeout, now);
            let pause = Duration::from_millis(pause_ms);
            let almost = now + pause - Duration::from_millis(1);
            assert_eq!(gate.refusal(almost), Some(Error::Timeout), "{pause_ms}");
            assert_eq!(gate.refusal(now + pause), None, "{pause_ms}");
            assert_eq!(gate.doubted(), Some(Error::Timeout));
        }
        gate.succeed();
        assert_eq!(gate.doubted(), None);
    }

    #[test]
    fn who_fell_silent_is_tried_at_once_by_one() {
        let mut gate = Gate::default();
        let now = Instant::now();
        gate.doubt(Error::Timeout, now);
        assert_eq!(gate.refusal(now), None);
        assert_eq!(gate.doubted(), Some(Error::Timeout));
        gate.fail(Error::Timeout, now);
        assert!(gate.refusal(now + limits::BACKOFF_FIRST / 2).is_some());
        assert!(gate.refusal(now + limits::BACKOFF_FIRST).is_none());
    }
}
