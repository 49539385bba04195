//! Bounds of this crate.

/// Steps a backtracking pattern may take on one subject before it counts as "no match". PCRE in the reference stops at `lua_regex_match_limit`
/// (100 000 in `apisix/cli/ngx_tpl.lua`); steps are counted differently, so the order of magnitude is what carries over.
pub(crate) const PATTERN_BACKTRACK_STEPS: usize = 100_000;

/// Bytes a compiled pattern may take. Enough for every pattern of a few kilobytes; keeps `(a{1000}){1000}` from taking the memory of the process.
pub(crate) const PATTERN_COMPILED_BYTES: usize = 2 << 20;

/// Texts in an `in` list from which on it is searched by halving instead of one by one.
pub(crate) const IN_LIST_LINEAR: usize = 8;

/// Levels of nested expressions in a `JSONPath`; `LPeg` in the reference gives up at 400 entries of its stack, several for each level.
pub(crate) const JSON_PATH_LEVELS: usize = 50;
