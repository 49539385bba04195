//! Reads JSON as the reference does: `lua-cjson`, whose grammar is wider than RFC 8259 and whose words clients see.
//!
//! Wider: control characters inside strings, numbers such as `01`, `+1`, `1.` and `0x1F`, and a NUL ends the text. Of equal keys the last
//! wins. Narrower than `lua-cjson`: strings must be UTF-8, `Infinity` and `NaN` are refused (they could not be written again), and nesting
//! ends at [`JSON_DEPTH`]. Integers keep all their digits where Lua has only doubles.

use serde_json::{Map, Number, Value};

use crate::limits::JSON_DEPTH;

/// Why a text is not JSON, in `lua-cjson`'s words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// A token stands where another belongs, or is none.
    #[error("Expected {expected} but found {found} at character {place}")]
    Unexpected {
        expected: &'static str,
        found: &'static str,
        place: usize,
    },
    /// Too deep.
    #[error("Found too many nested data structures ({depth}) at character {place}")]
    TooDeep { depth: usize, place: usize },
    /// Two-byte or four-byte characters.
    #[error("JSON parser does not support UTF-16 or UTF-32")]
    WideCharacters,
}

/// Reads one value.
///
/// # Errors
/// The text is not JSON.
pub(crate) fn decode(text: &[u8]) -> Result<Value, JsonError> {
    if let [first, second, ..] = text
        && (*first == 0 || *second == 0)
    {
        return Err(JsonError::WideCharacters);
    }
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let token = reader.token();
    let value = reader.value(token)?;
    let token = reader.token();
    match token.kind {
        Kind::End => Ok(value),
        _ => Err(token.unexpected("the end")),
    }
}

/// How deep arrays and objects are nested; 0 for anything else.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

struct Token {
    kind: Kind,
    /// Index of the first byte, or of what is wrong.
    at: usize,
}

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Colon,
    Comma,
    End,
    Text(String),
    Number(Number),
    Bool(bool),
    Null,
    /// What is wrong.
    Error(&'static str),
}

impl Token {
    fn unexpected(&self, expected: &'static str) -> JsonError {
        let found = match self.kind {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Bool(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Error(what) => what,
        };
        JsonError::Unexpected {
            expected,
            found,
            place: self.at + 1,
        }
    }
}

impl Reader<'_> {
    /// The byte `ahead` of the current one; NUL behind the end, which also is how a text may say that it ends.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn value(&mut self, token: Token) -> Result<Value, JsonError> {
        match token.kind {
            Kind::Text(text) => Ok(Value::String(text)),
            Kind::Number(number) => Ok(Value::Number(number)),
            Kind::Bool(value) => Ok(Value::Bool(value)),
            Kind::Null => Ok(Value::Null),
            Kind::ObjectBegin => self.descend(Self::object),
            Kind::ArrayBegin => self.descend(Self::array),
            _ => Err(token.unexpected("value")),
        }
    }

    fn descend(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Value, JsonError>,
    ) -> Result<Value, JsonError> {
        self.depth += 1;
        if self.depth > JSON_DEPTH {
            return Err(JsonError::TooDeep {
                depth: self.depth,
                place: self.at,
            });
        }
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        let mut map = Map::new();
        let mut token = self.token();
        if matches!(token.kind, Kind::ObjectEnd) {
            return Ok(Value::Object(map));
        }
        loop {
            let Kind::Text(key) = token.kind else {
                return Err(token.unexpected("object key string"));
            };
            token = self.token();
            if !matches!(token.kind, Kind::Colon) {
                return Err(token.unexpected("colon"));
            }
            token = self.token();
            let value = self.value(token)?;
            map.insert(key, value);
            token = self.token();
            match token.kind {
                Kind::ObjectEnd => return Ok(Value::Object(map)),
                Kind::Comma => token = self.token(),
                _ => return Err(token.unexpected("comma or object end")),
            }
        }
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        let mut token = self.token();
        if matches!(token.kind, Kind::ArrayEnd) {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(token)?);
            token = self.token();
            match token.kind {
                Kind::ArrayEnd => return Ok(Value::Array(items)),
                Kind::Comma => token = self.token(),
                _ => return Err(token.unexpected("comma or array end")),
            }
        }
    }

    fn token(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
        let at = self.at;
        let single = match self.peek(0) {
            b'{' => Some(Kind::ObjectBegin),
            b'}' => Some(Kind::ObjectEnd),
            b'[' => Some(Kind::ArrayBegin),
            b']' => Some(Kind::ArrayEnd),
            b':' => Some(Kind::Colon),
            b',' => Some(Kind::Comma),
            _ => None,
        };
        if let Some(kind) = single {
            self.at += 1;
            return Token { kind, at };
        }
        match self.peek(0) {
            0 => Token {
                kind: Kind::End,
                at,
            },
            b'"' => self.text_token(),
            b'-' | b'+' | b'0'..=b'9' => self.number_token(),
            _ => self.word_token(),
        }
    }

    fn word_token(&mut self) -> Token {
        let at = self.at;
        let rest = self.text.get(at..).unwrap_or_default();
        let (kind, length) = if rest.starts_with(b"true") {
            (Kind::Bool(true), 4)
        } else if rest.starts_with(b"false") {
            (Kind::Bool(false), 5)
        } else if rest.starts_with(b"null") {
            (Kind::Null, 4)
        } else if starts_not_finite(rest) {
            (Kind::Error("invalid number"), 0)
        } else {
            (Kind::Error("invalid token"), 0)
        };
        self.at += length;
        Token { kind, at }
    }

    fn number_token(&mut self) -> Token {
        let at = self.at;
        let rest = self.text.get(at..).unwrap_or_default();
        let (number, length) = number(rest);
        let kind = match number {
            Some(number) => Kind::Number(number),
            None => Kind::Error("invalid number"),
        };
        self.at += length;
        Token { kind, at }
    }

    fn text_token(&mut self) -> Token {
        let at = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.peek(0) {
                b'"' => break,
                0 => return self.error("unexpected end of string"),
                b'\\' => match self.escape() {
                    Ok(character) => {
                        let mut buffer = [0; 4];
                        bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                    }
                    Err(what) => return self.error(what),
                },
                byte => {
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let kind = match String::from_utf8(bytes) {
            Ok(text) => Kind::Text(text),
            Err(_) => Kind::Error("invalid UTF-8 in a string"),
        };
        Token { kind, at }
    }

    fn error(&self, what: &'static str) -> Token {
        Token {
            kind: Kind::Error(what),
            at: self.at,
        }
    }

    /// Reads an escape; stays on its backslash where it is broken.
    fn escape(&mut self) -> Result<char, &'static str> {
        let character = match self.peek(1) {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, length) =
                    self.unicode_escape().ok_or("invalid unicode escape code")?;
                self.at += length;
                return Ok(character);
            }
            _ => return Err("invalid escape code"),
        };
        self.at += 2;
        Ok(character)
    }

    /// The character of `\uXXXX`, or of two of them where they are a surrogate pair, and the length.
    fn unicode_escape(&self) -> Option<(char, usize)> {
        let high = self.four_digits(2)?;
        if !(0xD800..0xE000).contains(&high) {
            return Some((char::from_u32(high)?, 6));
        }
        if high >= 0xDC00 || self.peek(6) != b'\\' || self.peek(7) != b'u' {
            return None;
        }
        let low = self.four_digits(8)?;
        if !(0xDC00..0xE000).contains(&low) {
            return None;
        }
        let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        Some((char::from_u32(code)?, 12))
    }

    fn four_digits(&self, ahead: usize) -> Option<u32> {
        (0..4).try_fold(0, |code, place| {
            let digit = char::from(self.peek(ahead + place)).to_digit(16)?;
            Some(code << 4 | digit)
        })
    }
}

