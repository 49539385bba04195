//! How values stand in a log line (`ngx_http_log_module`, `escape=`).

/// nginx's three ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Escape {
    /// `"`, `\` and control characters and bytes above 126 as `\xHH`; an absent value is `-`.
    #[default]
    Default,
    /// As a JSON string's inside; an absent value is empty.
    Json,
    /// Nothing is escaped; an absent value is empty.
    None,
}

impl Escape {
    /// Appends a value.
    #[inline]
    pub(crate) fn write(self, value: Option<&[u8]>, out: &mut Vec<u8>) {
        match (self, value) {
            (Self::Default, None) => out.push(b'-'),
            (_, None) => {}
            (Self::Default, Some(value)) if has_special::<true>(value) => {
                escape(value, out, is_special::<true>, |byte, out| {
                    out.extend_from_slice(b"\\x");
                    write_hex(byte, b"0123456789ABCDEF", out);
                });
            }
            (Self::Json, Some(value)) if has_special::<false>(value) => {
                escape(value, out, is_special::<false>, |byte, out| match byte {
                    b'"' => out.extend_from_slice(b"\\\""),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\t' => out.extend_from_slice(b"\\t"),
                    0x08 => out.extend_from_slice(b"\\b"),
                    0x0c => out.extend_from_slice(b"\\f"),
                    other => {
                        out.extend_from_slice(b"\\u00");
                        write_hex(other, b"0123456789ABCDEF", out);
                    }
                });
            }
            (_, Some(value)) => out.extend_from_slice(value),
        }
    }
}

/// Whether a byte is escaped; with `HIGH`, 127 and above are as well.
fn is_special<const HIGH: bool>(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=31) || HIGH && byte >= 127
}

/// Whether a value has a byte that is escaped, which most have not.
#[inline]
fn has_special<const HIGH: bool>(value: &[u8]) -> bool {
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    if value.len() >= LONG {
        // Sixteen bytes at a time, as nothing ends the look early.
        let found = |found, byte: &u8| found | is_special::<HIGH>(*byte);
        value.iter().fold(false, found)
    } else if let Some(last) = value.last_chunk() {
        let (words, rest) = value.as_chunks();
        let is_special = |word: &[u8; 8]| is_special_in::<HIGH>(u64::from_le_bytes(*word));
        words.iter().any(is_special) || !rest.is_empty() && is_special(last)
    } else if let (Some(first), Some(last)) = (value.first_chunk(), value.last_chunk()) {
        is_special_in::<HIGH>(half(first) | half(last) << 32)
    } else {
        value.iter().any(|byte| is_special::<HIGH>(*byte))
    }
}

/// Bytes of a value from which on vectors are faster than words.
const LONG: usize = 32;

/// Whether one of eight bytes is escaped.
#[inline]
fn is_special_in<const HIGH: bool>(word: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // The top bit of a byte that is less than `most`, and perhaps of those above it.
    let below = |word: u64, most: u8| word.wrapping_sub(u64::from(most) * EACH) & !word;
    let is = |byte: u8| below(word ^ (u64::from(byte) * EACH), 1);
    let mut special = below(word, 32) | is(b'"') | is(b'\\');
    if HIGH {
        special |= word | word.wrapping_add(EACH);
    }
    special & (0x80 * EACH) != 0
}

/// Copies runs of plain bytes at once and writes the others one by one.
#[cold]
fn escape(
    value: &[u8],
    out: &mut Vec<u8>,
    is_special: impl Fn(u8) -> bool,
    write: impl Fn(u8, &mut Vec<u8>),
) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| is_special(*byte)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, behind)) = special.split_first() {
            write(*byte, out);
            rest = behind;
        }
    }
    out.extend_from_slice(rest);
}

fn write_hex(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.extend(digits.get(usize::from(byte >> 4)));
    out.extend(digits.get(usize::from(byte & 15)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_nginx() {
        for (escape, value, text) in [
            (
                Escape::Default,
                Some(&b"a\"b\\\n\xff "[..]),
                "a\\x22b\\x5C\\x0A\\xFF ",
            ),
            (Escape::Default, None, "-"),
            (Escape::Default, Some(&b""[..]), ""),
            (
                Escape::Json,
                Some(&b"a\"b\\\n\x01"[..]),
                "a\\\"b\\\\\\n\\u0001",
            ),
            (Escape::Json, None, ""),
            (Escape::None, Some(&b"\""[..]), "\""),
        ] {
            let mut out = Vec::new();
            escape.write(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn sees_each_special_byte_in_each_place() {
        for length in 0..=40 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut value = vec![b'a'; length];
                    assert!(!has_special::<true>(&value));
                    value[place] = byte;
                    let expected = matches!(byte, b'"' | b'\\' | 0..=31);
                    assert_eq!(has_special::<false>(&value), expected, "{value:?}");
                    let expected = expected || byte > 126;
                    assert_eq!(has_special::<true>(&value), expected, "{value:?}");
                }
            }
        }
    }
}
