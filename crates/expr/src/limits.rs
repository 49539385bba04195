//! Bounds of this crate.

/// Texts in an `in` list from which on it is searched by halving instead of one by one.
pub(crate) const IN_LIST_LINEAR: usize = 8;

/// Levels of nested expressions in a `JSONPath`; `LPeg` in the reference gives up at 400 entries of its stack, several for each level.
pub(crate) const JSON_PATH_LEVELS: usize = 50;

/// Bytes of a value that are shown to who asks why an expression does not hold: enough to tell values apart, and few in a list.
pub(crate) const SHOWN_VALUE_BYTES: usize = 200;
