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
    base_unix: Duration,
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
        let base_unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            base: Instant::now(),
            base_unix,
            recent: Cell::new(0),
        }
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

    /// Wall time of a reading, since the Unix epoch.
    ///
    /// Steps of the system's clock after the start are not followed; [`Self::new`] anew to do so.
    pub fn unix(&self, micros: u64) -> Duration {
        self.base_unix + Duration::from_micros(micros)
    }

    /// The reading as an [`Instant`].
    pub fn instant(&self, micros: u64) -> Instant {
        self.base + Duration::from_micros(micros)
    }
}
