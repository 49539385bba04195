//! Labels and numbers as they stand in the text format.

use std::io::Write as _;

use crate::limits;

/// Appends the labels of a series without the braces: `code="200",route="1"`. Values that are missing are empty.
pub(crate) fn write_labels<L: AsRef<[u8]>>(out: &mut String, names: &[Box<str>], values: &[L]) {
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        write_value(out, values.get(at).map_or(b"", AsRef::as_ref));
        out.push('"');
    }
}

/// Appends a label value, escaped. It ends at the first byte that is not UTF-8, as in the reference (`full_metric_name` of
/// nginx-lua-prometheus), and at [`limits::LABEL_VALUE_BYTES`].
fn write_value(out: &mut String, value: &[u8]) {
    let value = value.get(..limits::LABEL_VALUE_BYTES).unwrap_or(value);
    let valid = match std::str::from_utf8(value) {
        Ok(valid) => valid,
        Err(error) => value
            .get(..error.valid_up_to())
            .and_then(|valid| std::str::from_utf8(valid).ok())
            .unwrap_or_default(),
    };
    let is_special = |byte: u8| matches!(byte, b'\\' | b'"' | b'\n');
    if !valid.bytes().any(is_special) {
        return out.push_str(valid);
    }
    for character in valid.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

/// Appends the text of a HELP line, in which backslashes and line feeds are escaped.
pub(crate) fn write_help(out: &mut Vec<u8>, help: &str) {
    for byte in help.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
}

/// Appends a count, all its digits.
pub(crate) fn write_count(out: &mut Vec<u8>, count: u64) {
    if let Ok(digit @ 0..10) = u8::try_from(count) {
        out.push(b'0' + digit);
        return;
    }
    // A vector takes whatever is written to it.
    let _ = write!(out, "{count}");
}

/// Appends a float as the reference does, whose numbers are Lua's: `%.14g` of C. What is not finite is spelled as Prometheus does.
pub(crate) fn write_float(out: &mut Vec<u8>, value: f64) {
    const DIGITS: i32 = 14;
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    if value.is_sign_negative() && value != 0.0 {
        out.push(b'-');
    }
    let value = value.abs();
    if value < 1e14 && value.fract() == 0.0 {
        return write_count(out, value as u64);
    }
    // `d.ddddddddddddde±x`: rounded to as many digits as count.
    let text = format!("{value:.13e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.bytes().chain(fraction.bytes());
    if !(-4..DIGITS).contains(&exponent) {
        out.extend_from_slice(whole.as_bytes());
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
        return;
    }
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend((1..-exponent).map(|_| b'0'));
        out.extend(digits);
        return;
    }
    let before_point = exponent as usize + 1;
    for (at, digit) in digits.enumerate() {
        if at == before_point {
            out.push(b'.');
        }
        out.push(digit);
    }
    out.extend((1 + fraction.len()..before_point).map(|_| b'0'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_lua_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (4.0, "4"),
            (-2.0, "-2"),
            (134_217_728.0, "134217728"),
            (99_999_999_999_999.0, "99999999999999"),
            (1e14, "1e+14"),
            (123_456_789_012_345_680.0, "1.2345678901235e+17"),
            (1e300, "1e+300"),
            (2.098_083_496_093_8e-5, "2.0980834960938e-05"),
            (3.999_948_501_586_9, "3.9999485015869"),
            (0.1 + 0.2, "0.3"),
            (0.25, "0.25"),
            (-0.001, "-0.001"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1_500.5, "1500.5"),
            (99_999_999_999_999.9, "1e+14"),
            (9_999_999_999_999.96, "10000000000000"),
            (1_234_567_890_120.000_1, "1234567890120"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = Vec::new();
            write_float(&mut out, value);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected), "{value:e}");
        }
    }

    #[test]
    fn counts_have_all_their_digits() {
        for count in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_count(&mut out, count);
            assert_eq!(String::from_utf8(out), Ok(count.to_string()));
        }
    }

    #[test]
    fn labels_are_escaped_and_end_where_they_are_no_text() {
        let names = ["a".into(), "b".into()];
        let long = [b'x'; limits::LABEL_VALUE_BYTES + 1];
        for (values, expected) in [
            (&[b"1".as_slice(), b"2"][..], r#"a="1",b="2""#.to_owned()),
            (&[b"q\"\\\nz"], r#"a="q\"\\\nz",b="""#.to_owned()),
            (&["é".as_bytes(), b"ok\xffno"], r#"a="é",b="ok""#.to_owned()),
            (
                &[&long],
                format!("a=\"{}\",b=\"\"", "x".repeat(limits::LABEL_VALUE_BYTES)),
            ),
            (&[b"1", b"2", b"beyond"], r#"a="1",b="2""#.to_owned()),
        ] {
            let mut out = String::new();
            write_labels(&mut out, &names, values);
            assert_eq!(out, expected);
        }
    }
}
