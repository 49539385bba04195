//! Regular expressions as schemas write them for the reference: PCRE without its UTF mode, searched anywhere in the subject (`ngx.re.find(subject, pattern, "jo")`).
//!
//! Such a pattern sees bytes. Here each byte becomes the character of the same number, so that both engines, which read text, see what PCRE sees.
//! Most patterns run on the `regex` crate, in linear time; those with look-around or back-references run on `fancy-regex` with a bound on its steps.

mod translate;

use std::borrow::Cow;
use std::fmt;

use crate::limits::{PATTERN_BACKTRACK_STEPS, PATTERN_COMPILED_BYTES};

/// A compiled pattern.
pub(crate) struct Pattern {
    source: Box<str>,
    engine: Engine,
}

enum Engine {
    Linear(regex::Regex),
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
                regex::RegexBuilder::new(&pattern.text)
                    .size_limit(PATTERN_COMPILED_BYTES)
                    .build()
                    .ok()
            };
            let backtracking = || {
                fancy_regex::RegexBuilder::new(&pattern.text)
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
        let subject = bytes_as_chars(subject);
        match &self.engine {
            Engine::Linear(regex) => regex.is_match(&subject),
            Engine::Backtracking(regex) => regex.is_match(subject.as_ref()).unwrap_or(false),
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

/// Each byte as the character of the same number.
fn bytes_as_chars(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.bytes().map(char::from).collect())
    }
}

#[cfg(test)]
mod tests;
