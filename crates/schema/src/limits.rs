//! Bounds of this crate.

/// Subschemas that may be applied inside one another in a check: four for each level of a value, which the JSON parser nests 128 deep at most. A schema that refers to itself without descending into
/// the value ends here. A debug build stays within the 2 MiB of a test thread's stack.
pub(crate) const CHECK_DEPTH: usize = 512;

/// Subschemas that may be applied in one check, under a second of work. A body of the Admin API (1.5 MiB) has under a million values; a schema whose branches refer to itself would otherwise take
/// exponential time.
pub(crate) const CHECK_STEPS: u32 = 10_000_000;

/// Levels of subschemas in one schema. The deepest of the reference's is that of `traffic-split`, with ten.
pub(crate) const SCHEMA_DEPTH: usize = 128;

/// `$ref`s that may lead from one to the next before a schema is reached.
pub(crate) const REFERENCE_HOPS: usize = 32;

/// Significant digits of a number in a sentence: Lua prints numbers with `%.14g` (`LUAI_NUMFFORMAT`).
pub(crate) const NUMBER_DIGITS: i32 = 14;
