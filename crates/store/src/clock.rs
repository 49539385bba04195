//! Wall time, from one place, so that tests of what happens later need not wait for it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What a clock calls when its time jumps.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// Wall time. It may go backwards; what is due then waits.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn unix_ms(&self) -> u64;

    /// Asks to be called when time moves other than by itself. A clock that cannot tell ignores it: those who wait look again
    /// every second.
    fn on_jump(&self, wake: Wake) {
        drop(wake);
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis() as u64
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Default)]
pub struct ManualClock {
    now_ms: AtomicU64,
    wakes: Mutex<Vec<Wake>>,
}

impl ManualClock {
    /// A clock that shows `unix_ms`.
    pub fn at(unix_ms: u64) -> Arc<Self> {
        Arc::new(Self {
            now_ms: AtomicU64::new(unix_ms),
            wakes: Mutex::default(),
        })
    }

    /// Moves the time on and wakes those who wait for it.
    pub fn advance(&self, by: Duration) {
        self.now_ms
            .fetch_add(by.as_millis() as u64, Ordering::SeqCst);
        for wake in self
            .wakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            wake();
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ManualClock")
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn unix_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn on_jump(&self, wake: Wake) {
        self.wakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wake);
    }
}