fn starts_not_finite(rest: &[u8]) -> bool {
    rest.get(..3)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan"))
}

/// The number at the beginning, as C's `strtod` takes it, and its length. `None` where there is none or it is not finite.
fn number(text: &[u8]) -> (Option<Number>, usize) {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let is_negative = text.first() == Some(&b'-');
    let rest = text.get(sign..).unwrap_or_default();
    let count = |from: usize, is: fn(&u8) -> bool| {
        rest.get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| is(byte))
            .count()
    };
    if let [b'0', b'x' | b'X', ..] = rest {
        let digits = count(2, u8::is_ascii_hexdigit);
        if digits > 0 {
            let value = rest.get(2..2 + digits).unwrap_or_default();
            return (hexadecimal(value, is_negative), sign + 2 + digits);
        }
    }
    let whole = count(0, u8::is_ascii_digit);
    let mut end = whole;
    let mut fraction = 0;
    if rest.get(end) == Some(&b'.') {
        fraction = count(end + 1, u8::is_ascii_digit);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return (None, 0);
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(end + 1), Some(b'-' | b'+')));
        let digits = count(end + 1 + sign, u8::is_ascii_digit);
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    let unsigned = rest.get(..end).unwrap_or_default();
    (decimal(unsigned, is_negative, end == whole), sign + end)
}

fn hexadecimal(digits: &[u8], is_negative: bool) -> Option<Number> {
    let value = digits.iter().fold(0.0, |value: f64, digit| {
        value * 16.0 + f64::from(char::from(*digit).to_digit(16).unwrap_or(0))
    });
    if value < 9_007_199_254_740_992.0 {
        let value = value as i64;
        return Some(Number::from(if is_negative { -value } else { value }));
    }
    Number::from_f64(if is_negative { -value } else { value })
}

fn decimal(unsigned: &[u8], is_negative: bool, is_whole: bool) -> Option<Number> {
    let unsigned = std::str::from_utf8(unsigned).ok()?;
    if is_whole {
        if !is_negative && let Ok(value) = unsigned.parse::<u64>() {
            return Some(Number::from(value));
        }
        if is_negative && let Ok(value) = format!("-{unsigned}").parse::<i64>() {
            return Some(Number::from(value));
        }
    }
    let value: f64 = unsigned.parse().ok()?;
    Number::from_f64(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests;
