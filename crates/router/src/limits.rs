//! Sizes of this crate's structures.

/// Bits of the hash that choose a slot in one node of a [`HashTrie`](crate::hash_trie::HashTrie): 32 slots, the width of its bitmap.
pub(crate) const HASH_TRIE_BITS: u32 = 5;

/// Slots a node of a hash trie holds without a further allocation. With 100 000 keys its lowest nodes hold 3 on average.
pub(crate) const HASH_TRIE_INLINE: usize = 4;

/// Bytes of a radix tree's label, and children of its nodes, that need no further allocation: most path segments, and all ten digits.
pub(crate) const LABEL_INLINE: usize = 16;

/// Nested prefixes of one path, or wildcards of one host, that are collected without allocating.
pub(crate) const PREFIXES_INLINE: usize = 8;

/// Parameters of one path that are kept without allocating.
pub(crate) const PARAMS_INLINE: usize = 4;

/// Bytes of a host that are reversed without allocating; a host name has at most 253 (RFC 1035 §2.3.4).
pub(crate) const HOST_INLINE: usize = 256;

/// Bytes that a path must share with a route's, from its beginning, to be called near it: more than the slash that all begin with.
pub(crate) const NEAR_PATH_BYTES: usize = 2;

/// Near misses that are kept before the farther ones are thrown away.
pub(crate) const MISSES_KEPT: usize = 1024;
