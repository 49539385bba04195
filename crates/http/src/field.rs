//! Names of the header fields that the engine itself acts upon.

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
