//! Numbers with a meaning.

/// Shards of an index of consumers. A change copies one of them: with 100 000 consumers, 400 entries.
pub(crate) const CONSUMER_SHARDS: usize = 256;

/// Bytes of memory that an exchange keeps for the next request. A worker has some hundreds of exchanges.
pub(crate) const KEPT_BYTES: usize = 64 << 10;

/// Bytes of a key that lie in the index itself: identifiers of 32 hexadecimal digits, with and without hyphens, do.
pub(crate) const CONSUMER_KEY_BYTES: usize = 40;
