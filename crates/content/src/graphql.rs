//! GraphQL documents that can be executed: what their first operation is and asks for.
//!
//! The grammar is that of the specification of October 2016 without types, as `graphql/parse.lua` has it, which the reference uses.

use crate::limits::{GRAPHQL_LEVELS, GRAPHQL_ROOT_FIELDS};

/// What a document says. Names are those of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'a> {
    /// How many operations and fragments there are; one at least.
    pub definitions: usize,
    /// `query`, `mutation` or `subscription`; `None` where the first definition is a fragment.
    pub operation: Option<&'a str>,
    /// Name of the first definition; empty where it has none.
    pub name: &'a str,
    /// Names of the fields and fragments at the top of the first definition, in order. A fragment without a name has none.
    pub root_fields: Vec<&'a str>,
}

/// Reads a document.
///
/// # Errors
/// It is none, and near which line that shows, in the words of the reference.
pub fn parse(text: &str) -> Result<Document<'_>, String> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        levels: 0,
        first: None,
        root_fields: Vec::new(),
    };
    reader
        .document()
        .ok_or_else(|| format!("Syntax error near line {}", reader.line))
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    levels: usize,
    /// Operation and name of the first definition.
    first: Option<(Option<&'a str>, &'a str)>,
    /// Names at the top of the first definition.
    root_fields: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Option<Document<'a>> {
        let mut definitions = 0;
        let mut root_fields = Vec::new();
        while !self.at_end() {
            self.definition()?;
            definitions += 1;
            if definitions == 1 {
                root_fields = std::mem::take(&mut self.root_fields);
            }
        }
        let (operation, name) = self.first?;
        Some(Document {
            definitions,
            operation,
            name,
            root_fields,
        })
    }

    fn definition(&mut self) -> Option<()> {
        if self.looks_at("{") {
            self.first.get_or_insert((Some("query"), ""));
            return self.selections();
        }
        match self.name()? {
            operation @ ("query" | "mutation" | "subscription") => {
                let mut name = "";
                if !self.looks_at("{") && !self.looks_at("(") && !self.looks_at("@") {
                    name = self.name()?;
                }
                self.first.get_or_insert((Some(operation), name));
                if self.take("(") {
                    self.list(")", Self::variable_definition)?;
                }
            }
            "fragment" => {
                let name = self.name()?;
                self.first.get_or_insert((None, name));
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
            let fragment = self.name()?;
            if fragment == "on" {
                self.name()?;
                self.directives()?;
                return self.selections();
            }
            self.root_field(fragment);
            return self.directives();
        }
        let mut field = self.name()?;
        if self.take(":") {
            field = self.name()?;
        }
        self.root_field(field);
        self.arguments()?;
        self.directives()?;
        if self.looks_at("{") {
            return self.selections();
        }
        Some(())
    }

    /// Notes a name at the top of a definition.
    fn root_field(&mut self, name: &'a str) {
        if self.levels == 1 && self.root_fields.len() < GRAPHQL_ROOT_FIELDS {
            self.root_fields.push(name);
        }
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
            let found = parse(text).map(|document| document.definitions);
            assert_eq!(found, expected, "{text}");
        }
        let deep = "{a".repeat(10_000);
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn tells_the_first_operation() {
        let check = |text: &str, operation: Option<&str>, name: &str, root_fields: &[&str]| {
            let document = parse(text).expect("a document");
            assert_eq!(
                (document.operation, document.name, &*document.root_fields),
                (operation, name, root_fields),
                "{text}"
            );
        };
        check("{ a b { c } }", Some("query"), "", &["a", "b"]);
        check("query Q { x: a { b } c }", Some("query"), "Q", &["a", "c"]);
        check(
            "mutation M($a: [T!]! = [{b: 1}]) @d(e: {f: g}) { h }",
            Some("mutation"),
            "M",
            &["h"],
        );
        check(
            "subscription { ...F ... on T { a } ... @skip(if: true) { b } }",
            Some("subscription"),
            "",
            &["F"],
        );
        check("fragment F on T { a } query Q { b }", None, "F", &["a"]);
        check("query A { a } query B { b }", Some("query"), "A", &["a"]);
    }

    #[test]
    fn bounds_the_list_of_fields() {
        let wide = format!("{{{}}}", "a ".repeat(GRAPHQL_ROOT_FIELDS * 2));
        let document = parse(&wide).expect("a document");
        assert_eq!(document.root_fields.len(), GRAPHQL_ROOT_FIELDS);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[{}()@:$a!\\[\\]\"\\. 1-]{0,40}") {
            let _outcome = parse(&text);
        }
    }
}
