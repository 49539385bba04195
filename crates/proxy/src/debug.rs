//! The basic debug mode: responses name the plugins that ran for them (`phases.rs`).
//!
//! It is switched while requests are served, by whoever holds a [`DebugMode`]. Source: `apisix/debug.lua`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the basic debug mode is on; off by default. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct DebugMode(Arc<AtomicBool>);

impl DebugMode {
    /// Whether it is on.
    #[inline]
    pub fn is_on(&self) -> bool {
        // Nothing else is told by it.
        self.0.load(Ordering::Relaxed)
    }

    /// Switches it on or off, from the next request on.
    pub fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }
}
