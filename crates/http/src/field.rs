//! Names of header fields: those that the engine itself acts upon, and any other.

use std::borrow::Cow;

/// A field name the engine knows; found by length first, so that most names cost one comparison of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    /// Any other name.
    Other,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Content-Type`
    ContentType,
    /// `Date`
    Date,
    /// `Expect`
    Expect,
    /// `Forwarded`
    Forwarded,
    /// `Host`
    Host,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Server`
    Server,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Upgrade`
    Upgrade,
    /// `X-Accel-*` and `X-Pad`, which nginx keeps to itself
    XAccel,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `X-Forwarded-Host`
    XForwardedHost,
    /// `X-Forwarded-Port`
    XForwardedPort,
    /// `X-Forwarded-Proto`
    XForwardedProto,
    /// `X-Real-IP`
    XRealIp,
}

impl Known {
    /// The known name that `name` spells, in any case. `name` is a token, as the parser has it.
    ///
    /// Length and last byte leave one candidate at most, so one comparison decides.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let Some(last) = name.last() else {
            return Self::Other;
        };
        let (candidate, known): (&[u8], Self) = match (name.len(), last | 0x20) {
            (2, b'e') => (b"te", Self::Te),
            (4, b't') => (b"host", Self::Host),
            (4, b'e') => (b"date", Self::Date),
            (5, b'd') => (b"x-pad", Self::XAccel),
            (6, b'r') => (b"server", Self::Server),
            (6, b't') => (b"expect", Self::Expect),
            (7, b'e') => (b"upgrade", Self::Upgrade),
            (7, b'r') => (b"trailer", Self::Trailer),
            (9, b'p') => (b"x-real-ip", Self::XRealIp),
            (9, b'd') => (b"forwarded", Self::Forwarded),
            (10, b'n') => (b"connection", Self::Connection),
            (10, b'e') => (b"keep-alive", Self::KeepAlive),
            (12, b'e') => (b"content-type", Self::ContentType),
            (14, b'h') => (b"content-length", Self::ContentLength),
            (15, b'r') => (b"x-forwarded-for", Self::XForwardedFor),
            (15, b's') => (b"x-accel-expires", Self::XAccel),
            (16, b'n') => (b"proxy-connection", Self::ProxyConnection),
            (16, b't') => match name.get(12).map(|byte| byte | 0x20) {
                Some(b'h') => (b"x-forwarded-host", Self::XForwardedHost),
                Some(b'p') => (b"x-forwarded-port", Self::XForwardedPort),
                _ => (b"x-accel-redirect", Self::XAccel),
            },
            (17, b'g') => match name.first().map(|byte| byte | 0x20) {
                Some(b't') => (b"transfer-encoding", Self::TransferEncoding),
                _ => (b"x-accel-buffering", Self::XAccel),
            },
            (17, b'o') => (b"x-forwarded-proto", Self::XForwardedProto),
            (18, b'e') => (b"x-accel-limit-rate", Self::XAccel),
            _ => return Self::Other,
        };
        if is_same_token(name, candidate) {
            known
        } else {
            Self::Other
        }
    }
}

/// A name that a field can have: a token (RFC 9110 §5.6.2) of at most 65 535 bytes. Its case is that in which it is sent.
#[derive(Debug, Clone)]
pub struct FieldName(Cow<'static, str>);

/// A text cannot name a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token, so no name of a header field")]
pub struct InvalidFieldName;

impl FieldName {
    /// A name that is known ahead: `const VARY: FieldName = FieldName::from_static("Vary");`.
    ///
    /// # Panics
    /// It is no token. In a constant this ends the build.
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_token(name.as_bytes()), "not a token");
        Self(Cow::Borrowed(name))
    }

    /// A name that users choose.
    ///
    /// # Errors
    /// It is no token.
    pub fn parse(name: impl Into<String>) -> Result<Self, InvalidFieldName> {
        let name = name.into();
        if is_token(name.as_bytes()) {
            Ok(Self(Cow::Owned(name)))
        } else {
            Err(InvalidFieldName)
        }
    }

    /// A name that users choose, with what cannot stand in one percent-encoded, as the reference's server writes such names
    /// (`ngx_http_lua_escape_uri` for names of fields).
    ///
    /// # Errors
    /// It is empty or too long.
    pub fn escaped(name: &str) -> Result<Self, InvalidFieldName> {
        let mut out = String::with_capacity(name.len());
        for byte in name.bytes() {
            if is_token(&[byte]) {
                out.push(char::from(byte));
            } else {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                out.push('%');
                out.push(digit(byte >> 4).to_ascii_uppercase());
                out.push(digit(byte & 15).to_ascii_uppercase());
            }
        }
        Self::parse(out)
    }

    /// As it is sent.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for FieldName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whether this can name a field, and is not longer than the index of a block can say.
pub(crate) const fn is_token(name: &[u8]) -> bool {
    if name.is_empty() || name.len() > u16::MAX as usize {
        return false;
    }
    let mut rest = name;
    while let [byte, behind @ ..] = rest {
        let is_allowed = matches!(
            byte,
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
                | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        if !is_allowed {
            return false;
        }
        rest = behind;
    }
    true
}

/// Whether a token spells `lower`, which is in lower case and of the same length.
///
/// Compares words: setting bit 5 makes letters lower case, leaves digits and `-` alone, and maps no other token character
/// upon a letter, a digit or `-` (of ASCII only CR becomes `-`, and CR stands in no token).
#[inline]
fn is_same_token(token: &[u8], lower: &[u8]) -> bool {
    let wide = |bytes: Option<&[u8; 8]>| {
        bytes.map(|bytes| u64::from_le_bytes(*bytes) | 0x2020_2020_2020_2020)
    };
    let narrow =
        |bytes: Option<&[u8; 4]>| bytes.map(|bytes| u32::from_le_bytes(*bytes) | 0x2020_2020);
    match token.len() {
        4..=7 => {
            narrow(token.first_chunk()) == narrow(lower.first_chunk())
                && narrow(token.last_chunk()) == narrow(lower.last_chunk())
        }
        8..=16 => {
            wide(token.first_chunk()) == wide(lower.first_chunk())
                && wide(token.last_chunk()) == wide(lower.last_chunk())
        }
        _ => token.eq_ignore_ascii_case(lower),
    }
}

/// Whether both texts, which are of the same length, spell the same in any case.
///
/// Compares words: where a lookup goes through all fields, most names cost two loads.
#[inline]
pub(crate) fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    let wide = |bytes: Option<&[u8; 8]>| u64::from_le_bytes(bytes.copied().unwrap_or_default());
    let narrow =
        |bytes: Option<&[u8; 4]>| u64::from(u32::from_le_bytes(bytes.copied().unwrap_or_default()));
    match one.len() {
        4..=7 => {
            is_same_word(narrow(one.first_chunk()), narrow(other.first_chunk()))
                && is_same_word(narrow(one.last_chunk()), narrow(other.last_chunk()))
        }
        8..=16 => {
            is_same_word(wide(one.first_chunk()), wide(other.first_chunk()))
                && is_same_word(wide(one.last_chunk()), wide(other.last_chunk()))
        }
        _ => one.eq_ignore_ascii_case(other),
    }
}

/// Whether eight bytes are the same but for the case of letters.
#[inline]
fn is_same_word(one: u64, other: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * EACH;
    let differs = one ^ other;
    if differs & !(0x20 * EACH) != 0 {
        return false;
    }
    // Of each byte the top bit says whether it is `a` to `z`: it is at least `a`, not beyond `z`, and of ASCII.
    let lower = other | (0x20 * EACH);
    let low_bits = lower & !TOP;
    let from_a = low_bits + (0x80 - u64::from(b'a')) * EACH;
    let beyond_z = low_bits + (0x7f - u64::from(b'z')) * EACH;
    let is_letter = from_a & !beyond_z & !lower & TOP;
    (differs << 2) & !is_letter == 0
}

/// Whether `text` spells `usual` in any case. Most senders write it as `usual` is, which one comparison of memory shows.
#[inline]
pub(crate) fn is_same(text: &[u8], usual: &[u8]) -> bool {
    text == usual || text.eq_ignore_ascii_case(usual)
}

/// Whether `list`, a comma-separated field value, has the element `token` in any case.
pub fn has_token(list: &[u8], token: &[u8]) -> bool {
    tokens(list).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a comma-separated field value, without the white space around them; empty ones are left out.
pub fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_tokens() {
        const VARY: FieldName = FieldName::from_static("Vary");
        assert_eq!(VARY.as_str(), "Vary");
        for (text, is_name, escaped) in [
            ("X-Api_1", true, Some("X-Api_1")),
            ("!#$%&'*+-.^_`|~", true, Some("!#$%&'*+-.^_`|~")),
            ("X Api(\u{e9})", false, Some("X%20Api%28%C3%A9%29")),
            ("a:b\r\n", false, Some("a%3Ab%0D%0A")),
            ("", false, None),
        ] {
            assert_eq!(FieldName::parse(text).is_ok(), is_name, "{text:?}");
            let found = FieldName::escaped(text).ok();
            assert_eq!(found.as_ref().map(FieldName::as_str), escaped, "{text:?}");
        }
        assert!(FieldName::parse("a".repeat(65_535)).is_ok());
        assert!(FieldName::parse("a".repeat(65_536)).is_err());
    }

    #[test]
    fn knows_names_in_any_case() {
        for (name, known) in [
            ("Host", Known::Host),
            ("CONTENT-length", Known::ContentLength),
            ("x-Forwarded-PORT", Known::XForwardedPort),
            ("X-Accel-Buffering", Known::XAccel),
            ("X-Accel-Charset", Known::Other),
            ("X-Forwarded-Cost", Known::Other),
            ("CONTENT^LENGTH", Known::Other),
            ("x-real~ip", Known::Other),
            ("te", Known::Te),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("proxy-Connection", Known::ProxyConnection),
            ("Hosts", Known::Other),
            ("", Known::Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }

    #[test]
    fn compares_names_as_byte_by_byte() {
        // Every pair of bytes, in every place of words of every length.
        for length in 1..=20 {
            for place in 0..length {
                for (one, other) in (0..=u8::MAX).flat_map(|one| {
                    [0, 1, 0x20, 0x21, 0x80, 0xa0].map(|differs| (one, one ^ differs))
                }) {
                    let (mut left, mut right) = (vec![b'-'; length], vec![b'-'; length]);
                    (left[place], right[place]) = (one, other);
                    let expected = left.eq_ignore_ascii_case(&right);
                    assert_eq!(is_same_name(&left, &right), expected, "{left:?} {right:?}");
                }
            }
        }
    }

    #[test]
    fn finds_tokens() {
        assert!(has_token(b"keep-alive, Upgrade", b"upgrade"));
        assert!(!has_token(b"upgraded,  ,x", b"upgrade"));
    }
}
