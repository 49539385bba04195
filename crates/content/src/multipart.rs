//! Multipart forms (`multipart/form-data`, RFC 7578): the named parts of a body.
//!
//! Read as leniently as the reference's `multipart` 0.5 reads them: lines may end in LF alone, the last boundary may be missing, and
//! of parts with the same name the last counts, which is up to the caller. Nothing is decoded.

/// The boundary that a `Content-Type` names.
pub fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let named = parameters(content_type)
        .skip(1)
        .find_map(|parameter| strip_name(parameter, b"boundary"))?;
    Some(unquoted(named)).filter(|boundary| !boundary.is_empty())
}

/// The parts that have a name, in order: name and content.
pub fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<(&'a [u8], &'a [u8])> {
    let mut parts = Vec::new();
    let mut state = State::Outside;
    // Where the line begins, and where the one before it ended, without its line end.
    let (mut start, mut ended) = (0, 0);
    while start < body.len() {
        let rest = body.get(start..).unwrap_or_default();
        let line_len = rest.iter().position(|byte| *byte == b'\n');
        let next = start + line_len.map_or(rest.len(), |len| len + 1);
        let line = rest.get(..line_len.unwrap_or(rest.len()));
        let line = line.unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if is_boundary(line, boundary) {
            state.finish(body, ended, &mut parts);
            state = State::Head(None);
        } else {
            match &mut state {
                State::Head(name) if line.is_empty() => state = State::Content(*name, next),
                State::Head(name) => *name = name_of(line).or(*name),
                State::Outside | State::Content(..) => {}
            }
        }
        ended = start + line.len();
        start = next;
    }
    state.finish(body, body.len(), &mut parts);
    parts
}

/// Where in a body a line stands.
enum State<'a> {
    /// In front of the first boundary.
    Outside,
    /// In the head of a part whose name may be known already.
    Head(Option<&'a [u8]>),
    /// In the content of a part, which begins there.
    Content(Option<&'a [u8]>, usize),
}

impl<'a> State<'a> {
    /// Takes the part that ends here.
    fn finish(&self, body: &'a [u8], end: usize, parts: &mut Vec<(&'a [u8], &'a [u8])>) {
        if let Self::Content(Some(name), start) = self {
            // An empty content ends before it begins: the line end in front of the boundary is that of the empty line.
            parts.push((name, body.get(*start..end).unwrap_or_default()));
        }
    }
}

/// A line of two hyphens and the boundary, whatever follows: two more hyphens, or white space.
fn is_boundary(line: &[u8], boundary: &[u8]) -> bool {
    line.strip_prefix(b"--")
        .is_some_and(|line| line.starts_with(boundary))
}

/// The name that a line of a part's head gives it.
fn name_of(line: &[u8]) -> Option<&[u8]> {
    const FIELD: &[u8] = b"content-disposition";
    let rest = line.get(FIELD.len()..)?;
    if !line.get(..FIELD.len())?.eq_ignore_ascii_case(FIELD) {
        return None;
    }
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    let name = parameters(value)
        .skip(1)
        .find_map(|parameter| strip_name(parameter, b"name"))?;
    Some(unquoted(name))
}

/// What stands between semicolons that are not in quotes, without white space around.
fn parameters(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    value
        .split(move |byte| {
            is_quoted ^= *byte == b'"';
            *byte == b';' && !is_quoted
        })
        .map(<[u8]>::trim_ascii)
}

fn strip_name<'a>(parameter: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = parameter.split_at_checked(name.len())?;
    let rest = rest.strip_prefix(b"=")?;
    start.eq_ignore_ascii_case(name).then_some(rest)
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] | [b'\'', inside @ .., b'\''] => inside,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parts(body.as_bytes(), b"b")
            .into_iter()
            .map(|(name, content)| (text(name), text(content)))
            .collect()
    }

    #[test]
    fn reads_the_boundary_of_a_content_type() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            (
                "multipart/form-data;charset=x; Boundary=\"a;b\"",
                Some("a;b"),
            ),
            ("multipart/form-data; boundary='q' ; x=y", Some("q")),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data", None),
            ("boundary=x", None),
        ] {
            let expected = expected.map(str::as_bytes);
            assert_eq!(
                boundary(content_type.as_bytes()),
                expected,
                "{content_type}"
            );
        }
    }

    #[test]
    fn reads_named_parts() {
        let head = "Content-Disposition: form-data; name=";
        let check = |body: String, expected: &[(&str, &str)]| {
            let expected: Vec<(String, String)> = expected
                .iter()
                .map(|(name, content)| ((*name).to_owned(), (*content).to_owned()))
                .collect();
            assert_eq!(read(&body), expected, "{body:?}");
        };
        check(
            format!("--b\r\n{head}\"m\"\r\n\r\nx\r\n--b--\r\n"),
            &[("m", "x")],
        );
        check(format!("--b\n{head}m\n\nx\n--b--"), &[("m", "x")]);
        check(
            format!(
                "pre\r\n--b\r\n{head}\"a\"; filename=\"f;g\"\r\nContent-Type: text/plain\r\n\r\n1\r\n\r\n2\r\n--b\r\n\
                 X: y\r\n{head}\"c\"\r\n\r\n\r\n--b--\r\nafter"
            ),
            &[("a", "1\r\n\r\n2"), ("c", "")],
        );
        check(format!("--b\r\n{head}\"a\"\r\n\r\nopen"), &[("a", "open")]);
        check(format!("--b\r\n{head}\"a\"\r\n\r\n"), &[("a", "")]);
        check(format!("--b\r\n{head}\"a\"\r\n"), &[]);
        check("--b\r\nX-Name: y\r\n\r\nx\r\n--b--".into(), &[]);
        check(format!("{head}\"a\"\r\n\r\nx"), &[]);
        check("--b--".into(), &[]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in proptest::collection::vec(("[a-z]{1,4}", "[a-z \r\n]{0,12}"), 0..5)) {
            let mut body = String::new();
            for (name, content) in &parts {
                body.push_str("--b\r\nContent-Disposition: form-data; name=\"");
                body.push_str(name);
                body.push_str("\"\r\n\r\n");
                body.push_str(content);
                body.push_str("\r\n");
            }
            body.push_str("--b--\r\n");
            prop_assert_eq!(read(&body), parts);
        }

        #[test]
        fn any_bytes_are_read(body in "[-b:;=\"\r\n a]{0,64}") {
            for (name, content) in parts(body.as_bytes(), b"b") {
                prop_assert!(name.len() + content.len() <= body.len());
            }
        }
    }
}
