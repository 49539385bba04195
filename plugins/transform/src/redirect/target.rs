//! Targets as `redirect` writes them, which is not quite as other plugins do.

use lockgate_expr::{Lookup as _, Variable};
use lockgate_plugin::Exchange;

/// A text with variables in it: `$name` and `${name}` without dots and defaults. `\$name` stays as it is, and any other `\` is left out, as the
/// reference's pattern does not take it (`redirect.lua`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target(Box<[Segment]>);

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    Variable(Variable),
}

impl Target {
    pub(super) fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '\\']) {
            let (plain, special) = rest.split_at(at);
            segments.extend(Segment::text(plain));
            let (segment, taken) = begin(special);
            segments.extend(segment);
            rest = special.get(taken..).unwrap_or_default();
        }
        segments.extend(Segment::text(rest));
        Self(segments.into())
    }

    /// Appends the text with its variables; those that have no value are left out.
    pub(super) fn render(&self, ex: &Exchange<'_>, out: &mut Vec<u8>) {
        for segment in &self.0 {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Variable(variable) => {
                    if let Some(value) = ex.value(variable) {
                        value.write_text(out);
                    }
                }
            }
        }
    }
}

impl Segment {
    fn text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Text(text.into()))
    }

    fn variable(name: &str) -> Self {
        Self::Variable(Variable::parse(name))
    }
}

/// What a text begins with whose first character is `$` or `\`, and how long that is.
fn begin(text: &str) -> (Option<Segment>, usize) {
    if let Some(escaped) = text.strip_prefix("\\$") {
        return match name(escaped).len() {
            // The dollar sign is looked at again.
            0 => (None, 1),
            length => (text.get(..2 + length).and_then(Segment::text), 2 + length),
        };
    }
    let Some(behind) = text.strip_prefix('$') else {
        return (None, 1);
    };
    if let Some(inside) = behind.strip_prefix('{') {
        let name = name(inside);
        if !name.is_empty()
            && inside
                .get(name.len()..)
                .is_some_and(|tail| tail.starts_with('}'))
        {
            return (Some(Segment::variable(name)), name.len() + 3);
        }
    }
    match name(behind) {
        "" => (Segment::text("$"), 1),
        name => (Some(Segment::variable(name)), 1 + name.len()),
    }
}

/// The name that a text begins with; may be empty.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    text.split_at(end.unwrap_or(text.len())).0
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::testing::Request;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_target(text in "[$\\\\{}a_é-]{0,12}") {
            let mut request = Request::get("/");
            let mut out = Vec::new();
            Target::parse(&text).render(&Exchange::new(&mut request), &mut out);
            // No variable here has a value, so nothing is there that was not.
            prop_assert!(out.len() <= text.len());
            if !text.contains(['$', '\\']) {
                prop_assert_eq!(out, text.into_bytes());
            }
        }
    }
}
