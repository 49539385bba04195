//! Regular expressions as operators write them for the reference: PCRE, on bytes.
//!
//! Most patterns run on the `regex` crate, in linear time. Those with look-around or back-references run on `fancy-regex` with a bound on its
//! steps. A known difference: `$` matches at the very end only, not also before a final line feed.

use std::fmt;

use crate::limits::{PATTERN_BACKTRACK_STEPS, PATTERN_COMPILED_BYTES};

/// A compiled pattern.
#[derive(Clone)]
pub struct Pattern(Engine);

#[derive(Clone)]
enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(fancy_regex::Regex),
}

impl Pattern {
    /// Compiles a pattern, or nothing when it is not one.
    pub fn compile(pattern: &str, ignore_case: bool) -> Option<Self> {
        let translated = from_pcre(pattern);
        let linear = regex::bytes::RegexBuilder::new(&translated)
            .unicode(false)
            .case_insensitive(ignore_case)
            .size_limit(PATTERN_COMPILED_BYTES)
            .build();
        if let Ok(regex) = linear {
            return Some(Self(Engine::Linear(regex)));
        }
        let backtracking = fancy_regex::RegexBuilder::new(&translated)
            .case_insensitive(ignore_case)
            .backtrack_limit(PATTERN_BACKTRACK_STEPS)
            .delegate_size_limit(PATTERN_COMPILED_BYTES)
            .build();
        backtracking
            .ok()
            .map(|regex| Self(Engine::Backtracking(regex)))
    }

    /// Whether the pattern is found anywhere in the subject. A subject that takes too many steps does not match.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        match &self.0 {
            Engine::Linear(regex) => regex.is_match(subject),
            Engine::Backtracking(regex) => regex
                .is_match(String::from_utf8_lossy(subject).as_ref())
                .unwrap_or(false),
        }
    }

    fn source(&self) -> &str {
        match &self.0 {
            Engine::Linear(regex) => regex.as_str(),
            Engine::Backtracking(regex) => regex.as_str(),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.source()).finish()
    }
}

/// Rewrites what PCRE takes literally and Rust's engines take for syntax: `[` and doubled `&`, `-`, `~` inside a class, and a `{` that begins no repetition.
fn from_pcre(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    // The position just behind `[` or `[^`, where `]` is literal.
    let mut class_begins = false;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        let at_class_begin = std::mem::take(&mut class_begins);
        rest = tail;
        match c {
            '\\' => {
                out.push('\\');
                if let Some(escaped) = tail.chars().next() {
                    out.push(escaped);
                    rest = tail.get(escaped.len_utf8()..).unwrap_or_default();
                    // `\p{…}`, `\x{…}`, `\g{…}`, `\k{…}`: the brace belongs to the escape.
                    if matches!(escaped, 'p' | 'P' | 'x' | 'g' | 'k' | 'o' | 'N')
                        && rest.starts_with('{')
                    {
                        out.push('{');
                        rest = rest.get(1..).unwrap_or_default();
                    }
                }
            }
            '[' if !in_class => {
                in_class = true;
                class_begins = true;
                out.push('[');
                if let Some(negated) = tail.strip_prefix('^') {
                    out.push('^');
                    rest = negated;
                }
            }
            '[' if tail.starts_with(':') && tail.contains(":]") => {
                let end = tail.find(":]").map_or(0, |at| at + 2);
                out.push('[');
                out.push_str(tail.get(..end).unwrap_or_default());
                rest = tail.get(end..).unwrap_or_default();
            }
            ']' if in_class && at_class_begin => out.push_str("\\]"),
            ']' => {
                in_class = false;
                out.push(']');
            }
            '[' => out.push_str("\\["),
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && tail.starts_with('-') => out.push_str("\\-"),
            '{' if !in_class && !begins_repetition(tail) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

/// Whether what follows a `{` makes it `{n}`, `{n,}` or `{n,m}`.
fn begins_repetition(tail: &str) -> bool {
    tail.split_once('}').is_some_and(|(inside, _)| {
        let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
        !least.is_empty()
            && least
                .bytes()
                .chain(most.bytes())
                .all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_pcre_finds() {
        let check = |pattern: &str, subject: &str, expected: bool| {
            assert_eq!(
                Pattern::compile(pattern, false)
                    .unwrap()
                    .is_match(subject.as_bytes()),
                expected,
                "{pattern} on {subject:?}"
            );
        };
        check("[a-z]{1,4}", "12ab", true);
        check("^/api/v\\d+\\/x$", "/api/v12/x", true);
        check("^(?!admin).*$", "admin", false);
        check("^(?!admin).*$", "user", true);
        check("(a)\\1", "aa", true);
        check("[[x]", "[", true);
        check("[]x]", "]", true);
        check("[^]x]", "]", false);
        check("[a&&b]", "&", true);
        check("[[:digit:]a]", "5", true);
        check("a{b}", "a{b}", true);
        check("{", "{", true);
        check("a{,3}", "a{,3}", true);
        check("\\x{41}", "A", true);
        check("é", "café", true);
    }

    #[test]
    fn case_is_ignored_on_request() {
        assert!(Pattern::compile("ABC", true).unwrap().is_match(b"xabcx"));
        assert!(!Pattern::compile("ABC", false).unwrap().is_match(b"xabcx"));
        assert!(
            Pattern::compile("(?=ABC)", true)
                .unwrap()
                .is_match(b"xabcx")
        );
    }

    #[test]
    fn bytes_that_are_not_text_are_searched() {
        assert!(
            Pattern::compile("b$", false)
                .unwrap()
                .is_match(b"\xff\xfeb")
        );
        assert!(
            Pattern::compile("^..b$", false)
                .unwrap()
                .is_match(b"\xff\xfeb")
        );
        assert!(
            Pattern::compile("(?=b)b$", false)
                .unwrap()
                .is_match(b"\xff\xfeb")
        );
    }

    #[test]
    fn broken_patterns_are_not_compiled() {
        for broken in ["(", "[a", "a**b(", "*"] {
            assert!(Pattern::compile(broken, false).is_none(), "{broken}");
        }
    }

    #[test]
    fn catastrophic_patterns_end() {
        let pattern = Pattern::compile("^(?=(a+)+$)b", false).unwrap();
        assert!(!pattern.is_match("a".repeat(64).as_bytes()));
        assert!(Pattern::compile("((a{1000}){1000}){1000}", false).is_none());
    }
}
