//! Bounds of this crate.

/// Keys that Redis is told in one go, where it is told later (`MAX_DELAYED_SYNC_QUEUE_SIZE` in `limit-count/delayed-syncer.lua`).
pub(crate) const TOLD_KEYS: usize = 10_000;

/// Keys of one configuration that are counted here and told later; requests of further ones wait for Redis. As many as a table of
/// `lockgate-limit` has.
pub(crate) const DELAYED_KEYS: usize = 1 << 17;

/// The number by which tasks beside the workers use a client of Redis. Their runtime has connections of its own.
pub(crate) const TELLING_WORKER: usize = 0;
