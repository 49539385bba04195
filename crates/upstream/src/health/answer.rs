//! What the answer to a probe says: its status, and whether it is there to its end.

/// The status of a line `HTTP/digits.digits spaces digits`, as the reference reads it.
pub(crate) fn status(line: &[u8]) -> Option<u16> {
    let (protocol, version) = line.split_at_checked(5)?;
    if !protocol.eq_ignore_ascii_case(b"http/") {
        return None;
    }
    let (major, rest) = digits(version);
    let (minor, rest) = digits(rest.strip_prefix(b".")?);
    let spaces = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    let (status, _) = digits(rest.get(spaces.count()..)?);
    if major.is_empty() || minor.is_empty() || !rest.first()?.is_ascii_whitespace() {
        return None;
    }
    // A number too large for a status is in no list.
    let text = std::str::from_utf8(status)
        .ok()
        .filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or(u16::MAX))
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(count).unwrap_or_default()
}

/// How much of an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Some of it is to come.
    Part,
    /// All of it, and nothing else: its connection can be used again.
    Whole,
    /// Its connection cannot be used again: the server closes it, or where the answer ends is not plain.
    Last,
}

/// How much of an answer these bytes are. Errs on the side of [`Extent::Last`].
pub(crate) fn extent(answer: &[u8], is_head: bool) -> Extent {
    let is_end = |at: &usize| {
        answer
            .get(..=*at)
            .unwrap_or_default()
            .ends_with(b"\r\n\r\n")
    };
    let Some(end) = memchr::memchr_iter(b'\n', answer).find(is_end) else {
        return Extent::Part;
    };
    let (head, body) = answer.split_at_checked(end + 1).unwrap_or_default();
    let mut ends = memchr::memchr_iter(b'\n', head);
    let mut from = ends.next().map_or(0, |end| end + 1);
    let first = head.get(..from).unwrap_or_default();
    let Some(status @ 200..) = status(first).filter(|_| first.starts_with(b"HTTP/1.1 ")) else {
        return Extent::Last;
    };
    let (mut length, mut is_chunked) = (None, false);
    for end in ends {
        let line = head.get(from..end).unwrap_or_default();
        from = end + 1;
        if let Some(value) = value(line, b"content-length") {
            let text = std::str::from_utf8(value).ok();
            let Some(bytes) = text.and_then(|text| text.parse::<usize>().ok()) else {
                return Extent::Last;
            };
            if length.replace(bytes).is_some() {
                return Extent::Last;
            }
        } else if let Some(value) = value(line, b"transfer-encoding") {
            if is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Extent::Last;
            }
            is_chunked = true;
        } else if value(line, b"connection")
            .is_some_and(|value| !value.eq_ignore_ascii_case(b"keep-alive"))
        {
            return Extent::Last;
        }
    }
    if is_head || matches!(status, 204 | 304) {
        length = Some(0);
    } else if is_chunked {
        let is_end = body == b"0\r\n\r\n" || body.ends_with(b"\r\n0\r\n\r\n");
        return match length {
            Some(_) => Extent::Last,
            None if is_end => Extent::Whole,
            None => Extent::Part,
        };
    }
    match length.map(|length| body.len().cmp(&length)) {
        Some(std::cmp::Ordering::Less) => Extent::Part,
        Some(std::cmp::Ordering::Equal) => Extent::Whole,
        Some(std::cmp::Ordering::Greater) | None => Extent::Last,
    }
}

/// The value of a line of this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (its_name, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    its_name
        .eq_ignore_ascii_case(name)
        .then(|| value.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_lines() {
        for (line, expected) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("http/1.0  404\n", Some(404)),
            ("HTTP/2.0\t503\r\n", Some(503)),
            ("HTTP/1.1 99999 x\n", Some(u16::MAX)),
            ("HTTP/1.1 2x\n", Some(2)),
            ("HTTP/1 200\n", None),
            ("HTTP/1.1200\n", None),
            ("HTTP/1.1 \n", None),
            ("HTTP/.1 200\n", None),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("HT", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn knows_where_an_answer_ends() {
        use Extent::{Last, Part, Whole};
        for (fields, body, expected) in [
            ("Content-Length: 2\r\n", "ok", Whole),
            (
                "content-length: 2\r\nConnection: keep-alive\r\n",
                "ok",
                Whole,
            ),
            ("Content-Length: 2\r\n", "o", Part),
            ("Content-Length: 2\r\n", "okH", Last),
            ("Content-Length: 2\r\nConnection: close\r\n", "ok", Last),
            ("Content-Length: 2\r\nContent-Length: 2\r\n", "ok", Last),
            ("Content-Length: +-2\r\n", "ok", Last),
            (
                "Date: today\r\nX: Content-Length: 9\r\ncontent-LENGTH:2\r\n",
                "ok",
                Whole,
            ),
            (
                "Connection: keep-alive, Upgrade\r\nContent-Length: 0\r\n",
                "",
                Last,
            ),
            ("", "", Last),
            ("Transfer-Encoding: chunked\r\n", "", Part),
            ("Transfer-Encoding: chunked\r\n", "2\r\nok\r\n", Part),
            (
                "Transfer-Encoding: chunked\r\n",
                "2\r\nok\r\n0\r\n\r\n",
                Whole,
            ),
            ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", Whole),
            ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", Last),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                "0\r\n\r\n",
                Last,
            ),
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
            assert_eq!(extent(answer.as_bytes(), false), expected, "{answer:?}");
        }
        for (answer, is_head, expected) in [
            ("HTTP/1.1 204 X\r\n\r\n", false, Whole),
            ("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", false, Whole),
            ("HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", true, Whole),
            ("HTTP/1.1 204 X\r\n\r\nH", false, Last),
            ("HTTP/1.1 103 X\r\n\r\n", false, Last),
            ("HTTP/1.0 204 X\r\n\r\n", false, Last),
            ("HTTP/1.1 204 X\r\n", false, Part),
            ("nonsense\r\n\r\n", false, Last),
        ] {
            assert_eq!(extent(answer.as_bytes(), is_head), expected, "{answer:?}");
        }
    }
}
