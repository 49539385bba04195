//! The grammar of the Protocol Buffers language.

use std::collections::BTreeSet;

use crate::limits::PROTOBUF_LEVELS;

use super::lexer::{Error, Lexer, Token};

type Parsed<T = ()> = Result<T, Error>;

/// Types that need no definition.
const SCALARS: &[&str] = &[
    "bool", "bytes", "double", "fixed32", "fixed64", "float", "int32", "int64", "sfixed32",
    "sfixed64", "sint32", "sint64", "string", "uint32", "uint64",
];

/// Checks a text.
///
/// # Errors
/// Where it breaks the grammar, or the first type that is used and not defined.
pub(super) fn check(source: &str) -> Result<(), String> {
    let words = |error: Error| format!("{}:{}: {}", error.line, error.column, error.what);
    let mut parser = Parser::new(source).map_err(words)?;
    parser.file().map_err(words)?;
    parser.resolve()
}

/// What fields a message has: each name and number is there once.
#[derive(Default)]
struct Members<'a> {
    names: BTreeSet<&'a str>,
    numbers: BTreeSet<u64>,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    levels: usize,
    /// The last parts of the names of types.
    defined: BTreeSet<&'a str>,
    used: Vec<&'a str>,
    imports: bool,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Parsed<Self> {
        let mut lexer = Lexer::new(source);
        let token = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            levels: 0,
            defined: BTreeSet::new(),
            used: Vec::new(),
            imports: false,
        })
    }

    /// Types may be defined behind their use, and in other files.
    fn resolve(&self) -> Result<(), String> {
        let unknown = self.used.iter().find(|name| {
            let last = name.rsplit('.').next().unwrap_or(name);
            !SCALARS.contains(name) && !self.defined.contains(last)
        });
        match unknown {
            Some(name) if !self.imports => Err(format!("unknown type '{name}'")),
            _ => Ok(()),
        }
    }

    fn file(&mut self) -> Parsed {
        while self.token != Token::End {
            if self.takes(';')? {
                continue;
            }
            match self.name()? {
                "syntax" | "edition" => {
                    self.expect('=')?;
                    self.text()?;
                    self.expect(';')?;
                }
                "package" => {
                    self.name()?;
                    self.expect(';')?;
                }
                "import" => {
                    self.imports = true;
                    if matches!(self.token, Token::Name("public" | "weak" | "option")) {
                        self.advance()?;
                    }
                    self.text()?;
                    self.expect(';')?;
                }
                "option" => self.option_statement()?,
                "message" => self.message()?,
                "enum" => self.enumeration()?,
                "service" => self.service()?,
                "extend" => self.extension()?,
                other => return Err(self.unexpected_name(other)),
            }
        }
        Ok(())
    }

    fn message(&mut self) -> Parsed {
        self.definition()?;
        self.message_body()
    }

    fn message_body(&mut self) -> Parsed {
        let mut members = Members::default();
        self.block(|parser| match parser.name()? {
            "message" => parser.message(),
            "enum" => parser.enumeration(),
            "extend" => parser.extension(),
            "option" => parser.option_statement(),
            "extensions" | "reserved" => parser.until_semicolon(),
            "oneof" => {
                parser.name()?;
                parser.block(|parser| match parser.name()? {
                    "option" => parser.option_statement(),
                    kind => parser.field(kind, &mut members),
                })
            }
            "map" if parser.token == Token::Symbol('<') => parser.map_field(&mut members),
            "optional" | "required" | "repeated" => {
                let kind = parser.name()?;
                parser.field(kind, &mut members)
            }
            kind => parser.field(kind, &mut members),
        })
    }

    fn extension(&mut self) -> Parsed {
        // What is extended is in another file more often than not.
        self.name()?;
        self.block(|parser| {
            let kind = match parser.name()? {
                "optional" | "required" | "repeated" => parser.name()?,
                kind => kind,
            };
            // One block may extend with fields that another message has too.
            parser.field(kind, &mut Members::default())
        })
    }

    /// What follows the type of a field.
    fn field(&mut self, kind: &'a str, members: &mut Members<'a>) -> Parsed {
        let name = self.member(members)?;
        self.options()?;
        if kind == "group" {
            self.defined.insert(name);
            return self.message_body();
        }
        self.used.push(kind);
        self.expect(';')
    }

    /// Name and number of a field.
    fn member(&mut self, members: &mut Members<'a>) -> Parsed<&'a str> {
        let name = self.name()?;
        if !members.names.insert(name) {
            return Err(self.lexer.error(format!("field name '{name}' exists")));
        }
        self.expect('=')?;
        let number = self.token;
        self.number()?;
        match number {
            Token::Number(Some(0)) => Err(self.lexer.error("invalid tag number: 0")),
            Token::Number(Some(number)) if !members.numbers.insert(number) => {
                Err(self.lexer.error(format!("field number '{number}' exists")))
            }
            _ => Ok(name),
        }
    }

    fn map_field(&mut self, members: &mut Members<'a>) -> Parsed {
        self.expect('<')?;
        self.name()?;
        self.expect(',')?;
        let value = self.name()?;
        self.used.push(value);
        self.expect('>')?;
        self.member(members)?;
        self.options()?;
        self.expect(';')
    }

    fn enumeration(&mut self) -> Parsed {
        self.definition()?;
        self.block(|parser| match parser.name()? {
            "option" if parser.token != Token::Symbol('=') => parser.option_statement(),
            "reserved" if parser.token != Token::Symbol('=') => parser.until_semicolon(),
            _name => {
                parser.expect('=')?;
                parser.takes('-')?;
                parser.number()?;
                parser.options()?;
                parser.expect(';')
            }
        })
    }

    fn service(&mut self) -> Parsed {
        self.name()?;
        self.block(|parser| match parser.name()? {
            "option" => parser.option_statement(),
            "rpc" => parser.method(),
            other => Err(parser.unexpected_name(other)),
        })
    }

    fn method(&mut self) -> Parsed {
        self.name()?;
        self.message_type()?;
        if self.name()? != "returns" {
            return Err(self.lexer.error("'returns' expected"));
        }
        self.message_type()?;
        if self.takes(';')? {
            return Ok(());
        }
        self.block(|parser| match parser.name()? {
            "option" => parser.option_statement(),
            other => Err(parser.unexpected_name(other)),
        })?;
        self.takes(';').map(drop)
    }

    /// `(Type)` or `(stream Type)`.
    fn message_type(&mut self) -> Parsed {
        self.expect('(')?;
        let mut name = self.name()?;
        if name == "stream" && matches!(self.token, Token::Name(_)) {
            name = self.name()?;
        }
        self.used.push(name);
        self.expect(')')
    }

    fn option_statement(&mut self) -> Parsed {
        self.option()?;
        self.expect(';')
    }

    /// The options of a field, where there are any.
    fn options(&mut self) -> Parsed {
        if !self.takes('[')? {
            return Ok(());
        }
        loop {
            self.option()?;
            if !self.takes(',')? {
                return self.expect(']');
            }
        }
    }

    fn option(&mut self) -> Parsed {
        if self.takes('(')? {
            self.name()?;
            self.expect(')')?;
            if matches!(self.token, Token::Name(_)) {
                self.advance()?;
            }
        } else {
            self.name()?;
        }
        self.expect('=')?;
        self.constant()
    }

    fn constant(&mut self) -> Parsed {
        if self.token == Token::Symbol('{') {
            return self.aggregate();
        }
        if !self.takes('-')? {
            self.takes('+')?;
        }
        match self.token {
            Token::Text(_) => {
                while matches!(self.token, Token::Text(_)) {
                    self.advance()?;
                }
                Ok(())
            }
            Token::Name(_) | Token::Number(_) => self.advance(),
            _ => Err(self.expected("a constant")),
        }
    }

    /// A message written as text. What is in it depends on its type, so only that it ends is checked.
    fn aggregate(&mut self) -> Parsed {
        let mut open = 0_usize;
        loop {
            match self.token {
                Token::Symbol('{') => open += 1,
                Token::Symbol('}') => open -= 1,
                Token::End => return Err(self.expected("'}'")),
                _ => {}
            }
            self.advance()?;
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// Things in braces.
    fn block(&mut self, mut item: impl FnMut(&mut Self) -> Parsed) -> Parsed {
        self.levels += 1;
        if self.levels > PROTOBUF_LEVELS {
            return Err(self.lexer.error("too many levels"));
        }
        self.expect('{')?;
        while !self.takes('}')? {
            if !self.takes(';')? {
                item(self)?;
            }
        }
        self.levels -= 1;
        Ok(())
    }

    fn definition(&mut self) -> Parsed {
        let name = self.name()?;
        self.defined.insert(name);
        Ok(())
    }

    fn until_semicolon(&mut self) -> Parsed {
        while !self.takes(';')? {
            if matches!(self.token, Token::End | Token::Symbol('{' | '}')) {
                return Err(self.expected("';'"));
            }
            self.advance()?;
        }
        Ok(())
    }

    fn name(&mut self) -> Parsed<&'a str> {
        let Token::Name(name) = self.token else {
            return Err(self.expected("a name"));
        };
        self.advance()?;
        Ok(name)
    }

    fn text(&mut self) -> Parsed {
        match self.token {
            Token::Text(_) => self.advance(),
            _ => Err(self.expected("a string")),
        }
    }

    fn number(&mut self) -> Parsed {
        match self.token {
            Token::Number(_) => self.advance(),
            _ => Err(self.expected("a number")),
        }
    }

    fn expect(&mut self, symbol: char) -> Parsed {
        if self.takes(symbol)? {
            return Ok(());
        }
        Err(self.expected(&format!("'{symbol}'")))
    }

    fn takes(&mut self, symbol: char) -> Parsed<bool> {
        let is_it = self.token == Token::Symbol(symbol);
        if is_it {
            self.advance()?;
        }
        Ok(is_it)
    }

    fn advance(&mut self) -> Parsed {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn expected(&self, what: &str) -> Error {
        self.lexer.error(format!("{what} expected"))
    }

    fn unexpected_name(&self, name: &str) -> Error {
        self.lexer.error(format!("unexpected '{name}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_definitions() {
        for source in [
            "syntax = \"proto3\"; package a.b; message A { string b = 1; }",
            "// comment\n/* another */ message A { repeated A list = 1 [packed = true, (x).y = \"z\"]; }",
            "message A { oneof kind { B b = 1; int32 c = 2; } map<string, B> all = 3; message B {} }",
            "message A { optional string a = 1; reserved 2, 15, 9 to 11; reserved \"foo\"; extensions 100 to max; }",
            "enum E { option allow_alias = true; ZERO = 0; LESS = -1; HEX = 0x10 [deprecated = true]; }",
            "service S { rpc M (A) returns (stream A) { option (google.api.http) = { get: \"/a\" body: '*' }; } rpc N(.A) returns(A); } message A {}",
            "import \"google/protobuf/empty.proto\"; service S { rpc M (google.protobuf.Empty) returns (google.protobuf.Empty) {} }",
            "option go_package = \"a\" \"b\"; message A { required group G = 1 { optional int32 a = 2 [default = -1.5e3]; } }",
            "message A { message B { string a = 1; } string a = 1; }",
            "extend google.protobuf.FieldOptions { string a = 50000; }",
            "",
        ] {
            assert_eq!(check(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (source, expected) in [
            ("a", "1:2: unexpected 'a'"),
            ("message A {\n  string b = ;\n}", "2:15: a number expected"),
            ("message A { string b = 1 }", "1:27: ';' expected"),
            ("message A {", "1:12: a name expected"),
            ("message A { B b = 1; }", "unknown type 'B'"),
            ("service S { rpc M (A) returns (A) {} }", "unknown type 'A'"),
            ("syntax = \"proto3", "1:17: unfinished string"),
            ("message A { /* }", "1:13: unfinished comment"),
            (
                "message A { string b = 1x; }",
                "1:26: malformed number '1x'",
            ),
            (
                "message A { string a = 1; oneof b { int32 c = 0x1; } }",
                "1:51: field number '1' exists",
            ),
            (
                "message A { string a = 1; map<string, string> a = 2; }",
                "1:48: field name 'a' exists",
            ),
            ("message A { string a = 0; }", "1:25: invalid tag number: 0"),
            ("message § {}", "1:9: unexpected character '§'"),
        ] {
            let found = check(source).unwrap_err();
            // Columns are those behind the word that is wrong.
            assert!(
                found.ends_with(expected.rsplit(": ").next().unwrap()),
                "{source}: {found}"
            );
            let has_place = expected.contains(':');
            assert!(
                !has_place || found.starts_with(expected.split(':').next().unwrap()),
                "{source}: {found}"
            );
        }
        assert!(check(&"message A {".repeat(10_000)).is_err());
    }
}
