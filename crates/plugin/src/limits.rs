//! Numbers with a meaning.

/// Shards of an index of consumers. A change copies one of them: with 100 000 consumers, 400 entries.
pub(crate) const CONSUMER_SHARDS: usize = 256;

/// Bytes of memory that an exchange keeps for the next request. A worker has some hundreds of exchanges.
pub(crate) const KEPT_BYTES: usize = 64 << 10;
