//! The worker's clock: microseconds since the worker began, and the wall time that belongs to them.
//!
//! Reading the system's clock costs tens of nanoseconds; a request reads it when it begins, when its upstream answered and
//! when it ends, and everything between uses the last reading. Deadlines, which need no more than milliseconds, read the
//! coarse clock, which the kernel moves on at each of its ticks and which costs a few nanoseconds.

use std::{
    cell::Cell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

/// A clock of one thread.
#[derive(Debug)]
pub struct Clock {
    /// Microseconds on the system's monotonic clock when this one began.
    base_us: u64,
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
            base_us: system_us(ClockId::Monotonic),
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
        let since_base = system_us(ClockId::Monotonic).saturating_sub(self.base_us);
        self.base_unix
            .set(unix.saturating_sub(Duration::from_micros(since_base)));
    }

    /// Reads the clock: microseconds since the start.
    #[inline]
    pub fn tick(&self) -> u64 {
        let now = system_us(ClockId::Monotonic).saturating_sub(self.base_us);
        self.recent.set(now);
        now
    }

    /// Reads the coarse clock: behind [`Self::tick`] by a tick of the kernel at most (1 to 10 ms), and never behind the last
    /// reading.
    #[inline]
    pub fn coarse(&self) -> u64 {
        let now = system_us(ClockId::MonotonicCoarse).saturating_sub(self.base_us);
        now.max(self.recent.get())
    }

    /// The last reading.
    #[inline]
    pub fn recent(&self) -> u64 {
        self.recent.get()
    }

    /// A reading on the system's monotonic clock, which all threads share, in microseconds.
    pub fn monotonic_us(&self, micros: u64) -> u64 {
        self.base_us + micros
    }

    /// Wall time of a reading, since the Unix epoch, as of the last [`Self::follow`].
    pub fn unix(&self, micros: u64) -> Duration {
        self.base_unix.get() + Duration::from_micros(micros)
    }
}

/// The system's monotonic clock, in microseconds: the same for every thread.
pub fn monotonic_us() -> u64 {
    system_us(ClockId::Monotonic)
}

/// What a clock of the system says, in microseconds.
#[inline]
fn system_us(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // The monotonic clocks count from the start of the machine: neither part is negative.
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_never_behind_the_last_reading() {
        let clock = Clock::new();
        for _ in 0..1000 {
            let exact = clock.tick();
            let coarse = clock.coarse();
            assert!(coarse >= exact && coarse <= clock.tick());
        }
    }

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
