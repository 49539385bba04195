//! Numbers with a meaning.

/// Shards of an index of consumers. A change copies one of them: with 100 000 consumers, 400 entries.
pub(crate) const CONSUMER_SHARDS: usize = 256;
