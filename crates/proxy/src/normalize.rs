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

/// Writes a path without the parameters that Java servlets take behind `;` (`normalize_uri_like_servlet` in `apisix/init.lua`).
///
/// # Errors
/// Without them a segment would be one of dots, or empty before the last: a way around rules for paths.
pub(crate) fn drop_parameters(uri: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    let mut segments = uri.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match memchr::memchr(b';', segment) {
            None => out.extend_from_slice(segment),
            Some(at) => {
                let name = segment.get(..at).unwrap_or_default();
                let is_dots = [&b"."[..], b"..", b"%2e", b"%2e%2e"]
                    .iter()
                    .any(|dots| name.eq_ignore_ascii_case(dots));
                if is_dots || name.is_empty() && !is_last {
                    return Err(Malformed);
                }
                out.extend_from_slice(name);
            }
        }
        if !is_last {
            out.push(b'/');
        }
    }
    Ok(())
}

/// Writes a path decoded but for its encoded slashes, which become `%2F`; whether there are any.
///
/// Only where decoding is all that made `uri` of `path`: where dots or slashes were resolved, too, a slash that stayed encoded might
/// lead around them (`build_match_uri_keep_encoded_slash` in `apisix/init.lua`).
pub(crate) fn keep_encoded_slashes(path: &[u8], uri: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut is_kept = false;
    let mut rest = path;
    let mut decoded = uri.iter();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digit = |byte: &u8| (*byte as char).to_digit(16);
        let pair = after.first_chunk::<2>().filter(|_| byte == b'%');
        let coded = pair.and_then(|[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8));
        if coded.is_some() {
            rest = after.get(2..).unwrap_or_default();
        }
        let plain = coded.unwrap_or(byte);
        if decoded.next() != Some(&plain) {
            return false;
        }
        if coded == Some(b'/') {
            is_kept = true;
            out.extend_from_slice(b"%2F");
        } else {
            out.push(plain);
        }
    }
    is_kept && decoded.next().is_none()
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
    fn parameters_of_servlets_are_dropped() {
        for (uri, expected) in [
            ("/hello", Some("/hello")),
            ("/hello;world", Some("/hello")),
            ("/hello;a=b/world;a/;", Some("/hello/world/")),
            ("/a;x;y/b", Some("/a/b")),
            ("/a;", Some("/a")),
            ("/;", Some("/")),
            ("/;/a", None),
            ("/b/;/c", None),
            ("/.;", None),
            ("/..;", None),
            ("/a/..;x/b", None),
            ("/%2e;", None),
            ("/%2E%2e;", None),
            ("/...;", Some("/...")),
        ] {
            let mut out = Vec::new();
            let result = drop_parameters(uri.as_bytes(), &mut out)
                .map(|()| String::from_utf8_lossy(&out).into_owned());
            assert_eq!(result.ok().as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn encoded_slashes_are_kept_where_nothing_else_was_resolved() {
        for (path, expected) in [
            ("/v1/te%2Fst/x", Some("/v1/te%2Fst/x")),
            ("/v1/te%2fst%41/x", Some("/v1/te%2FstA/x")),
            ("/a%252Fb%2f", Some("/a%2Fb%2F")),
            ("/v1/test", None),
            ("/v1/te%41st", None),
            ("/x%2Fy/../..", None),
            ("/a%2Fb/%2e%2e", None),
            ("/a%2F/b", None),
            ("//a%2Fb", None),
        ] {
            let (mut uri, mut out) = (Vec::new(), Vec::new());
            normalize(path.as_bytes(), &mut uri).expect("a path");
            let is_kept = keep_encoded_slashes(path.as_bytes(), &uri, &mut out);
            let kept = is_kept.then(|| String::from_utf8_lossy(&out).into_owned());
            assert_eq!(kept.as_deref(), expected, "{path}");
        }
    }

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
