//! Regular expressions as operators write them for the reference: PCRE without its UTF mode, as `ngx.re` runs it.
//!
//! A pattern is translated to the syntax of Rust's engines when a configuration is compiled. Most patterns run on the `regex` crate, in linear time; those with look-around or back-references run on
//! `fancy-regex` with a bound on its steps. Both see bytes. A [`Replacement`] is the text of `ngx.re.sub`, with `$1` in it.
//!
//! Known differences, in patterns nobody should write: a repeated look-around matches nothing, and so does a back-reference to a group that comes later.
//!
//! Read next: `pattern.rs` for searching, `replacement.rs` for replacing, `translate.rs` for the syntax.

mod diagnose;
mod flags;
mod limits;
mod pattern;
mod replacement;
mod translate;

pub use crate::flags::{Flags, UnknownFlag};
pub use crate::pattern::{Captures, Pattern, PatternError, StepsExceeded};
pub use crate::replacement::{Replacement, ReplacementError};

#[cfg(test)]
mod tests;
