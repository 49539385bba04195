//! Bounds of a document. They are there against mistakes and YAML bombs, far above what a gateway holds.

/// Nesting of a document; the Admin API takes less.
pub(crate) const DEPTH: usize = 200;

/// Scalars, lists and maps of a YAML document: 100 000 objects with 200 each.
pub(crate) const NODES: usize = 20_000_000;

/// What the reader of YAML counts beside: begins and ends.
pub(crate) const EVENTS: usize = 2 * NODES;

/// Bytes of all keys and values of a YAML document together.
pub(crate) const SCALAR_BYTES: usize = 1 << 30;
