//! What the reference's Lua makes of JSON values: clients see it in messages and in what counts as given.

use serde_json::{Number, Value};

/// Whether a field counts as given: there, and not `false`. JSON's `null` counts.
pub(crate) fn is_given(value: Option<&Value>) -> bool {
    !matches!(value, None | Some(Value::Bool(false)))
}

/// Lua's `tostring` of a value that may be an id.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        other => other.to_string(),
    }
}

/// A number as text. Whole numbers keep all digits, where Lua turns to `1e+15` behind 14 of them.
pub(crate) fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
            format!("{float:.0}")
        }
        _ => number.to_string(),
    }
}

/// Lua's `tonumber` of a text; `None` also for what is not finite.
pub(crate) fn to_number(text: &str) -> Option<f64> {
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = if let Some(digits) = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        let has_sign = digits.starts_with('+');
        let value = u64::from_str_radix(digits, 16).ok()?;
        (!has_sign).then_some(value as f64)?
    } else if unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        // Rust's grammar of what begins so is Lua's.
        unsigned.parse().ok()?
    } else {
        return None;
    };
    value
        .is_finite()
        .then_some(if is_negative { -value } else { value })
}

/// Whether Lua sees a table.
pub(crate) fn is_table(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_numbers_as_lua_does() {
        for (text, expected) in [
            ("1", Some(1.0)),
            (" 10\n", Some(10.0)),
            ("0x10", Some(16.0)),
            ("1e2", Some(100.0)),
            ("-3", Some(-3.0)),
            ("+5", Some(5.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("", None),
            ("1 0", None),
            ("1e", None),
            ("0x", None),
            ("0x+1", None),
            ("+-1", None),
            ("--1", None),
            ("xxx", None),
            ("inf", None),
            ("nan", None),
            ("1e999", None),
        ] {
            assert_eq!(to_number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn writes_ids_as_lua_does() {
        for (value, expected) in [
            (json!("a"), "a"),
            (json!(1), "1"),
            (json!(1.0), "1"),
            (json!(1.5), "1.5"),
            (json!(99_999_999_999_999_u64), "99999999999999"),
            (json!(true), "true"),
        ] {
            assert_eq!(text_of(&value), expected);
        }
    }

    #[test]
    fn knows_what_counts_as_given() {
        for (value, expected) in [
            (None, false),
            (Some(json!(false)), false),
            (Some(json!(null)), true),
            (Some(json!("")), true),
            (Some(json!(0)), true),
        ] {
            assert_eq!(is_given(value.as_ref()), expected, "{value:?}");
        }
    }
}
