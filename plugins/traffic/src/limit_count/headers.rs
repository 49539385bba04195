//! The fields that tell clients what is left of their quota.

use lockgate_expr::Value;
use lockgate_http::headers::Headers;
use lockgate_plugin::{Compile, ConfigError, Metadata};
use serde::Deserialize;

/// Names of the fields; as plugin metadata, those of all configurations.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Names {
    /// What is allowed.
    pub limit_header: String,
    /// What is left of it.
    pub remaining_header: String,
    /// Seconds until there is more again.
    pub reset_header: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            limit_header: "X-RateLimit-Limit".into(),
            remaining_header: "X-RateLimit-Remaining".into(),
            reset_header: "X-RateLimit-Reset".into(),
        }
    }
}

impl Metadata for Names {
    type Config = Self;

    fn compile(config: Self, _: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(config)
    }
}

impl Names {
    /// The names for a rule: its prefix stands before `RateLimit-`; a name without that stays as it is.
    pub(super) fn prefixed(&self, prefix: &str) -> Self {
        let name = |name: &str| name.replacen("RateLimit-", &format!("{prefix}-RateLimit-"), 1);
        Self {
            limit_header: name(&self.limit_header),
            remaining_header: name(&self.remaining_header),
            reset_header: name(&self.reset_header),
        }
    }

    /// Sets the fields. `reset_cs` is in hundredths of a second.
    #[inline]
    pub(super) fn set(&self, headers: &mut Headers, limit: u64, remaining: i64, reset_cs: u64) {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        headers.set(self.limit_header.as_bytes(), Text::whole(limit).bytes());
        let remaining = Text::whole(remaining);
        headers.set(self.remaining_header.as_bytes(), remaining.bytes());
        headers.set(
            self.reset_header.as_bytes(),
            Text::hundredths(reset_cs).bytes(),
        );
    }
}

/// A number as Lua writes it, without an allocation.
struct Text {
    bytes: [u8; 24],
    start: usize,
}

/// From here on Lua writes a power of ten (`%.14g`).
const EXACT: u64 = 100_000_000_000_000;

impl Text {
    fn whole(number: i64) -> Self {
        if number.unsigned_abs() >= EXACT {
            return Self::rare(number as f64);
        }
        let mut text = Self::empty();
        text.digits(number.unsigned_abs());
        if number < 0 {
            text.push(b'-');
        }
        text
    }

    fn hundredths(number: u64) -> Self {
        if number >= EXACT / 10 {
            return Self::rare(number as f64 / 100.0);
        }
        let mut text = Self::empty();
        let part = number % 100;
        if part > 0 {
            let (tenths, rest) = (part / 10, part % 10);
            if rest > 0 {
                text.digits(rest);
            }
            text.digits(tenths);
            text.push(b'.');
        }
        text.digits(number / 100);
        text
    }

    fn rare(number: f64) -> Self {
        let mut written = Vec::new();
        Value::Number(number).write_text(&mut written);
        let mut text = Self::empty();
        for byte in written.into_iter().rev() {
            text.push(byte);
        }
        text
    }

    fn empty() -> Self {
        let bytes = [0; 24];
        Self {
            start: bytes.len(),
            bytes,
        }
    }

    fn digits(&mut self, mut number: u64) {
        loop {
            self.push(b'0' + (number % 10) as u8);
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }

    fn push(&mut self, byte: u8) {
        // Invariant: 20 bytes are the longest number that Lua writes.
        if let Some(start) = self.start.checked_sub(1)
            && let Some(place) = self.bytes.get_mut(start)
        {
            *place = byte;
            self.start = start;
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &Text) -> &str {
        std::str::from_utf8(text.bytes()).expect("text")
    }

    #[test]
    fn numbers_are_written_as_lua_writes_them() {
        for (number, expected) in [
            (0, "0"),
            (7, "7"),
            (-120, "-120"),
            (99_999_999_999_999, "99999999999999"),
            (100_000_000_000_000, "1e+14"),
            (9_007_199_254_740_991, "9.007199254741e+15"),
            (i64::MAX, "9.2233720368548e+18"),
        ] {
            assert_eq!(shown(&Text::whole(number)), expected);
        }
        for (number, expected) in [
            (0, "0"),
            (5, "0.05"),
            (50, "0.5"),
            (6_000, "60"),
            (5_999, "59.99"),
            (5_910, "59.1"),
            (900_719_925_474_099_100, "9.007199254741e+15"),
        ] {
            assert_eq!(shown(&Text::hundredths(number)), expected);
        }
    }

    #[test]
    fn a_prefix_stands_before_the_first_rate_limit() {
        let names = Names {
            limit_header: "X-RateLimit-RateLimit-Limit".into(),
            remaining_header: "Left".into(),
            ..Names::default()
        };
        let prefixed = names.prefixed("Day");
        assert_eq!(prefixed.limit_header, "X-Day-RateLimit-RateLimit-Limit");
        assert_eq!(prefixed.remaining_header, "Left");
        assert_eq!(prefixed.reset_header, "X-Day-RateLimit-Reset");
    }
}
