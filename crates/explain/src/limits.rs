//! Bounds of this crate.

/// Near misses that are shown where the question does not say how many: what fits on a screen.
pub(crate) const MISSES: usize = 10;

/// Near misses that may be asked for.
pub(crate) const MISSES_MOST: usize = 1000;

/// Hosts, addresses or comparisons that one sentence lists.
pub(crate) const LISTED: usize = 10;
