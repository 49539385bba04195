//! Characters that may not stand where a plugin would write them.

/// Percent-encodes what may not stand in a path as nginx does it (`ngx_escape_uri` with `NGX_ESCAPE_URI`): everything but visible ASCII, and of
/// that `"`, `#`, `%`, `<`, `>`, `?`, `\`, `^`, `` ` ``, `{`, `|` and `}`.
pub(crate) fn escape_path(path: &[u8], out: &mut Vec<u8>) {
    escape(path, out, |byte| {
        !byte.is_ascii_graphic()
            || matches!(
                byte,
                b'"' | b'#' | b'%' | b'<' | b'>' | b'?' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
            )
    });
}

/// Percent-encodes what would end a request line or a part of it: control characters and spaces.
pub(crate) fn escape_target(target: &[u8], out: &mut Vec<u8>) {
    escape(target, out, |byte| byte <= b' ' || byte == 0x7f);
}

/// Percent-encodes what may not stand in the value of a field, as the reference's server does it (`ngx_http_lua_escape_uri` for header values).
pub(crate) fn escape_value(value: &[u8], out: &mut Vec<u8>) {
    escape(value, out, |byte| {
        byte == 0x7f || (byte < b' ' && byte != b'\t')
    });
}

fn escape(text: &[u8], out: &mut Vec<u8>, is_escaped: impl Fn(u8) -> bool) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let [byte, tail @ ..] = tail else { break };
        let digit = |value: u8| {
            char::from_digit(u32::from(value), 16).map_or('0', |digit| digit.to_ascii_uppercase())
        };
        out.extend([b'%', digit(byte >> 4) as u8, digit(byte & 15) as u8]);
        rest = tail;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_may_not_stand_there() {
        type Escape = fn(&[u8], &mut Vec<u8>);
        for (escape, text, expected) in [
            (
                escape_path as Escape,
                "/a b?c%\r\n\"é&=;",
                "/a%20b%3Fc%25%0D%0A%22%C3%A9&=;",
            ),
            (escape_path, "/plain/path", "/plain/path"),
            (escape_path, "", ""),
            (escape_target, "?a=b c&d=\r\n%é", "?a=b%20c&d=%0D%0A%é"),
            (escape_value, "a b\tc\r\nd: e\u{7f}", "a b\tc%0D%0Ad: e%7F"),
        ] {
            let mut out = Vec::new();
            escape(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text:?}");
        }
    }
}
