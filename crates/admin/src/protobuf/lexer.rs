//! Words of the Protocol Buffers language.

/// A word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, with dots between its parts and perhaps before the first.
    Name(&'a str),
    /// A number, with its value where it is whole.
    Number(Option<u64>),
    /// A text in quotes, without them.
    Text(&'a str),
    Symbol(char),
    End,
}

/// Reads words.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    /// Where `rest` begins, counted from 1.
    line: usize,
    column: usize,
}

/// Where something is wrong, and what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            rest: source,
            line: 1,
            column: 1,
        }
    }

    /// An error where the lexer stands.
    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        Error {
            line: self.line,
            column: self.column,
            what: what.into(),
        }
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Error> {
        self.skip()?;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token::End);
        };
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '.';
        let begins_name = |char: char| char.is_ascii_alphabetic() || char == '_';
        let second = self.rest.chars().nth(1).unwrap_or(' ');
        if begins_name(first) || (first == '.' && begins_name(second)) {
            return Ok(Token::Name(self.take_while(is_name)));
        }
        if first.is_ascii_digit() || (first == '.' && second.is_ascii_digit()) {
            return self.number();
        }
        if first == '"' || first == '\'' {
            return self.text(first);
        }
        if "{}[]()<>=;,-+:/".contains(first) {
            self.take(first.len_utf8());
            return Ok(Token::Symbol(first));
        }
        Err(self.error(format!("unexpected character '{first}'")))
    }

    fn number(&mut self) -> Result<Token<'a>, Error> {
        let text = self.rest;
        let mut before = ' ';
        let is_hex = text.starts_with("0x") || text.starts_with("0X");
        self.take_while(|char| {
            let is_sign = (char == '-' || char == '+') && "eE".contains(before) && !is_hex;
            before = char;
            char.is_ascii_alphanumeric() || char == '.' || is_sign
        });
        let taken = text.get(..text.len() - self.rest.len()).unwrap_or_default();
        let hex = taken
            .strip_prefix("0x")
            .or_else(|| taken.strip_prefix("0X"));
        let whole = match hex {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => taken.parse(),
        }
        .ok();
        let is_fraction =
            || hex.is_none() && taken.trim_end_matches(['f', 'F']).parse::<f64>().is_ok();
        if whole.is_some() || is_fraction() {
            Ok(Token::Number(whole))
        } else {
            Err(self.error(format!("malformed number '{taken}'")))
        }
    }

    fn text(&mut self, quote: char) -> Result<Token<'a>, Error> {
        self.take(1);
        let mut chars = self.rest.char_indices();
        while let Some((place, char)) = chars.next() {
            match char {
                '\\' => {
                    chars.next();
                }
                '\n' => break,
                char if char == quote => {
                    let text = self.rest.get(..place).unwrap_or_default();
                    self.take(place + 1);
                    return Ok(Token::Text(text));
                }
                _ => {}
            }
        }
        Err(self.error("unfinished string"))
    }

    /// Skips spaces and comments.
    fn skip(&mut self) -> Result<(), Error> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("//") {
                self.take_while(|char| char != '\n');
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Err(self.error("unfinished comment"));
                };
                self.take(end + 2);
            } else {
                // A mark of UTF-8, which editors put before the first word.
                match self.rest.strip_prefix('\u{feff}') {
                    Some(rest) => self.rest = rest,
                    None => return Ok(()),
                }
            }
        }
    }

    fn take_while(&mut self, mut is_in: impl FnMut(char) -> bool) -> &'a str {
        let ends = self.rest.find(|char| !is_in(char));
        self.take(ends.unwrap_or(self.rest.len()))
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for char in taken.chars() {
            if char == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
        taken
    }
}
