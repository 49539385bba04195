//! What the counting windows have in common: what is allowed, and how they answer.

use std::num::NonZeroU64;

/// How much may be spent in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Most that may be spent in a window (`count`).
    pub limit: NonZeroU64,
    /// Length of a window (`time_window`).
    pub window_s: NonZeroU64,
}

impl Quota {
    /// A quota; `None` if either is 0, which the reference refuses too.
    pub fn new(limit: u64, window_s: u64) -> Option<Self> {
        Some(Self {
            limit: NonZeroU64::new(limit)?,
            window_s: NonZeroU64::new(window_s)?,
        })
    }

    pub(crate) fn window_ms(self) -> u64 {
        self.window_s.get().saturating_mul(1000)
    }
}

/// What a counting window says to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Whether the request may pass.
    pub is_allowed: bool,
    /// What is left in the window; 0 if the request is refused. A sliding window may be overdrawn by the request that it lets
    /// pass last, and says so with a number below 0, as the reference does.
    pub remaining: i64,
    /// Seconds until the window ends; of a sliding window that refuses, until it might not. The reference cuts it to
    /// hundredths before it shows it: `(reset_s * 100.0).floor() / 100.0`.
    pub reset_s: f64,
}
