//! Limits: a number, or a text whose variables make one.

use std::borrow::Cow;

use lockgate_expr::{Template, Value};
use lockgate_plugin::Exchange;
use serde::Deserialize;

/// A limit as it is configured. The schema says which numbers are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Number {
    /// As it is.
    Fixed(u64),
    /// By the variables in it.
    Text(String),
}

/// A limit.
#[derive(Debug)]
pub(crate) enum Amount {
    /// The same for all requests.
    Fixed(u64),
    /// Another one for each request, maybe.
    Asked(Template),
}

/// The largest limit that a text may spell: above, the reference's numbers are not exact (2^53 - 1).
const MOST: f64 = 9_007_199_254_740_991.0;

impl From<Number> for Amount {
    fn from(number: Number) -> Self {
        match number {
            Number::Fixed(number) => Self::Fixed(number),
            Number::Text(text) => Self::Asked(Template::parse(&text)),
        }
    }
}

impl Amount {
    /// The limit for a request, which is `least` at least.
    ///
    /// # Errors
    /// The text is no such number; the sentence is the reference's.
    #[inline]
    pub(crate) fn resolve(&self, least: u64, ex: &Exchange<'_>) -> Result<u64, String> {
        match self {
            Self::Fixed(number) => Ok(*number),
            Self::Asked(template) => read(&ex.render(template), least),
        }
    }
}

fn read(text: &[u8], least: u64) -> Result<u64, String> {
    let number = Value::Text(Cow::Borrowed(text)).to_number();
    let number = number.ok_or("resolved value is not a number")?;
    let got = || {
        let mut text = Vec::new();
        Value::Number(number).write_text(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    if number < 0.0 || least > 0 && number == 0.0 {
        let sort = if least == 0 {
            "non-negative"
        } else {
            "positive"
        };
        return Err(format!(
            "resolved value must be a {sort} number, got: {}",
            got()
        ));
    }
    if number.is_nan() || number.fract().abs() > 0.0 {
        return Err(format!("resolved value must be an integer, got: {}", got()));
    }
    if number > MOST {
        let got = got();
        return Err(format!(
            "resolved value exceeds safe integer range (2^53-1), got: {got}"
        ));
    }
    Ok(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_spells_a_limit() {
        let positive = "resolved value must be a positive number, got: ";
        let safe = "resolved value exceeds safe integer range (2^53-1), got: ";
        for (text, least, expected) in [
            ("5", 1, Ok(5)),
            (" 0x10 ", 1, Ok(16)),
            ("5.0", 1, Ok(5)),
            ("0", 0, Ok(0)),
            ("9007199254740991", 1, Ok(9_007_199_254_740_991)),
            ("", 1, Err("resolved value is not a number".to_owned())),
            ("5s", 1, Err("resolved value is not a number".to_owned())),
            ("0", 1, Err(format!("{positive}0"))),
            ("-3", 1, Err(format!("{positive}-3"))),
            (
                "1.5",
                1,
                Err("resolved value must be an integer, got: 1.5".to_owned()),
            ),
            (
                "0.5",
                1,
                Err("resolved value must be an integer, got: 0.5".to_owned()),
            ),
            (
                "-1",
                0,
                Err("resolved value must be a non-negative number, got: -1".to_owned()),
            ),
            (
                "9007199254740992",
                1,
                Err(format!("{safe}9.007199254741e+15")),
            ),
            ("inf", 1, Err(format!("{safe}inf"))),
        ] {
            assert_eq!(read(text.as_bytes(), least), expected, "{text:?}");
        }
    }
}
