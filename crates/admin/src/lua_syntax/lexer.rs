//! Tokens (`lj_lex.c`).

use super::Error;

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A reserved word or a symbol of more than one character.
    Word(&'static str),
    /// A single character, of the language or not.
    Symbol(u8),
    Name,
    Text,
    Number,
    End,
}

/// The reserved words.
const RESERVED: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

impl Token {
    /// How messages call the token where its text does not matter.
    pub(super) fn words(self) -> String {
        match self {
            Self::Word(word) => word.to_owned(),
            Self::Symbol(byte) if byte.is_ascii_control() => format!("char({byte})"),
            Self::Symbol(byte) => String::from_utf8_lossy(&[byte]).into_owned(),
            Self::Name => "<name>".to_owned(),
            Self::Text => "<string>".to_owned(),
            Self::Number => "<number>".to_owned(),
            Self::End => "<eof>".to_owned(),
        }
    }
}

/// Cuts a chunk into tokens.
pub(super) struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    /// The line of the newest token, from 1.
    pub(super) line: usize,
    /// The text of the newest name, text or number, as far as it was read.
    pub(super) text: Vec<u8>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        let mut lexer = Self {
            source,
            at: 0,
            line: 1,
            text: Vec::new(),
        };
        if source.starts_with(b"\xef\xbb\xbf") {
            lexer.at = 3;
        }
        // The first line of a program for a shell.
        if lexer.peek(0) == Some(b'#') {
            lexer.skip_line();
            if lexer.peek(0).is_some() {
                lexer.newline();
            }
        }
        lexer
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token, Error> {
        self.text.clear();
        loop {
            let Some(byte) = self.peek(0) else {
                return Ok(Token::End);
            };
            match byte {
                b'\n' | b'\r' => self.newline(),
                b' ' | b'\t' | b'\x0b' | b'\x0c' => self.at += 1,
                b'-' if self.peek(1) == Some(b'-') => self.comment()?,
                _ => return self.visible(byte),
            }
        }
    }

    /// An error at the newest token, with its text where it has one.
    pub(super) fn error(&self, what: impl Into<String>, near: Option<Token>) -> Error {
        let near = near.map(|token| match token {
            Token::Name | Token::Text | Token::Number => self.text.clone(),
            other => other.words().into_bytes(),
        });
        Error {
            line: self.line,
            what: what.into(),
            near,
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.get(self.at + ahead).copied()
    }

    fn newline(&mut self) {
        let first = self.peek(0);
        self.at += 1;
        // Both characters of a pair end one line.
        let second = self.peek(0);
        if matches!(second, Some(b'\n' | b'\r')) && second != first {
            self.at += 1;
        }
        self.line += 1;
    }

    fn skip_line(&mut self) {
        while !matches!(self.peek(0), None | Some(b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn comment(&mut self) -> Result<(), Error> {
        self.at += 2;
        if self.peek(0) == Some(b'[')
            && let Some(level) = self.long_bracket()
        {
            self.long_text(level, "unfinished long comment")?;
            self.text.clear();
            return Ok(());
        }
        self.skip_line();
        Ok(())
    }

    fn visible(&mut self, byte: u8) -> Result<Token, Error> {
        match byte {
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            byte if is_name(byte) => Ok(self.name()),
            b'"' | b'\'' => self.quoted(byte),
            b'[' => match self.long_bracket() {
                Some(level) => {
                    self.long_text(level, "unfinished long string")?;
                    Ok(Token::Text)
                }
                None if self.peek(1) == Some(b'=') => {
                    self.text = self.source.get(self.at..).unwrap_or_default().to_vec();
                    let equals = self.text.iter().skip(1).take_while(|byte| **byte == b'=');
                    let length = 1 + equals.count();
                    self.text.truncate(length);
                    Err(self.error("invalid long string delimiter", Some(Token::Text)))
                }
                None => Ok(self.symbol(byte)),
            },
            _ => Ok(self.symbol(byte)),
        }
    }

    fn symbol(&mut self, byte: u8) -> Token {
        const LONG: &[&str] = &["...", "..", "==", "~=", "<=", ">=", "::"];
        let rest = self.source.get(self.at..).unwrap_or_default();
        if let Some(word) = LONG.iter().find(|word| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Token::Word(word);
        }
        self.at += 1;
        Token::Symbol(byte)
    }

    fn name(&mut self) -> Token {
        while let Some(byte) = self.peek(0).filter(|byte| is_name(*byte)) {
            self.text.push(byte);
            self.at += 1;
        }
        RESERVED
            .iter()
            .find(|word| word.as_bytes() == self.text)
            .map_or(Token::Name, |word| Token::Word(word))
    }

    fn number(&mut self) -> Result<Token, Error> {
        let is_hexadecimal =
            self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X'));
        let exponent = if is_hexadecimal { b'p' } else { b'e' };
        let mut before = 0;
        while let Some(byte) = self.peek(0) {
            let is_sign = matches!(byte, b'+' | b'-') && before == exponent;
            if !is_name(byte) && byte != b'.' && !is_sign {
                break;
            }
            before = byte.to_ascii_lowercase();
            self.text.push(byte);
            self.at += 1;
        }
        if is_number(&self.text) {
            Ok(Token::Number)
        } else {
            Err(self.error("malformed number", Some(Token::Number)))
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<Token, Error> {
        self.text.push(quote);
        self.at += 1;
        loop {
            match self.peek(0) {
                None => return Err(self.error("unfinished string", Some(Token::End))),
                Some(b'\n' | b'\r') => {
                    return Err(self.error("unfinished string", Some(Token::Text)));
                }
                Some(b'\\') => {
                    self.at += 1;
                    if !self.escape() {
                        return Err(self.error("invalid escape sequence", Some(Token::Text)));
                    }
                }
                Some(byte) => {
                    self.text.push(byte);
                    self.at += 1;
                    if byte == quote {
                        return Ok(Token::Text);
                    }
                }
            }
        }
    }

    /// Reads what stands behind a backslash. The end of the chunk is no wrong escape; the string is unfinished then.
    fn escape(&mut self) -> bool {
        let Some(byte) = self.peek(0) else {
            return true;
        };
        let meant = match byte {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\\' | b'"' | b'\'' => byte,
            b'\n' | b'\r' => {
                self.text.push(b'\n');
                self.newline();
                return true;
            }
            b'x' => return self.hexadecimal_escape(),
            b'u' => return self.unicode_escape(),
            b'z' => {
                self.at += 1;
                self.skip_spaces();
                return true;
            }
            b'0'..=b'9' => return self.decimal_escape(),
            _ => return false,
        };
        self.text.push(meant);
        self.at += 1;
        true
    }

    fn skip_spaces(&mut self) {
        loop {
            match self.peek(0) {
                Some(b'\n' | b'\r') => self.newline(),
                Some(b' ' | b'\t' | b'\x0b' | b'\x0c') => self.at += 1,
                _ => return,
            }
        }
    }

    fn digit(&self, ahead: usize, radix: u32) -> Option<u32> {
        char::from(self.peek(ahead)?).to_digit(radix)
    }

    fn hexadecimal_escape(&mut self) -> bool {
        let (Some(high), Some(low)) = (self.digit(1, 16), self.digit(2, 16)) else {
            return false;
        };
        self.text.push((high << 4 | low) as u8);
        self.at += 3;
        true
    }

    fn decimal_escape(&mut self) -> bool {
        let mut code = 0;
        let mut length = 0;
        while length < 3
            && let Some(digit) = self.digit(length, 10)
        {
            code = code * 10 + digit;
            length += 1;
        }
        let Ok(byte) = u8::try_from(code) else {
            return false;
        };
        self.text.push(byte);
        self.at += length;
        true
    }

    fn unicode_escape(&mut self) -> bool {
        if self.peek(1) != Some(b'{') {
            return false;
        }
        let mut code = 0;
        let mut length = 2;
        while let Some(digit) = self.digit(length, 16) {
            code = code << 4 | digit;
            length += 1;
            if code >= 0x11_0000 {
                return false;
            }
        }
        if length == 2 || self.peek(length) != Some(b'}') {
            return false;
        }
        let Some(character) = char::from_u32(code) else {
            return false;
        };
        let mut buffer = [0; 4];
        self.text
            .extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        self.at += length + 1;
        true
    }

    /// The level of the bracket that begins here, `[[` or `[=[` and so on; stays where it is.
    fn long_bracket(&self) -> Option<usize> {
        let rest = self.source.get(self.at + 1..)?;
        let level = rest.iter().take_while(|byte| **byte == b'=').count();
        (rest.get(level) == Some(&b'[')).then_some(level)
    }

    fn long_text(&mut self, level: usize, unfinished: &str) -> Result<(), Error> {
        let close: Vec<u8> = [&b"]"[..], &b"=".repeat(level), b"]"].concat();
        self.text.push(b'[');
        self.text.resize(level + 1, b'=');
        self.text.push(b'[');
        self.at += level + 2;
        if matches!(self.peek(0), Some(b'\n' | b'\r')) {
            self.newline();
        }
        loop {
            match self.peek(0) {
                None => return Err(self.error(unfinished, Some(Token::End))),
                Some(b'\n' | b'\r') => {
                    self.text.push(b'\n');
                    self.newline();
                }
                Some(byte) => {
                    let rest = self.source.get(self.at..).unwrap_or_default();
                    if rest.starts_with(&close) {
                        self.text.extend_from_slice(&close);
                        self.at += close.len();
                        return Ok(());
                    }
                    self.text.push(byte);
                    self.at += 1;
                }
            }
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether `LuaJIT` takes a text for a number: decimal, hexadecimal or binary, with the suffixes of its 64-bit and imaginary numbers.
fn is_number(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let (digits, exponent, is): (&[u8], _, fn(&u8) -> bool) = match text.as_slice() {
        [b'0', b'x', rest @ ..] => (rest, Some(b'p'), u8::is_ascii_hexdigit),
        [b'0', b'b', rest @ ..] => (rest, None, |byte| matches!(byte, b'0' | b'1')),
        rest => (rest, Some(b'e'), u8::is_ascii_digit),
    };
    let (digits, is_integer) = ["ull", "ll"]
        .iter()
        .find_map(|suffix| digits.strip_suffix(suffix.as_bytes()))
        .map_or((digits, false), |digits| (digits, true));
    let digits = if is_integer {
        digits
    } else {
        digits.strip_suffix(b"i").unwrap_or(digits)
    };
    if is_integer || exponent.is_none() {
        return !digits.is_empty() && digits.iter().all(is);
    }
    let place = digits.iter().position(|byte| Some(*byte) == exponent);
    let (mantissa, power) = match place {
        Some(place) => (digits.get(..place), digits.get(place + 1..)),
        None => (Some(digits), None),
    };
    let mantissa = mantissa.unwrap_or_default();
    let mut points = mantissa.split(|byte| *byte == b'.').skip(1);
    let has_digit = mantissa.iter().any(is);
    let is_mantissa = mantissa.iter().all(|byte| is(byte) || *byte == b'.');
    let is_power = power.is_none_or(|power| {
        let power = power
            .strip_prefix(b"+")
            .or_else(|| power.strip_prefix(b"-"))
            .unwrap_or(power);
        !power.is_empty() && power.iter().all(u8::is_ascii_digit)
    });
    is_mantissa && has_digit && points.nth(1).is_none() && is_power
}
