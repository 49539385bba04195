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

/// Steps a backtracking pattern may take on one subject before it counts as "no match". PCRE in the reference stops at `lua_regex_match_limit` (100 000 in `apisix/cli/ngx_tpl.lua`);
/// steps are counted differently, so the order of magnitude is what carries over.
pub(crate) const PATTERN_BACKTRACK_STEPS: usize = 100_000;

/// Bytes a compiled pattern may take; keeps `(a{1000}){1000}` from taking the memory of the process.
pub(crate) const PATTERN_COMPILED_BYTES: usize = 2 << 20;

/// Bytes of a pattern; PCRE refuses what compiles to more (link size 2).
pub(crate) const PATTERN_BYTES: usize = 64 << 10;

/// Groups that may be open at once in a pattern; PCRE refuses more (`PARENS_NEST_LIMIT`).
pub(crate) const PATTERN_NESTING: usize = 250;

/// Significant digits of a number in a sentence: Lua prints numbers with `%.14g` (`LUAI_NUMFFORMAT`).
pub(crate) const NUMBER_DIGITS: i32 = 14;
