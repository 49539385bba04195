//! Texts with variables in them.
//!
//! Two spellings exist. Plugins' texts follow the reference's `resolve_var` (`apisix/core/utils.lua`): `$name` with dots allowed, `${name}`,
//! `${name ?? default}`, and `\$` for a plain `$`. `access_log_format` follows nginx's log module: `$name` and `${name}`, nothing else.

use crate::{Lookup, Variable};

/// A text cut into its literal parts and its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text to copy.
    Literal(Box<str>),
    /// Value to fill in.
    Variable {
        /// Whose value.
        variable: Variable,
        /// What to write when the value is absent.
        default: Option<Box<str>>,
    },
}

/// A log format with a `$` that is not followed by a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid parameter \"{0}\" in log format")]
pub struct LogFormatError(pub String);

impl Template {
    /// Reads a text as plugins spell it. Never fails: what is no variable is literal.
    pub fn parse(text: &str) -> Self {
        let mut parts = Parts::default();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, dollar) = rest.split_at(at);
            let after = dollar.get(1..).unwrap_or_default();
            parts.literal(before);
            let escaped = before.ends_with('\\');
            let reference = if escaped {
                None
            } else {
                parse_reference(after)
            };
            if let Some((part, tail)) = reference {
                parts.push(part);
                rest = tail;
            } else {
                parts.literal("$");
                rest = after;
            }
        }
        parts.literal(rest);
        parts.finish()
    }

    /// Reads a text as nginx's `log_format` spells it (`ngx_http_log_compile_format`).
    pub fn parse_log_format(text: &str) -> Result<Self, LogFormatError> {
        let mut parts = Parts::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            parts.literal(before);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (braced, named) = match after.strip_prefix('{') {
                Some(named) => (true, named),
                None => (false, after),
            };
            let (name, tail) = named.split_at(named.find(|c| !is_name(c)).unwrap_or(named.len()));
            let tail = if braced {
                tail.strip_prefix('}')
            } else {
                Some(tail)
            };
            let (false, Some(tail)) = (name.is_empty(), tail) else {
                return Err(LogFormatError(format!("${after}")));
            };
            parts.push(Part::Variable {
                variable: Variable::parse(name),
                default: None,
            });
            rest = tail;
        }
        parts.literal(rest);
        Ok(parts.finish())
    }

    /// The parts in order. Two literals never follow each other and none is empty.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, if there is no variable in it.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text with its variables filled in, and returns how many had a value or a default. The others are left empty.
    pub fn render<L: Lookup + ?Sized>(&self, lookup: &L, out: &mut Vec<u8>) -> usize {
        let mut resolved = 0;
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable { variable, default } => match (lookup.value(variable), default) {
                    (Some(value), _) => {
                        value.write_text(out);
                        resolved += 1;
                    }
                    (None, Some(default)) => {
                        out.extend_from_slice(default.as_bytes());
                        resolved += 1;
                    }
                    (None, None) => {}
                },
            }
        }
        resolved
    }
}

/// Gathers parts, joining neighbouring literals.
#[derive(Default)]
struct Parts {
    done: Vec<Part>,
    literal: String,
}

impl Parts {
    fn literal(&mut self, text: &str) {
        self.literal.push_str(text);
    }

    fn push(&mut self, part: Part) {
        self.flush();
        self.done.push(part);
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.done.push(Part::Literal(
                std::mem::take(&mut self.literal).into_boxed_str(),
            ));
        }
    }

    fn finish(mut self) -> Template {
        self.flush();
        Template {
            parts: self.done.into_boxed_slice(),
        }
    }
}

