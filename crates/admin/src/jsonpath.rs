//! Whether a text is a `JSONPath` expression, by the grammar of the `jsonpath` 1.0 that the reference uses, and in its words.
//!
//! Only the Admin API asks; requests are matched against the path by `lockgate-expr`.

use crate::limits::JSONPATH_LEVELS;

/// Checks an expression.
///
/// # Errors
/// It is none, or only its beginning is one.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let reader = Reader(text.as_bytes());
    let end = reader.path(reader.spaces(0));
    match end.map(|end| reader.spaces(end)) {
        None => Err(format!("invalid expression \"{text}\"")),
        Some(end) if end < text.len() => {
            let rest = String::from_utf8_lossy(text.as_bytes().get(end..).unwrap_or_default());
            Err(format!("invalid expression \"{text}\" near \"{rest}\""))
        }
        Some(_) => Ok(()),
    }
}

/// Each method takes the place where something should begin and gives the place behind it, or `None` where it does not stand there.
/// Alternatives are tried in order, and the first that fits is final.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn path(&self, at: usize) -> Option<usize> {
        let mut end = self.first_child(at)?;
        while let Some(next) = self.child(end) {
            end = next;
        }
        Some(end)
    }

    fn first_child(&self, at: usize) -> Option<usize> {
        let Some(root) = self.literal(at, "$") else {
            return self.subscript(at).or_else(|| self.child_name(at));
        };
        let named = self
            .dots(root)
            .and_then(|at| self.child_name(at))
            .or_else(|| self.subscript(root));
        Some(named.unwrap_or(root))
    }

    fn child(&self, at: usize) -> Option<usize> {
        self.dots(at)
            .and_then(|at| self.child_name(at))
            .or_else(|| self.literal(at, "..").and_then(|at| self.subscript(at)))
            .or_else(|| self.subscript(at))
    }

    fn dots(&self, at: usize) -> Option<usize> {
        self.literal(at, "..").or_else(|| self.literal(at, "."))
    }

    fn child_name(&self, at: usize) -> Option<usize> {
        self.index(at)
            .or_else(|| self.name(at).map(|end| self.spaces(end)))
            .or_else(|| self.literal(at, "*"))
    }

    fn subscript(&self, at: usize) -> Option<usize> {
        let at = self.literal(at, "[")?;
        let end = self
            .literal(at, "*")
            .or_else(|| self.union(at))
            .or_else(|| self.slice(at))
            .or_else(|| self.filter(at))?;
        self.literal(end, "]")
    }

    fn union(&self, at: usize) -> Option<usize> {
        let Some(mut end) = self.union_part(at) else {
            let script = self.spaces(self.literal(at, "(")?);
            return self.literal(self.expression(script, 0)?, ")");
        };
        while let Some(next) = self
            .literal(end, ",")
            .and_then(|at| self.union_part(self.spaces(at)))
        {
            end = next;
        }
        Some(end)
    }

    fn union_part(&self, at: usize) -> Option<usize> {
        self.slice(at)
            .or_else(|| self.text(at))
            .or_else(|| self.index(at))
    }

    fn slice(&self, at: usize) -> Option<usize> {
        let from = self.index(at).unwrap_or(at);
        let colon = self.spaces(self.literal(from, ":")?);
        let to = self.index(colon).unwrap_or(colon);
        let step = self
            .literal(to, ":")
            .and_then(|at| self.index(self.spaces(at)));
        Some(step.unwrap_or(to))
    }

    fn filter(&self, at: usize) -> Option<usize> {
        let at = self.spaces(self.literal(at, "?(")?);
        self.literal(self.expression(at, 0)?, ")")
    }

    /// Operands with operators between. Which binds stronger does not matter here.
    fn expression(&self, at: usize, level: usize) -> Option<usize> {
        const OPERATORS: &[&str] = &[
            "*", "/", "%", "+", "-", "<=", ">=", "<", ">", "==", "=", "!=", "<>", "and", "&&",
            "or", "||",
        ];
        if level > JSONPATH_LEVELS {
            return None;
        }
        let mut end = self.operand(at, level)?;
        while let Some(next) = OPERATORS.iter().find_map(|operator| {
            let at = self.spaces(self.word(end, operator)?);
            self.operand(at, level)
        }) {
            end = next;
        }
        Some(end)
    }

    fn operand(&self, at: usize, level: usize) -> Option<usize> {
        let end = self
            .text(at)
            .or_else(|| self.number(at))
            .or_else(|| self.word(at, "true"))
            .or_else(|| self.word(at, "false"))
            .or_else(|| self.literal(at, "@.length"))
            .or_else(|| self.variable(at))
            .or_else(|| {
                let at = self.spaces(self.literal(at, "(")?);
                self.literal(self.expression(at, level + 1)?, ")")
            })?;
        Some(self.spaces(end))
    }

    fn variable(&self, at: usize) -> Option<usize> {
        let at = self.literal(at, "@")?;
        if let Some(dot) = self.literal(at, ".") {
            let mut end = self.name(dot)?;
            while let Some(next) = self.literal(end, ".").and_then(|at| self.name(at)) {
                end = next;
            }
            return Some(end);
        }
        let inner = self.spaces(self.literal(at, "[")?);
        self.literal(self.text(inner)?, "]")
    }

    fn text(&self, at: usize) -> Option<usize> {
        let quote = *self.0.get(at)?;
        if !matches!(quote, b'"' | b'\'') {
            return None;
        }
        let mut end = at + 1;
        loop {
            match *self.0.get(end)? {
                b'\\' => end += 2,
                byte if byte == quote => return Some(self.spaces(end + 1)),
                _ => end += 1,
            }
        }
    }

    fn number(&self, at: usize) -> Option<usize> {
        if let Some(digits) = self.literal(at, "0x").or_else(|| self.literal(at, "0X")) {
            let end = self.while_is(digits, u8::is_ascii_hexdigit);
            if end > digits {
                return Some(end);
            }
        }
        let whole = self.sign(at);
        let mut end = self.digits(whole);
        if let Some(dot) = self.literal(end, ".") {
            let fraction = self.digits(dot);
            if end > whole || fraction > dot {
                end = fraction;
            }
        }
        if end == whole {
            return None;
        }
        if let Some(exponent) = self.literal(end, "e").or_else(|| self.literal(end, "E")) {
            let exponent = self.sign(exponent);
            let digits = self.digits(exponent);
            if digits > exponent {
                end = digits;
            }
        }
        Some(end)
    }

    fn index(&self, at: usize) -> Option<usize> {
        let digits = self.sign(at);
        let end = self.digits(digits);
        (end > digits).then(|| self.spaces(end))
    }

    fn name(&self, at: usize) -> Option<usize> {
        let first = *self.0.get(at)?;
        (first.is_ascii_alphabetic() || first == b'_')
            .then(|| self.while_is(at, |byte| byte.is_ascii_alphanumeric() || *byte == b'_'))
    }

    fn sign(&self, at: usize) -> usize {
        at + usize::from(matches!(self.0.get(at), Some(b'+' | b'-')))
    }

    fn digits(&self, at: usize) -> usize {
        self.while_is(at, u8::is_ascii_digit)
    }

    fn spaces(&self, at: usize) -> usize {
        self.while_is(at, |byte| matches!(byte, b' ' | b'\t' | b'\n'))
    }

    fn while_is(&self, at: usize, is: fn(&u8) -> bool) -> usize {
        let rest = self.0.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| is(byte)).count()
    }

    fn literal(&self, at: usize, text: &str) -> Option<usize> {
        let end = at + text.len();
        (self.0.get(at..end)? == text.as_bytes()).then_some(end)
    }

    /// As `literal`, in letters of either case.
    fn word(&self, at: usize, text: &str) -> Option<usize> {
        let end = at + text.len();
        self.0
            .get(at..end)?
            .eq_ignore_ascii_case(text.as_bytes())
            .then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from `jsonpath` 1.0 on `LPeg` 1.0.2.
    #[test]
    fn knows_expressions() {
        for text in [
            "$.model",
            "$.model.name",
            "$.messages[*].content[*].type",
            "$..author",
            "$.store..price",
            "$..book[2]",
            "$..book[-1:]",
            "$..book[0,1]",
            "$..book[:2]",
            "$[0:3:2]",
            "$.a['b','c']",
            "$.a[\"b\"]",
            "$.a[?(@.price<10)]",
            "$.a[?(@.price < 10 && @.name == 'x' OR @.b)]",
            "$.a[(@.length-1)]",
            "$.a[?((@.b <> 1.5e3))]",
            "$.a[?(@['b'] = true)]",
            "$.*",
            "$.1",
            " $.a ",
            "$",
            "a.b",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn names_what_is_none() {
        for (text, near) in [
            ("$.messages[.content[*].type", "[.content[*].type"),
            ("$.", "."),
            ("$.a-b", "-b"),
            ("$.a[", "["),
            ("$.a[1", "[1"),
            ("$.a['b]", "['b]"),
            ("$.a[?(@.b < )]", "[?(@.b < )]"),
            ("$.a[?(@.lengthy)]", "[?(@.lengthy)]"),
            ("$.a b", "b"),
            ("$.ä", ".ä"),
        ] {
            let expected = format!("invalid expression \"{text}\" near \"{near}\"");
            assert_eq!(check(text), Err(expected));
        }
        assert_eq!(check("-"), Err("invalid expression \"-\"".to_owned()));
        assert_eq!(check(""), Err("invalid expression \"\"".to_owned()));
    }

    #[test]
    fn bounds_the_nesting() {
        let nested = format!("$[?({}1{})]", "(".repeat(100_000), ")".repeat(100_000));
        assert!(check(&nested).is_err());
    }
}
