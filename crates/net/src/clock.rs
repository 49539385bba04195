//! The worker's clock: microseconds since the worker began, and the wall time that belongs to them.
//!
//! Reading the system's clock costs tens of nanoseconds; a request reads it when it begins, when its upstream answered and
//! when it ends, and everything between uses the last reading.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A clock of one thread.
#[derive(Debug)]
pub struct Clock {
    base: Instant,
    base_unix: Cell<Duration>,
    recent: Cell<u64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that begins to count here.
    pub fn new() -> Self {
        let clock = Self {
            base: Instant::now(),
            base_unix: Cell::default(),
            recent: Cell::new(0),
        };
        clock.follow();
        clock
    }

    /// Takes over what the system's clock says: it is set, and it runs on while the machine sleeps.
    pub fn follow(&self) {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.base_unix.set(unix.saturating_sub(self.base.elapsed()));
    }

    /// Reads the clock: microseconds since the start.
    #[inline]
    pub fn tick(&self) -> u64 {
        let now = self.base.elapsed().as_micros() as u64;
        self.recent.set(now);
        now
    }

    /// The last reading.
    #[inline]
    pub fn recent(&self) -> u64 {
        self.recent.get()
    }

    /// Wall time of a reading, since the Unix epoch, as of the last [`Self::follow`].
    pub fn unix(&self, micros: u64) -> Duration {
        self.base_unix.get() + Duration::from_micros(micros)
    }

    /// The reading as an [`Instant`].
    pub fn instant(&self, micros: u64) -> Instant {
        self.base + Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_clock_of_the_system() {
        let clock = Clock::new();
        clock.base_unix.set(Duration::from_secs(1));
        assert_eq!(clock.unix(2_000_000), Duration::from_secs(3));
        clock.follow();
        let system = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
        assert!(clock.unix(clock.tick()).abs_diff(system) < Duration::from_secs(1));
    }
}
