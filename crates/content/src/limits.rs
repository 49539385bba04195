//! Bounds of this crate.

/// Levels of selections and values in a GraphQL document (`LUAI_MAXCCALLS` in the reference is 200).
pub(crate) const GRAPHQL_LEVELS: usize = 100;

/// Top-level fields of an operation that are told. Queries that people write have a few; a document of nothing but names would cost a
/// list of hundreds of thousands.
pub(crate) const GRAPHQL_ROOT_FIELDS: usize = 1000;
