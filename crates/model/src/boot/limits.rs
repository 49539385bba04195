//! Limits of reading `config.yaml`.

/// Deepest nesting. The reference's deepest option lies five deep; a document of brackets must not use up the stack.
pub(super) const DEPTH: usize = 64;

/// Most values of one document, aliases expanded. A complete `config.yaml` has about five hundred.
pub(super) const NODES: usize = 100_000;
