//! Bounds of this crate.

/// Steps a backtracking pattern may take on one subject. PCRE in the reference stops at `lua_regex_match_limit` (100 000 in `apisix/cli/ngx_tpl.lua`); steps are counted differently, so the order of
/// magnitude is what carries over.
pub(crate) const BACKTRACK_STEPS: usize = 100_000;

/// Bytes a compiled pattern may take. Enough for every pattern of a few kilobytes; keeps `(a{1000}){1000}` from taking the memory of the process.
pub(crate) const COMPILED_BYTES: usize = 2 << 20;

/// Bytes of a pattern; PCRE refuses what compiles to more (link size 2).
pub(crate) const PATTERN_BYTES: usize = 64 << 10;

/// Groups that may be open at once in a pattern; PCRE refuses more (`PARENS_NEST_LIMIT`).
pub(crate) const PATTERN_NESTING: usize = 250;
