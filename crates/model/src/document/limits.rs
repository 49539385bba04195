//! Limits of reading a whole configuration.

/// Levels of lists and maps. `serde_json` reads no more than 127 from a store, and what is accepted must be readable there.
pub(super) const DEPTH: usize = 100;

/// Most values of a text in YAML, aliases expanded: some hundred thousand objects of twenty values each. It takes about 1 GB while it
/// is read.
pub(super) const NODES: usize = 4_000_000;

/// Where the end mark is looked for: this many bytes at the end (`apisix/core/config_yaml.lua`).
pub(super) const END_BYTES: usize = 10;
