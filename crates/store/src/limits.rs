//! Bounds and defaults of the stores.

use std::time::Duration;

/// KiB of values that may wait for the writer of the embedded store, with one KiB counted for each write; who comes later waits
/// before it has been queued. Some forty of the largest bodies the Admin API takes (1.5 MB), or 64 k small ones.
pub(crate) const QUEUE_KIB: u32 = 64 * 1024;

/// Writes that share one transaction and one fsync. Larger batches gain nothing (an fsync costs about as much as 200 writes)
/// and make the first writer wait for the last.
pub(crate) const BATCH_WRITES: usize = 1024;

/// Bytes of values in one transaction; one value may exceed it.
pub(crate) const BATCH_BYTES: usize = 16 << 20;

/// Threads that read history or copy a backup at one time; further ones wait.
pub(crate) const READERS: usize = 2;

/// Longest sleep of the writer while something is due later: wall time may be set meanwhile.
pub(crate) const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// Pause before the writer tries again what is due by itself, after the disk failed.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// History records removed by a transaction, beyond two for each write in it, so that no write pays for all of a
/// compaction.
pub(crate) const TRIM_STEP: usize = 64;

/// History records removed at once when nothing is written.
pub(crate) const TRIM_IDLE: usize = 4096;

/// How long history records outlive their age while nothing is written, so that an idle store is not woken for each.
pub(crate) const TRIM_SLACK: Duration = Duration::from_hours(1);

/// Bytes counted for a history record beyond its texts: numbers, and its place in two trees.
pub(crate) const RECORD_BYTES: u64 = 64;

/// Largest file that may be taken for one whose creation was cut short. redb 4.6 begins with 72 KiB, older versions with 1 MiB.
pub(crate) const UNFINISHED_BYTES: u64 = 2 << 20;

/// Default of `EmbeddedOptions::cache_bytes`. It holds the inner pages of a file with 100 000 routes; 1 and 16 MiB write neither
/// slower nor faster (`store_bench`, 28 Nov 2026).
pub(crate) const CACHE_BYTES: usize = 4 << 20;

/// Default of `EmbeddedOptions::watch_changes`.
pub(crate) const WATCH_CHANGES: usize = 16 * 1024;

/// Default of `EmbeddedOptions::watch_bytes`.
pub(crate) const WATCH_BYTES: usize = 32 << 20;

/// Default of `HistoryLimits::max_age`.
pub(crate) const HISTORY_AGE: Duration = Duration::from_hours(90 * 24);

/// Default of `HistoryLimits::max_records`.
pub(crate) const HISTORY_RECORDS: u64 = 100_000;

/// Default of `HistoryLimits::max_bytes`.
pub(crate) const HISTORY_BYTES: u64 = 64 << 20;

/// Replacements of a configuration in memory that are kept for watchers; who is further behind lists again.
pub(crate) const WHOLE_BATCHES: usize = 16;

/// Largest configuration file: some hundred thousand objects.
pub(crate) const FILE_BYTES: u64 = 64 << 20;

/// Time between two looks at a configuration file (`apisix/core/config_yaml.lua`: 1 s).
pub(crate) const FILE_POLL: Duration = Duration::from_secs(1);