/// What follows a `$`: `{…}` or a name; and the text behind it. The reference's pattern is `\{\s*([^}]+?)\s*\}|([\w\.]+)`.
fn parse_reference(after: &str) -> Option<(Part, &str)> {
    if let Some((inside, tail)) = after
        .strip_prefix('{')
        .and_then(|inside| inside.split_once('}'))
        && !inside.is_empty()
    {
        let inside = inside.trim_matches(is_pcre_space);
        let (name, default) = match inside.split_once("??") {
            Some((name, defaults)) => {
                // Only the first default counts.
                let default = defaults
                    .split("??")
                    .next()
                    .unwrap_or_default()
                    .trim_matches(is_pcre_space);
                (
                    name.trim_end_matches(is_pcre_space),
                    Some(default).filter(|default| !default.is_empty()),
                )
            }
            None => (inside, None),
        };
        let part = Part::Variable {
            variable: Variable::parse(name),
            default: default.map(Into::into),
        };
        return Some((part, tail));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let (name, tail) = after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()));
    (!name.is_empty()).then(|| {
        (
            Part::Variable {
                variable: Variable::parse(name),
                default: None,
            },
            tail,
        )
    })
}

/// PCRE's `\s`.
fn is_pcre_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    struct Request;

    impl Lookup for Request {
        fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
            match variable {
                Variable::Uri => Some(Cow::Borrowed(b"/get")),
                Variable::Host => Some(Cow::Borrowed(b"a.com")),
                Variable::Args => Some(Cow::Borrowed(b"")),
                Variable::PostPath(path) if path.text() == "a.b" => Some(Cow::Borrowed(b"body")),
                _ => None,
            }
        }
    }

    #[track_caller]
    fn check(template: &str, expected: &str, resolved: usize) {
        let mut out = Vec::new();
        assert_eq!(
            Template::parse(template).render(&Request, &mut out),
            resolved,
            "{template}"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{template}");
    }

    #[test]
    fn fills_in_variables() {
        check("plain", "plain", 0);
        check("", "", 0);
        check("$uri", "/get", 1);
        check("a$uri$host/b", "a/geta.com/b", 2);
        check("${uri}x${ host }", "/getxa.com", 2);
        check("$arg_a-", "-", 0);
        check("$args", "", 1);
        check("${args ?? x}", "", 1);
        check("$post_arg.a.b", "body", 1);
        check("$uri.", "", 0);
    }

    #[test]
    fn defaults_stand_in_for_absent_values() {
        check("${arg_a ?? none}", "none", 1);
        check("${arg_a??none}", "none", 1);
        check("${uri ?? none}", "/get", 1);
        check("${arg_a ?? a b }", "a b", 1);
        check("${arg_a ?? b ?? c}", "b", 1);
        check("${arg_a ?? }", "", 0);
    }

    #[test]
    fn what_is_no_variable_stays() {
        check("\\$uri", "\\$uri", 0);
        check("\\\\$uri", "\\\\$uri", 0);
        check("$", "$", 0);
        check("$$uri", "$/get", 1);
        check("$-", "$-", 0);
        check("${}", "${}", 0);
        check("${uri", "${uri", 0);
        check("${ }", "", 0);
    }

    #[test]
    fn log_formats_follow_nginx() {
        let template = Template::parse_log_format("\"$uri.x\" ${host}b $http_x").unwrap();
        let mut out = Vec::new();
        template.render(&Request, &mut out);
        assert_eq!(out, b"\"/get.x\" a.comb ");
        assert_eq!(template.parts().len(), 6);
        for broken in ["$", "a $ b", "${uri", "${}", "${a b}"] {
            assert!(Template::parse_log_format(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn texts_without_variables_are_known() {
        assert_eq!(Template::parse("a$ b").as_literal(), Some("a$ b"));
        assert_eq!(Template::parse("").as_literal(), Some(""));
        assert_eq!(Template::parse("$uri").as_literal(), None);
    }

    proptest! {
        #[test]
        fn text_without_dollar_is_copied(text in "[^$]*") {
            let template = Template::parse(&text);
            prop_assert_eq!(template.as_literal(), Some(&*text));
        }

        #[test]
        fn any_text_parses(text in "[$\\\\{}? a.é]{0,20}") {
            let mut out = Vec::new();
            Template::parse(&text).render(&Request, &mut out);
            let _ = Template::parse_log_format(&text);
        }
    }
}
