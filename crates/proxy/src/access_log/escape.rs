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
            (Self::None, Some(value)) => out.extend_from_slice(value),
            (Self::Default, Some(value)) => runs(
                value,
                out,
                |byte| matches!(byte, b'"' | b'\\' | 0..=31 | 127..),
                |byte, out| {
                    out.extend_from_slice(b"\\x");
                    write_hex(byte, b"0123456789ABCDEF", out);
                },
            ),
            (Self::Json, Some(value)) => {
                runs(
                    value,
                    out,
                    |byte| matches!(byte, b'"' | b'\\' | 0..=31),
                    |byte, out| match byte {
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
                    },
                );
            }
        }
    }
}

/// Copies runs of plain bytes at once and the others one by one.
#[inline]
fn runs(
    value: &[u8],
    out: &mut Vec<u8>,
    is_special: impl Fn(u8) -> bool,
    write: impl Fn(u8, &mut Vec<u8>),
) {
    // Most values have nothing special, which is seen sixteen bytes at a time where nothing ends the look early.
    if !value
        .iter()
        .fold(false, |found, byte| found | is_special(*byte))
    {
        out.extend_from_slice(value);
        return;
    }
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
}
