//! The path that routes are matched against: nginx's `$uri`.
//!
//! Percent-decoded once, slashes merged, dot segments resolved (`ngx_http_parse_complex_uri`). The request that is forwarded
//! keeps the target as it was received.

/// The path cannot be brought into normal form; the request is answered 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Whether a path is in normal form already; most are.
#[inline]
pub(crate) fn is_normal(path: &[u8]) -> bool {
    let mut before = 0;
    for byte in path {
        match byte {
            b'%' => return false,
            b'/' | b'.' if before == b'/' => return false,
            _ => {}
        }
        before = *byte;
    }
    path.first() == Some(&b'/')
}

/// Writes the normal form of `path` into `out`.
///
/// # Errors
/// A percent sign without two digits, an encoded NUL, or a `..` above the root.
pub(crate) fn normalize(path: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    let mut bytes = path.iter();
    out.push(b'/');
    while let Some(&byte) = bytes.next() {
        let decoded = if byte == b'%' {
            let digit = |byte: Option<&u8>| {
                byte.and_then(|byte| (*byte as char).to_digit(16))
                    .ok_or(Malformed)
            };
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            (high << 4 | low) as u8
        } else {
            byte
        };
        match decoded {
            0 => return Err(Malformed),
            b'/' => close_segment(out)?,
            other => out.push(other),
        }
    }
    // A last segment of dots names a directory.
    if matches!(last_segment(out), b"." | b"..") {
        close_segment(out)?;
    }
    Ok(())
}

/// The bytes behind the last slash.
fn last_segment(out: &[u8]) -> &[u8] {
    let start = memchr::memrchr(b'/', out).map_or(0, |slash| slash + 1);
    out.get(start..).unwrap_or_default()
}

/// Ends the last segment with a slash: dots are resolved, empty segments vanish.
fn close_segment(out: &mut Vec<u8>) -> Result<(), Malformed> {
    match last_segment(out) {
        b"" => {}
        b"." => out.truncate(out.len() - 1),
        b".." => {
            let parent = out.len() - 3;
            let slash = out
                .get(..parent)
                .and_then(|head| memchr::memrchr(b'/', head))
                .ok_or(Malformed)?;
            out.truncate(slash + 1);
        }
        _ => out.push(b'/'),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brings_paths_into_nginx_form() {
        for (path, normal) in [
            ("/", Some("/")),
            ("", Some("/")),
            ("/a/b", Some("/a/b")),
            ("//a///b//", Some("/a/b/")),
            ("/a/./b/../c", Some("/a/c")),
            ("/a/..", Some("/")),
            ("/a/.", Some("/a/")),
            ("/..", None),
            ("/a/../..", None),
            ("/%61%2Fb", Some("/a/b")),
            ("/a/%2e%2e/b", Some("/b")),
            ("/a/..%2f", Some("/")),
            ("/a%3Fb%23c%25", Some("/a?b#c%")),
            ("/a%00", None),
            ("/a%zz", None),
            ("/a%2", None),
            ("/...", Some("/...")),
            ("/a.b/.c", Some("/a.b/.c")),
        ] {
            let mut out = Vec::new();
            let result = normalize(path.as_bytes(), &mut out)
                .map(|()| String::from_utf8_lossy(&out).into_owned());
            assert_eq!(result.ok().as_deref(), normal, "{path}");
            if is_normal(path.as_bytes()) {
                assert_eq!(normal, Some(path), "the quick check must agree");
            }
        }
    }
}
