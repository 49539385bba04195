//! Bounds of this crate.

/// Series of a family unless its declaration says otherwise: 10 000 routes with 20 combinations of status and node each. One takes
/// some hundred bytes, and for each worker that counts it 100 more, 250 if it is a histogram of 15 buckets.
pub(crate) const SERIES: usize = 200_000;

/// Bytes of a label value; what is beyond is cut off. Paths of routes, the longest there are, have 4096 (the schema of `uri`).
pub(crate) const LABEL_VALUE_BYTES: usize = 4096;

/// Bytes of a chunk of a scrape: large enough to make few writes, small enough to stay in the cache of a core.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

/// Bytes at which a chunk is handed out rather than filled further. The rest is room for the lines of one more series.
pub(crate) const CHUNK_FULL_BYTES: usize = 56 << 10;

/// Cache lines that are allocated at a time for the series of one family in one shard: a page of memory.
pub(crate) const BLOCK_LINES: usize = 64;

/// Keys that a [`crate::Memo`] holds unless it is made for another number.
pub(crate) const MEMO_KEYS: usize = 1 << 17;

/// Keys of a [`crate::Memo`] below which it is not searched for those that are of no use any more.
pub(crate) const MEMO_SWEEP_KEYS: usize = 1024;

/// Series that are read before the first of them is written: their cache misses overlap, unless the writing of text is in between.
pub(crate) const READ_AHEAD: usize = 32;
