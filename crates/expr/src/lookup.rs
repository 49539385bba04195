//! Where values come from, and what kinds of value there are.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::Variable;

/// Something that knows the values of variables: in the gateway, a request.
pub trait Lookup {
    /// The value as text, or nothing when it is absent (nginx's "not found", Lua's nil). An empty text is present.
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>>;

    /// The value with its kind. Only variables that are not text, such as `graphql_root_fields` and JSON body paths, need more than the default.
    fn value<'a>(&'a self, variable: &Variable) -> Option<Value<'a>> {
        self.lookup(variable).map(Value::Text)
    }

    /// Appends the value where it is made for whoever asks, such as a number or a time, and has no character that a log escapes; says
    /// whether it did. Any other value, and none, is left to [`Self::lookup`].
    fn append(&self, _variable: &Variable, _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// A value with its kind, as Lua tells them apart: the text `5` and the number 5 are not equal.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Bytes; what nearly every variable has.
    Text(Cow<'a, [u8]>),
    /// A number of a JSON body.
    Number(f64),
    /// A boolean of a JSON body.
    Bool(bool),
    /// A list of a JSON body, or the fields of a GraphQL request. A JSON object is an empty list.
    List(Vec<Value<'a>>),
}

impl<'j> Value<'j> {
    /// The value that JSON spells; nothing for `null`. An object is a list without elements: to Lua, it has no numbered ones.
    pub fn of_json(json: &'j Json) -> Option<Self> {
        Some(match json {
            Json::Null => return None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(number.as_f64()?),
            Json::String(text) => Self::Text(Cow::Borrowed(text.as_bytes())),
            Json::Array(elements) => {
                Self::List(elements.iter().filter_map(Self::of_json).collect())
            }
            Json::Object(_) => Self::List(Vec::new()),
        })
    }
}

impl Value<'_> {
    /// Appends the value as text, as Lua's `tostring` writes it; a list has no text.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            Self::Number(number) => write_number(*number, out),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::List(_) => {}
        }
    }

    /// Appends the value for people: as its text, a list with its elements.
    pub(crate) fn write_shown(&self, out: &mut Vec<u8>) {
        let Self::List(elements) = self else {
            self.write_text(out);
            return;
        };
        out.push(b'[');
        for (place, element) in elements.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(b", ");
            }
            element.write_shown(out);
        }
        out.push(b']');
    }

    /// The number this value is or spells, as Lua's `tonumber`.
    pub fn to_number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => parse_number(text),
            Self::Number(number) => Some(*number),
            Self::Bool(_) | Self::List(_) => None,
        }
    }
}

fn write_number(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(number_text(number).as_bytes());
}

/// A number as Lua's `tostring` writes it: `%.14g` of C.
pub(crate) fn number_text(number: f64) -> String {
    const DIGITS: i32 = 14;
    if !number.is_finite() {
        let sign = if number.is_sign_negative() { "-" } else { "" };
        let name = if number.is_nan() { "nan" } else { "inf" };
        return format!("{sign}{name}");
    }
    let scientific = format!("{number:.13e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if !(-4..DIGITS).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
    trim(&format!("{number:.decimals$}"))
}

/// A number as Lua's `tonumber` reads it (`lj_strscan.c`): white space around, sign, decimal with exponent, `0x` with fraction and binary
/// exponent, `0b`, `inf`, `infinity`, `nan`.
pub(crate) fn parse_number(text: &[u8]) -> Option<f64> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = text.iter().position(|byte| !is_space(byte))?;
    let end = text.iter().rposition(|byte| !is_space(byte))? + 1;
    let text = text.get(start..end)?;
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        _ => (1.0, text.strip_prefix(b"+").unwrap_or(text)),
    };
    // A second sign would pass Rust's own parser.
    let magnitude = match digits {
        [b'+' | b'-', ..] => return None,
        [b'0', b'x' | b'X', hex @ ..] => parse_hex(hex)?,
        [b'0', b'b' | b'B', binary @ ..] => parse_binary(binary)?,
        decimal => std::str::from_utf8(decimal).ok()?.parse::<f64>().ok()?,
    };
    Some(sign * magnitude)
}

fn parse_hex(text: &[u8]) -> Option<f64> {
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'p' | b'P')) {
        Some(at) => (
            text.get(..at)?,
            std::str::from_utf8(text.get(at + 1..)?)
                .ok()?
                .parse::<i32>()
                .ok()?,
        ),
        None => (text, 0),
    };
    let mut value = 0.0_f64;
    let mut scale = 0_i32;
    let mut digits = 0_usize;
    let mut in_fraction = false;
    for &byte in mantissa {
        if byte == b'.' && !in_fraction {
            in_fraction = true;
            continue;
        }
        value = value * 16.0 + f64::from(char::from(byte).to_digit(16)?);
        digits += 1;
        if in_fraction {
            scale -= 4;
        }
    }
    (digits > 0).then(|| value * f64::powi(2.0, exponent.saturating_add(scale)))
}

fn parse_binary(text: &[u8]) -> Option<f64> {
    let mut value = 0.0_f64;
    for &byte in text {
        value = value * 2.0 + f64::from(char::from(byte).to_digit(2)?);
    }
    (!text.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_lua_reads_them() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse_number(text.as_bytes()), expected, "{text:?}");
        };
        check("18", Some(18.0));
        check(" 18\t\n", Some(18.0));
        check("-1.5e2", Some(-150.0));
        check("+3", Some(3.0));
        check("0x10", Some(16.0));
        check("-0x.8p1", Some(-1.0));
        check("0b101", Some(5.0));
        check(".5", Some(0.5));
        check("5.", Some(5.0));
        check("inf", Some(f64::INFINITY));
        check("010", Some(10.0));
        for bad in [
            "", " ", "aa", "1a", "--1", "+-1", "0x", "0xg", "0b", "0b2", "1 2", "1_000", "0x1p",
            ".",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn values_are_written_as_lua_writes_them() {
        let check = |value: &Value<'_>, expected: &str| {
            let mut out = Vec::new();
            value.write_text(&mut out);
            assert_eq!(out, expected.as_bytes());
        };
        check(&Value::Number(5.0), "5");
        check(&Value::Number(-0.1), "-0.1");
        check(&Value::Number(0.1 + 0.2), "0.3");
        check(&Value::Number(99_999_999_999_999.0), "99999999999999");
        check(&Value::Number(1e14), "1e+14");
        check(
            &Value::Number(123_456_789_012_345_680.0),
            "1.2345678901235e+17",
        );
        check(&Value::Number(0.0001), "0.0001");
        check(&Value::Number(0.000_012_5), "1.25e-05");
        check(&Value::Number(1e300), "1e+300");
        check(&Value::Number(f64::NEG_INFINITY), "-inf");
        check(&Value::Number(0.25), "0.25");
        check(&Value::Bool(true), "true");
        check(&Value::Text(Cow::Borrowed(b"x")), "x");
        check(&Value::List(vec![]), "");
    }
}
