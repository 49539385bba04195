//! Regular expressions as schemas write them for the reference: PCRE without its UTF mode, searched anywhere in the subject (`ngx.re.find(subject, pattern, "jo")`).
//!
//! Such a pattern sees bytes, and so do both engines here. Most patterns run on the `regex` crate, in linear time; those with look-around or back-references run on `fancy-regex` with a bound on its steps.
//! Known differences, in patterns nobody should write: a repeated look-around matches nothing, and so does a back-reference to a group that comes later.

mod translate;

use std::fmt;

use fancy_regex::BytesMode;

use crate::limits::{PATTERN_BACKTRACK_STEPS, PATTERN_COMPILED_BYTES};

/// A compiled pattern.
pub(crate) struct Pattern {
    source: Box<str>,
    engine: Engine,
}

enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(Box<fancy_regex::Regex>),
    /// It is not a pattern: the reference's search ends in an error, which counts as "not found".
    Broken,
}

impl Pattern {
    pub(crate) fn compile(source: &str) -> Self {
        let engine = translate::from_pcre(source).map_or(Engine::Broken, |pattern| {
            let linear = if pattern.is_possessive {
                None
            } else {
                regex::bytes::RegexBuilder::new(&pattern.text)
                    .unicode(false)
                    .size_limit(PATTERN_COMPILED_BYTES)
                    .build()
                    .ok()
            };
            let backtracking = || {
                fancy_regex::RegexBuilder::new(&pattern.text)
                    .bytes_mode(BytesMode::Ascii)
                    .backtrack_limit(PATTERN_BACKTRACK_STEPS)
                    .delegate_size_limit(PATTERN_COMPILED_BYTES)
                    .build()
                    .ok()
            };
            match linear {
                Some(regex) => Engine::Linear(regex),
                None => backtracking().map_or(Engine::Broken, |regex| {
                    Engine::Backtracking(Box::new(regex))
                }),
            }
        });
        Self {
            source: source.into(),
            engine,
        }
    }

    /// Whether the pattern is found anywhere in the subject. A subject that takes too many steps does not match.
    pub(crate) fn is_match(&self, subject: &str) -> bool {
        let subject = subject.as_bytes();
        match &self.engine {
            Engine::Linear(regex) => regex.is_match(subject),
            Engine::Backtracking(regex) => regex.is_match(subject).unwrap_or(false),
            Engine::Broken => false,
        }
    }

    /// The pattern as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Pattern").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests;
