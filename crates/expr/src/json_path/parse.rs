//! The grammar: that of the `jsonpath` 1.0 that the reference uses, and its words for what is wrong.

use super::{JsonPath, JsonPathError, Operand, Operator, Part, Select, Slice, Step};
use crate::limits::JSON_PATH_LEVELS;

impl JsonPath {
    /// Reads an expression.
    ///
    /// # Errors
    /// It is none, or only its beginning is one.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let reader = Reader(text);
        let (end, steps) = reader
            .path(reader.spaces(0))
            .ok_or_else(|| JsonPathError(format!("invalid expression \"{text}\"")))?;
        let end = reader.spaces(end);
        if end < text.len() {
            // Every step ends behind an ASCII character.
            let rest = text.get(end..).unwrap_or_default();
            return Err(JsonPathError(format!(
                "invalid expression \"{text}\" near \"{rest}\""
            )));
        }
        Ok(Self {
            steps: steps.into_boxed_slice(),
        })
    }
}

/// Each method takes the place where something should begin and gives the place behind it with what stood there, or `None` where it
/// does not stand there. Alternatives are tried in order, and the first that fits is final.
struct Reader<'a>(&'a str);

type Found<T> = Option<(usize, T)>;

impl Reader<'_> {
    fn path(&self, at: usize) -> Found<Vec<Step>> {
        let (mut end, first) = self.first_child(at)?;
        let mut steps: Vec<Step> = first.into_iter().collect();
        while let Some((next, step)) = self.child(end) {
            end = next;
            steps.push(step);
        }
        Some((end, steps))
    }

    fn first_child(&self, at: usize) -> Found<Option<Step>> {
        let Some(root) = self.literal(at, "$") else {
            let (end, select) = self.subscript(at).or_else(|| self.child_name(at))?;
            return Some((end, Some(Step::direct(select))));
        };
        let named = self
            .named_child(root)
            .or_else(|| self.subscript(root).map(direct));
        Some(named.map_or((root, None), |(end, step)| (end, Some(step))))
    }

    fn child(&self, at: usize) -> Found<Step> {
        self.named_child(at)
            .or_else(|| {
                let (end, select) = self.subscript(self.literal(at, "..")?)?;
                let is_deep = true;
                Some((end, Step { is_deep, select }))
            })
            .or_else(|| self.subscript(at).map(direct))
    }

    fn named_child(&self, at: usize) -> Found<Step> {
        let deep = self.literal(at, "..");
        let is_deep = deep.is_some();
        let (end, select) = self.child_name(deep.or_else(|| self.literal(at, "."))?)?;
        Some((end, Step { is_deep, select }))
    }

    fn child_name(&self, at: usize) -> Found<Select> {
        let name = |(end, name): (usize, &str)| (self.spaces(end), Select::Name(name.into()));
        self.index(at)
            .map(|(end, index)| (end, Select::Parts([Part::Index(index)].into())))
            .or_else(|| self.name(at).map(name))
            .or_else(|| Some((self.literal(at, "*")?, Select::All)))
    }

    fn subscript(&self, at: usize) -> Found<Select> {
        let at = self.literal(at, "[")?;
        let all = || Some((self.literal(at, "*")?, Select::All));
        let (end, select) = all()
            .or_else(|| self.union(at))
            .or_else(|| self.filter(at))?;
        Some((self.literal(end, "]")?, select))
    }

    fn union(&self, at: usize) -> Found<Select> {
        let Some((mut end, first)) = self.union_part(at) else {
            let script = self.spaces(self.literal(at, "(")?);
            let (end, script) = self.expression(script, 0)?;
            let parts = [Part::Script(script)].into();
            return Some((self.literal(end, ")")?, Select::Parts(parts)));
        };
        let mut parts = vec![first];
        while let Some((next, part)) = self
            .literal(end, ",")
            .and_then(|at| self.union_part(self.spaces(at)))
        {
            end = next;
            parts.push(part);
        }
        Some((end, Select::Parts(parts.into_boxed_slice())))
    }

    fn union_part(&self, at: usize) -> Found<Part> {
        self.slice(at)
            .map(|(end, slice)| (end, Part::Slice(slice)))
            .or_else(|| {
                self.text(at)
                    .map(|(end, name)| (end, Part::Name(name.into())))
            })
            .or_else(|| self.index(at).map(|(end, index)| (end, Part::Index(index))))
    }

    fn slice(&self, at: usize) -> Found<Slice> {
        let optional = |at: usize| match self.index(at) {
            Some((end, index)) => (end, Some(index)),
            None => (at, None),
        };
        let (end, from) = optional(at);
        let colon = self.spaces(self.literal(end, ":")?);
        let (end, to) = optional(colon);
        let step = self
            .literal(end, ":")
            .and_then(|at| self.index(self.spaces(at)));
        let (end, step) = step.unwrap_or((end, 1));
        Some((end, Slice { from, to, step }))
    }

    fn filter(&self, at: usize) -> Found<Select> {
        let at = self.spaces(self.literal(at, "?(")?);
        let (end, test) = self.expression(at, 0)?;
        Some((self.literal(end, ")")?, Select::Filter(test)))
    }

    /// Operands with operators between.
    fn expression(&self, at: usize, level: usize) -> Found<Operand> {
        use Operator::{
            Add, And, Divide, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Multiply, Or,
            Remainder, Subtract, Unequal,
        };
        const OPERATORS: &[(&str, Operator)] = &[
            ("*", Multiply),
            ("/", Divide),
            ("%", Remainder),
            ("+", Add),
            ("-", Subtract),
            ("<=", LessOrEqual),
            (">=", GreaterOrEqual),
            ("<>", Unequal),
            ("<", Less),
            (">", Greater),
            ("==", Equal),
            ("=", Equal),
            ("!=", Unequal),
            ("and", And),
            ("&&", And),
            ("or", Or),
            ("||", Or),
        ];
        if level > JSON_PATH_LEVELS {
            return None;
        }
        let (mut end, first) = self.operand(at, level)?;
        let mut rest = Vec::new();
        while let Some((next, operator, operand)) = OPERATORS.iter().find_map(|(word, operator)| {
            let at = self.spaces(self.word(end, word)?);
            let (end, operand) = self.operand(at, level)?;
            Some((end, *operator, operand))
        }) {
            end = next;
            rest.push((operator, operand));
        }
        Some((end, join(first, rest)))
    }

    fn operand(&self, at: usize, level: usize) -> Found<Operand> {
        let word = |word: &str, value: bool| Some((self.word(at, word)?, Operand::Bool(value)));
        let (end, operand) = self
            .text(at)
            .map(|(end, text)| (end, Operand::Text(text.into())))
            .or_else(|| {
                self.number(at)
                    .map(|(end, number)| (end, Operand::Number(number)))
            })
            .or_else(|| word("true", true))
            .or_else(|| word("false", false))
            .or_else(|| Some((self.literal(at, "@.length")?, Operand::Length)))
            .or_else(|| self.variable(at))
            .or_else(|| {
                let at = self.spaces(self.literal(at, "(")?);
                let (end, inner) = self.expression(at, level + 1)?;
                Some((self.literal(end, ")")?, inner))
            })?;
        Some((self.spaces(end), operand))
    }

    fn variable(&self, at: usize) -> Found<Operand> {
        let at = self.literal(at, "@")?;
        if let Some(dot) = self.literal(at, ".") {
            let (mut end, first) = self.name(dot)?;
            let mut names: Vec<Box<str>> = vec![first.into()];
            while let Some((next, name)) = self.literal(end, ".").and_then(|at| self.name(at)) {
                end = next;
                names.push(name.into());
            }
            return Some((end, Operand::Variable(names.into_boxed_slice())));
        }
        let inner = self.spaces(self.literal(at, "[")?);
        let (end, name) = self.text(inner)?;
        let end = self.literal(end, "]")?;
        Some((end, Operand::Variable([name.into()].into())))
    }

    fn text(&self, at: usize) -> Found<String> {
        let quote = char::from(*self.0.as_bytes().get(at)?);
        if !matches!(quote, '"' | '\'') {
            return None;
        }
        let inside = self.0.get(at + 1..)?;
        let mut text = String::new();
        let mut chars = inside.char_indices();
        while let Some((place, char)) = chars.next() {
            match char {
                '\\' => {
                    let (_, escaped) = chars.next()?;
                    if escaped != quote {
                        text.push('\\');
                    }
                    text.push(escaped);
                }
                char if char == quote => return Some((self.spaces(at + place + 2), text)),
                char => text.push(char),
            }
        }
        None
    }

    fn number(&self, at: usize) -> Found<f64> {
        if let Some(digits) = self.literal(at, "0x").or_else(|| self.literal(at, "0X")) {
            let end = self.while_is(digits, u8::is_ascii_hexdigit);
            if end > digits {
                return Some((end, self.number_in(at, end)?));
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
        Some((end, self.number_in(at, end)?))
    }

    fn number_in(&self, start: usize, end: usize) -> Option<f64> {
        crate::lookup::parse_number(self.0.as_bytes().get(start..end)?)
    }

    fn index(&self, at: usize) -> Found<i64> {
        let digits = self.sign(at);
        let end = self.digits(digits);
        if end == digits {
            return None;
        }
        // One beyond all arrays stands for what is larger still.
        let index = self.0.get(at..end)?.parse().unwrap_or(i64::MAX);
        Some((self.spaces(end), index))
    }

    fn name(&self, at: usize) -> Found<&str> {
        let first = *self.0.as_bytes().get(at)?;
        if !(first.is_ascii_alphabetic() || first == b'_') {
            return None;
        }
        let end = self.while_is(at, |byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        Some((end, self.0.get(at..end)?))
    }

    fn sign(&self, at: usize) -> usize {
        at + usize::from(matches!(self.0.as_bytes().get(at), Some(b'+' | b'-')))
    }

    fn digits(&self, at: usize) -> usize {
        self.while_is(at, u8::is_ascii_digit)
    }

    fn spaces(&self, at: usize) -> usize {
        self.while_is(at, |byte| matches!(byte, b' ' | b'\t' | b'\n'))
    }

    fn while_is(&self, at: usize, is: fn(&u8) -> bool) -> usize {
        let rest = self.0.as_bytes().get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| is(byte)).count()
    }

    fn literal(&self, at: usize, text: &str) -> Option<usize> {
        let end = at + text.len();
        (self.0.as_bytes().get(at..end)? == text.as_bytes()).then_some(end)
    }

    /// As `literal`, in letters of either case.
    fn word(&self, at: usize, text: &str) -> Option<usize> {
        let end = at + text.len();
        self.0
            .as_bytes()
            .get(at..end)?
            .eq_ignore_ascii_case(text.as_bytes())
            .then_some(end)
    }
}

fn direct((end, select): (usize, Select)) -> (usize, Step) {
    (end, Step::direct(select))
}

/// Joins operands by how strongly their operators bind; of equal ones the first binds first.
fn join(first: Operand, rest: Vec<(Operator, Operand)>) -> Operand {
    let mut operands = vec![first];
    let mut waiting: Vec<Operator> = Vec::new();
    let close = |operands: &mut Vec<Operand>, operator: Operator| {
        if let (Some(right), Some(left)) = (operands.pop(), operands.pop()) {
            operands.push(Operand::Pair(Box::new((left, operator, right))));
        }
    };
    for (operator, operand) in rest {
        while let Some(last) = waiting.pop_if(|last| last.strength() >= operator.strength()) {
            close(&mut operands, last);
        }
        waiting.push(operator);
        operands.push(operand);
    }
    while let Some(last) = waiting.pop() {
        close(&mut operands, last);
    }
    operands.pop().unwrap_or(Operand::Bool(false))
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
            assert_eq!(JsonPath::parse(text).map(|_| ()), Ok(()), "{text}");
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
            assert_eq!(
                JsonPath::parse(text).map(|_| ()),
                Err(JsonPathError(expected))
            );
        }
        for text in ["-", ""] {
            let expected = format!("invalid expression \"{text}\"");
            assert_eq!(
                JsonPath::parse(text).map(|_| ()),
                Err(JsonPathError(expected))
            );
        }
    }

    #[test]
    fn bounds_the_nesting() {
        let nested = format!("$[?({}1{})]", "(".repeat(100_000), ")".repeat(100_000));
        assert!(JsonPath::parse(&nested).is_err());
    }
}
