//! Patterns, and what they find.

use std::{fmt, ops::Range, sync::OnceLock};

use fancy_regex::BytesMode;

use crate::{
    Flags, diagnose,
    limits::{BACKTRACK_STEPS, COMPILED_BYTES},
    translate::{self, Translated},
};

/// A compiled pattern.
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    flags: Flags,
    engine: Engine,
    /// The pattern in which `$` takes no line feed along, made when it is first needed; none where no `$` matters.
    exact: Option<Box<OnceLock<Option<fancy_regex::Regex>>>>,
}

#[derive(Clone)]
enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

/// A text that is no pattern. The text of the reference, for the mistakes that people make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pcre_compile() failed: {what} in \"{pattern}\"{at}")]
pub struct PatternError {
    what: &'static str,
    pattern: String,
    at: String,
}

/// A search took more steps than it may. The text of the reference (`PCRE_ERROR_MATCHLIMIT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pcre_exec() failed: -8")]
pub struct StepsExceeded;

/// Where a pattern and its groups were found.
#[derive(Debug)]
pub struct Captures<'s>(Found<'s>);

#[derive(Debug)]
enum Found<'s> {
    Linear(regex::bytes::Captures<'s>),
    Backtracking(fancy_regex::Captures<'s, [u8]>),
}

impl Pattern {
    /// Compiles a pattern, or nothing when it is not one.
    pub fn compile(pattern: &str, ignores_case: bool) -> Option<Self> {
        let flags = Flags {
            ignores_case,
            ..Flags::default()
        };
        Self::build(pattern, flags)
    }

    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(pattern: &str, flags: Flags) -> Result<Self, PatternError> {
        Self::build(pattern, flags).ok_or_else(|| {
            let (what, place) = diagnose::diagnose(pattern);
            let rest = pattern.get(place..).unwrap_or_default();
            PatternError {
                what,
                pattern: pattern.to_owned(),
                at: if rest.is_empty() {
                    String::new()
                } else {
                    format!(" at \"{rest}\"")
                },
            }
        })
    }

    fn build(source: &str, flags: Flags) -> Option<Self> {
        let translated = translate::from_pcre(source, flags, false)?;
        let engine = match linear(&translated, flags) {
            Some(regex) => Engine::Linear(regex),
            None => Engine::Backtracking(Box::new(backtracking(&translated, flags)?)),
        };
        Some(Self {
            source: source.into(),
            flags,
            engine,
            exact: translated.has_final.then(Box::default),
        })
    }

    /// Whether the pattern is found anywhere in the subject. A subject that takes too many steps does not match.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        self.try_is_match(subject).unwrap_or(false)
    }

    /// Whether the pattern is found anywhere in the subject.
    ///
    /// # Errors
    /// The subject takes too many steps: where a match keeps something out, that is to count as one.
    pub fn try_is_match(&self, subject: &[u8]) -> Result<bool, StepsExceeded> {
        match &self.engine {
            Engine::Linear(regex) => Ok(regex.is_match(subject)),
            Engine::Backtracking(regex) => regex.is_match(subject).map_err(|_| StepsExceeded),
        }
    }

    /// Where the pattern and its groups are first found.
    ///
    /// # Errors
    /// The search took too many steps.
    pub fn captures<'s>(&self, subject: &'s [u8]) -> Result<Option<Captures<'s>>, StepsExceeded> {
        self.captures_at(subject, 0)
    }

    /// The same, from a place in the subject on.
    pub(crate) fn captures_at<'s>(
        &self,
        subject: &'s [u8],
        start: usize,
    ) -> Result<Option<Captures<'s>>, StepsExceeded> {
        let regex = match (&self.engine, self.exact_for(subject)) {
            (_, Some(exact)) => exact,
            (Engine::Linear(regex), None) => {
                let found = regex.captures_at(subject, start);
                return Ok(found.map(|found| Captures(Found::Linear(found))));
            }
            (Engine::Backtracking(regex), None) => regex,
        };
        match regex.captures_from_pos(subject, start) {
            Ok(found) => Ok(found.map(|found| Captures(Found::Backtracking(found)))),
            Err(_) => Err(StepsExceeded),
        }
    }

    /// The pattern for a subject at whose end `$` matches in two places.
    fn exact_for(&self, subject: &[u8]) -> Option<&fancy_regex::Regex> {
        let exact = self.exact.as_ref().filter(|_| subject.ends_with(b"\n"))?;
        let make = || {
            let translated = translate::from_pcre(&self.source, self.flags, true)?;
            backtracking(&translated, self.flags)
        };
        exact.get_or_init(make).as_ref()
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Pattern").field(&self.source).finish()
    }
}

impl<'s> Captures<'s> {
    /// What a group found; group 0 is the whole pattern.
    pub fn get(&self, group: usize) -> Option<&'s [u8]> {
        match &self.0 {
            Found::Linear(found) => Some(found.get(group)?.as_bytes()),
            Found::Backtracking(found) => {
                let range = found.get(group)?.range();
                found.input_as_bytes().get(range)
            }
        }
    }

    /// Where the whole pattern was found.
    pub fn range(&self) -> Range<usize> {
        let range = match &self.0 {
            Found::Linear(found) => found.get(0).map(|whole| whole.range()),
            Found::Backtracking(found) => found.get(0).map(|whole| whole.range()),
        };
        // Group 0 is there wherever anything was found.
        range.unwrap_or_default()
    }
}

fn linear(pattern: &Translated, flags: Flags) -> Option<regex::bytes::Regex> {
    if pattern.needs_backtracking {
        return None;
    }
    regex::bytes::RegexBuilder::new(&pattern.text)
        .unicode(false)
        .case_insensitive(flags.ignores_case)
        .multi_line(flags.is_multi_line)
        .dot_matches_new_line(flags.dot_is_all)
        .size_limit(COMPILED_BYTES)
        .build()
        .ok()
}

fn backtracking(pattern: &Translated, flags: Flags) -> Option<fancy_regex::Regex> {
    fancy_regex::RegexBuilder::new(&pattern.text)
        .bytes_mode(BytesMode::Ascii)
        .case_insensitive(flags.ignores_case)
        .multi_line(flags.is_multi_line)
        .dot_matches_new_line(flags.dot_is_all)
        .backtrack_limit(BACKTRACK_STEPS)
        .delegate_size_limit(COMPILED_BYTES)
        .build()
        .ok()
}
