//! Whether a text is a GraphQL document that can be executed, and how many definitions it has (`graphql/parse.lua`, which the reference
//! uses; its grammar is that of the specification of October 2016, without types).

use crate::limits::GRAPHQL_LEVELS;

/// How many operations and fragments a document has.
///
/// # Errors
/// It is none.
pub(crate) fn definitions(text: &str) -> Result<usize, String> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        levels: 0,
    };
    reader
        .document()
        .ok_or_else(|| format!("Syntax error near line {}", reader.line))
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    levels: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Option<usize> {
        let mut definitions = 0;
        while !self.at_end() {
            self.definition()?;
            definitions += 1;
        }
        (definitions > 0).then_some(definitions)
    }

    fn definition(&mut self) -> Option<()> {
        if self.looks_at("{") {
            return self.selections();
        }
        match self.name()? {
            "query" | "mutation" | "subscription" => {
                if !self.looks_at("{") && !self.looks_at("(") && !self.looks_at("@") {
                    self.name()?;
                }
                if self.take("(") {
                    self.list(")", Self::variable_definition)?;
                }
            }
            "fragment" => {
                self.name()?;
                (self.name()? == "on").then_some(())?;
                self.name()?;
            }
            _ => return None,
        }
        self.directives()?;
        self.selections()
    }

    fn selections(&mut self) -> Option<()> {
        self.take("{").then_some(())?;
        self.levels += 1;
        if self.levels > GRAPHQL_LEVELS {
            return None;
        }
        self.list("}", Self::selection)?;
        self.levels -= 1;
        Some(())
    }

    fn selection(&mut self) -> Option<()> {
        if self.take("...") {
            if self.looks_at("{") || self.looks_at("@") {
                self.directives()?;
                return self.selections();
            }
            if self.name()? == "on" {
                self.name()?;
                self.directives()?;
                return self.selections();
            }
            return self.directives();
        }
        self.name()?;
        if self.take(":") {
            self.name()?;
        }
        self.arguments()?;
        self.directives()?;
        if self.looks_at("{") {
            return self.selections();
        }
        Some(())
    }

    fn arguments(&mut self) -> Option<()> {
        if !self.take("(") {
            return Some(());
        }
        self.list(")", Self::argument)
    }

    fn argument(&mut self) -> Option<()> {
        self.name()?;
        self.take(":").then_some(())?;
        self.value()
    }

    fn directives(&mut self) -> Option<()> {
        while self.take("@") {
            self.name()?;
            self.arguments()?;
        }
        Some(())
    }

    fn variable_definition(&mut self) -> Option<()> {
        self.take("$").then_some(())?;
        self.name()?;
        self.take(":").then_some(())?;
        self.kind()?;
        if self.take("=") {
            self.value()
        } else {
            Some(())
        }
    }

    fn kind(&mut self) -> Option<()> {
        let mut lists = 0;
        while self.take("[") {
            lists += 1;
        }
        self.name()?;
        self.take("!");
        for _ in 0..lists {
            self.take("]").then_some(())?;
            self.take("!");
        }
        Some(())
    }

    fn value(&mut self) -> Option<()> {
        self.levels += 1;
        if self.levels > GRAPHQL_LEVELS {
            return None;
        }
        if self.take("$") {
            self.name()?;
        } else if self.take("[") {
            if !self.take("]") {
                self.list("]", Self::value)?;
            }
        } else if self.take("{") {
            if !self.take("}") {
                self.list("}", Self::argument)?;
            }
        } else if self.take("\"") {
            self.string()?;
        } else if self
            .rest
            .starts_with(|first: char| first.is_ascii_digit() || first == '-')
        {
            self.number()?;
        } else {
            self.name()?;
        }
        self.levels -= 1;
        Some(())
    }

    /// What is behind the opening quote.
    fn string(&mut self) -> Option<()> {
        let mut chars = self.rest.char_indices();
        while let Some((place, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = self.rest.get(place + 1..)?;
                    return Some(());
                }
                '\\' => {
                    chars.next()?;
                }
                '\n' => return None,
                _ => {}
            }
        }
        None
    }

    fn number(&mut self) -> Option<()> {
        let ends = self
            .rest
            .find(|char: char| !(char.is_ascii_alphanumeric() || "+-.".contains(char)))
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at_checked(ends)?;
        number.parse::<f64>().ok()?;
        self.rest = rest;
        Some(())
    }

    fn name(&mut self) -> Option<&'a str> {
        self.skip();
        let ends = self
            .rest
            .find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(ends)?;
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        Some(name)
    }

    /// Items until `end`, one at least.
    fn list(&mut self, end: &str, item: fn(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            item(self)?;
            if self.take(end) {
                return Some(());
            }
        }
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn looks_at(&mut self, token: &str) -> bool {
        self.skip();
        self.rest.starts_with(token)
    }

    fn at_end(&mut self) -> bool {
        self.skip();
        self.rest.is_empty()
    }

    /// Skips what means nothing: spaces, commas, comments.
    fn skip(&mut self) {
        loop {
            let Some(first) = self.rest.chars().next() else {
                return;
            };
            let ends = match first {
                '\n' => {
                    self.line += 1;
                    1
                }
                ' ' | '\t' | '\r' | ',' => 1,
                '\u{feff}' => first.len_utf8(),
                '#' => self.rest.find('\n').unwrap_or(self.rest.len()),
                _ => return,
            };
            self.rest = self.rest.get(ends..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_definitions() {
        for (text, expected) in [
            ("{ a }", Ok(1)),
            ("query { a { b, c } }", Ok(1)),
            (
                "query($name: String!) { persons(filter: {name: $name}) { name } }",
                Ok(1),
            ),
            (
                "query Q($l: [Int!]! = [1, -2.5e3]) @d(a: true) { x: a @skip(if: $l) }",
                Ok(1),
            ),
            (
                "mutation M { a(t: \"x\\\"y\", e: RED, n: null, o: {}) }",
                Ok(1),
            ),
            (
                "query A { a } # two\nquery B { ...F ... on T { b } ... @include(if: true) { c } }\nfragment F on T { a }",
                Ok(3),
            ),
            ("a", Err(1)),
            ("", Err(1)),
            ("{ }", Err(1)),
            ("{ a", Err(1)),
            ("query {\n  a(\n}", Err(3)),
            ("query Q($a) { b }", Err(1)),
            ("type T { a: Int }", Err(1)),
            ("{ a(b: \"c) }", Err(1)),
        ] {
            let expected = expected.map_err(|line: usize| format!("Syntax error near line {line}"));
            assert_eq!(definitions(text), expected, "{text}");
        }
        let deep = "{a".repeat(10_000);
        assert!(definitions(&deep).is_err());
    }
}
