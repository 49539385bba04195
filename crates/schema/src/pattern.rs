//! Patterns of schemas: searched for anywhere in the subject (`ngx.re.find(subject, pattern, "jo")`).

/// A pattern as a schema has it.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: Box<str>,
    /// Nothing where it is no pattern: the reference's search ends in an error, which counts as "not found".
    compiled: Option<lockgate_pattern::Pattern>,
}

impl Pattern {
    pub(crate) fn compile(source: &str) -> Self {
        Self {
            source: source.into(),
            compiled: lockgate_pattern::Pattern::compile(source, false),
        }
    }

    /// Whether the pattern is found anywhere in the subject. A subject that takes too many steps does not match.
    pub(crate) fn is_match(&self, subject: &str) -> bool {
        self.compiled
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(subject.as_bytes()))
    }

    /// The pattern as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_patterns_match_nothing() {
        for (pattern, expected) in [
            ("b", true),
            ("^(?!b)a", true),
            ("^b", false),
            ("ab(", false),
        ] {
            assert_eq!(
                Pattern::compile(pattern).is_match("ab"),
                expected,
                "{pattern}"
            );
        }
    }
}
