//! Bounds of batch processors.

use std::time::Duration;

/// Entries of one plugin that wait where its metadata say nothing; the reference's, per worker there.
pub(crate) const PENDING_ENTRIES: usize = 8192;

/// Bytes of one plugin that wait: as many entries of 32 KiB. The reference has no such bound and grows to about three times
/// that (its `batch-processor.md`).
pub(crate) const PENDING_BYTES: usize = PENDING_ENTRIES * 32 * 1024;

/// A batch of this many bytes is sent though it could have more entries, so that large entries go before they fill what may wait.
pub(crate) const BATCH_BYTES: usize = 16 << 20;

/// Batches of one processor that are on their way at once. The reference has no bound; enough for 32 000 batches a second to a
/// server that answers within 2 ms.
pub(crate) const SENDS: usize = 64;

/// Longest for one attempt: senders have timeouts of their own, this is for one that has forgotten a wait.
pub(crate) const SEND: Duration = Duration::from_mins(5);

/// Longest until what is cancelled has ended.
pub(crate) const CANCEL: Duration = Duration::from_secs(1);

/// Least time between two lines about entries that were dropped; the reference's.
pub(crate) const DISCARD_INTERVAL: Duration = Duration::from_secs(1);

/// Lines that one processor may write in a second: with batches of one entry each request could cause some.
pub(crate) const LINES_PER_SECOND: u32 = 10;

/// Longest time that settings can ask for; more is taken for this. The clock cannot count for ever.
pub(crate) const LONGEST: Duration = Duration::from_hours(30 * 24);
