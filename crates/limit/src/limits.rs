//! Bounds of this crate.

/// Entries of a table, where nothing else is said: more than the 80 000 that a dictionary of the reference has room for
/// (`plugin-limit-count: 10m` in `apisix/cli/config.lua`, at 128 bytes per entry).
pub(crate) const ENTRIES: usize = 1 << 17;

/// Parts of a table, each with a lock of its own: enough that two of some dozen workers rarely meet.
pub(crate) const SHARDS: usize = 64;

/// Slots of a shard when its first entry comes.
pub(crate) const FIRST_SLOTS: usize = 8;

/// Slots that each new entry looks through for dead ones. A quarter of a shard's slots in new entries then sees all of
/// them, before which the shard, at most three quarters full, rarely has to grow.
pub(crate) const SWEPT_SLOTS: usize = 4;

/// Slots that a new entry looks through for one to evict, before it takes the next at hand: what a lock is held for is bounded.
pub(crate) const EVICTION_SLOTS: usize = 64;
