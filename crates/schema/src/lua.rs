//! Facts of Lua that show in the reference's answers: its types, numbers, quoting and equality.
//!
//! Values are JSON as `lua-cjson` decodes it: every number is a double, `null` is a userdata, and nothing tells an empty object from an empty array.

use serde_json::Value;

use crate::limits::NUMBER_DIGITS;

/// What a value is to the reference's validator (`validatorlib.tablekind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not a table.
    Scalar,
    /// `{}` or `[]`: an object and an array at once.
    Empty,
    /// An object with members.
    Object,
    /// An array with items.
    Array,
}

impl Kind {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) if items.is_empty() => Self::Empty,
            Value::Object(members) if members.is_empty() => Self::Empty,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
            _ => Self::Scalar,
        }
    }

    pub(crate) fn is_object(self) -> bool {
        matches!(self, Self::Empty | Self::Object)
    }

    pub(crate) fn is_array(self) -> bool {
        matches!(self, Self::Empty | Self::Array)
    }

    pub(crate) fn is_table(self) -> bool {
        self != Self::Scalar
    }
}

/// What Lua's `type()` says.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "userdata",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "table",
    }
}

/// A number as Lua holds it.
pub(crate) fn double(number: &serde_json::Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// A number as Lua prints it: C's `%.14g`.
pub(crate) fn number_text(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "nan".to_owned()
        } else {
            format!("{number}")
        };
    }
    let scientific = format!("{number:.*e}", NUMBER_DIGITS as usize - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match usize::try_from(NUMBER_DIGITS - 1 - exponent) {
        Ok(decimals) if exponent >= -4 => {
            without_trailing_zeros(&format!("{number:.decimals$}")).to_owned()
        }
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            let mantissa = without_trailing_zeros(mantissa);
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
    }
}

fn without_trailing_zeros(decimal: &str) -> &str {
    if decimal.contains('.') {
        decimal.trim_end_matches('0').trim_end_matches('.')
    } else {
        decimal
    }
}

/// A number after it was printed into generated code and read back, as happens to every number of a schema.
pub(crate) fn through_text(number: f64) -> f64 {
    number_text(number).parse().unwrap_or(number)
}

/// The rest of a division as Lua's `%` computes it.
pub(crate) fn modulo(number: f64, divisor: f64) -> f64 {
    number - (number / divisor).floor() * divisor
}

/// Text as `LuaJIT`'s `%q` quotes it (`lj_strfmt_putquoted`).
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\\' | '\n' => out.extend(['\\', c]),
            c if c.is_ascii_control() => {
                let code = u32::from(c);
                // A digit that follows would be read as part of the escape.
                let padded = rest.peek().is_some_and(char::is_ascii_digit);
                let escape = if padded {
                    format!("\\{code:03}")
                } else {
                    format!("\\{code}")
                };
                out.push_str(&escape);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Deep equality (`validatorlib.deepeq`).
#[expect(
    clippy::float_cmp,
    reason = "Lua compares numbers exactly, and so must the answers"
)]
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => double(left) == double(right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, l)| right.get(name).is_some_and(|r| equal(l, r)))
        }
        (Value::Object(_), Value::Array(_)) | (Value::Array(_), Value::Object(_)) => {
            Kind::of(left) == Kind::Empty && Kind::of(right) == Kind::Empty
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_print_as_in_lua() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (65536.0, "65536"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.33333333333333"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_123_45, "0.00012345"),
            (99_999_999_999_999.0, "99999999999999"),
            (99_999_999_999_999.9, "1e+14"),
            (1e14, "1e+14"),
            (123_456_789_012_345.0, "1.2345678901234e+14"),
            (9_007_199_254_740_993.0, "9.007199254741e+15"),
            (1e100, "1e+100"),
            (2.5e-100, "2.5e-100"),
        ] {
            assert_eq!(number_text(number), expected);
        }
    }

    #[test]
    fn text_is_quoted_as_in_luajit() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("line\nfeed", "\"line\\\nfeed\""),
            ("\u{1} bad", r#""\1 bad""#),
            ("\u{1}2", r#""\0012""#),
            ("\r\t\0", r#""\13\9\0""#),
            ("\u{7f}", r#""\127""#),
            ("é", "\"é\""),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn equality_is_that_of_tables() {
        for (left, right, expected) in [
            (json!(1), json!(1.0), true),
            (
                json!(9_007_199_254_740_993_u64),
                json!(9_007_199_254_740_992_u64),
                true,
            ),
            (json!("1"), json!(1), false),
            (json!(null), json!(null), true),
            (json!(null), json!(false), false),
            (json!([]), json!({}), true),
            (json!([[]]), json!([{}]), true),
            (json!([1]), json!({"1": 1}), false),
            (json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1}), true),
            (json!({"a": 1}), json!({"a": 1, "b": 1}), false),
            (json!({"a": 1}), json!({"b": 1}), false),
        ] {
            assert_eq!(equal(&left, &right), expected, "{left} and {right}");
        }
    }

    #[test]
    fn the_rest_of_a_division_has_the_sign_of_the_divisor() {
        assert_eq!(number_text(modulo(-3.0, 2.0)), "1");
        assert_eq!(number_text(modulo(7.0, 2.0)), "1");
        assert!(modulo(1.0, 0.0).is_nan());
    }
}
