//! Slow and obvious readers of HTTP/1.1, to compare the engine with: whole input, strict, no state.

/// What is known of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Words of the start line.
    pub start: Vec<Vec<u8>>,
    /// Names and values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes up to the end of the empty line.
    pub len: usize,
}

/// Why a head was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHead {
    /// There is no empty line.
    Incomplete,
    /// It breaks a rule of RFC 9112.
    Malformed,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// There is none.
    AtOnce,
    /// After so many bytes.
    After(u64),
    /// In chunks.
    Chunked,
}

impl Head {
    /// Values of a field.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
            .collect()
    }

    /// How the body of a message ends that has one; `None` where the fields contradict each other.
    pub fn ends(&self) -> Option<Ends> {
        // The version stands first in a response and last in a request.
        let is_old = [self.start.first(), self.start.get(2)]
            .into_iter()
            .flatten()
            .any(|word| word == b"HTTP/1.0");
        match (
            self.all("content-length").as_slice(),
            self.all("transfer-encoding").as_slice(),
        ) {
            ([], []) => Some(Ends::AtOnce),
            ([length], []) if length.iter().all(u8::is_ascii_digit) => {
                let number = std::str::from_utf8(length).ok()?.parse::<i64>().ok()?;
                (length.len() <= 19).then_some(Ends::After(number.unsigned_abs()))
            }
            ([], [coding]) if !is_old && coding.eq_ignore_ascii_case(b"chunked") => {
                Some(Ends::Chunked)
            }
            _ => None,
        }
    }
}

/// Reads a request head, but for what its target and `Host` must look like.
///
/// # Errors
/// See [`NoHead`].
pub fn request(bytes: &[u8]) -> Result<Head, NoHead> {
    let mut skipped = 0;
    while bytes.get(skipped..skipped + 2) == Some(b"\r\n") {
        skipped += 2;
    }
    let mut head = fields(bytes.get(skipped..).unwrap_or_default(), 3)?;
    head.len += skipped;
    let [method, target, version] = head.start.as_slice() else {
        return Err(NoHead::Malformed);
    };
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || b"_-".contains(byte);
    let is_target = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    if method.is_empty()
        || !method.iter().all(is_method)
        || target.is_empty()
        || !target.iter().all(is_target)
        || !(version == b"HTTP/1.1" || version == b"HTTP/1.0")
    {
        return Err(NoHead::Malformed);
    }
    Ok(head)
}

/// Reads a response head.
///
/// # Errors
/// See [`NoHead`].
pub fn response(bytes: &[u8]) -> Result<Head, NoHead> {
    let head = fields(bytes, 3)?;
    let [version, status, ..] = head.start.as_slice() else {
        return Err(NoHead::Malformed);
    };
    if !(version == b"HTTP/1.1" || version == b"HTTP/1.0")
        || status.len() != 3
        || !status.iter().all(u8::is_ascii_digit)
    {
        return Err(NoHead::Malformed);
    }
    Ok(head)
}

/// Splits a head into lines, and these into their parts.
fn fields(bytes: &[u8], words: usize) -> Result<Head, NoHead> {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or(NoHead::Incomplete)?;
    let text = bytes.get(..end).unwrap_or_default();
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    lines.push(rest);
    if lines
        .iter()
        .any(|line| line.iter().any(|byte| b"\r\n\0".contains(byte)))
    {
        return Err(NoHead::Malformed);
    }
    let mut lines = lines.into_iter();
    let start = lines.next().unwrap_or_default();
    let start = start
        .splitn(words, |byte| *byte == b' ')
        .map(<[u8]>::to_vec)
        .collect();
    let mut fields = Vec::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':');
        let colon = colon.ok_or(NoHead::Malformed)?;
        let name = line.get(..colon).unwrap_or_default();
        let value = line.get(colon + 1..).unwrap_or_default();
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        if name.is_empty() || !name.iter().all(is_token) || !value.iter().all(is_text) {
            return Err(NoHead::Malformed);
        }
        fields.push((name.to_vec(), trim(value).to_vec()));
    }
    Ok(Head {
        start,
        fields,
        len: end + 4,
    })
}

/// Without spaces and tabs at both ends.
fn trim(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !b" \t".contains(byte);
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |at| at + 1);
    value.get(start..end).unwrap_or_default()
}

/// Decodes a whole chunked body: its data and the length of its coding. `None` where it is malformed or not whole.
pub fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let line_len = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = rest.get(..line_len)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = digits.count();
        let extension = line.get(digits..)?;
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        if digits == 0
            || digits > 15
            || !(extension.is_empty() || trim(extension).first() == Some(&b';'))
            || !extension.iter().all(is_text)
        {
            return None;
        }
        let size =
            usize::from_str_radix(std::str::from_utf8(line.get(..digits)?).ok()?, 16).ok()?;
        at += line_len + 2;
        if size == 0 {
            break;
        }
        data.extend_from_slice(bytes.get(at..at.checked_add(size)?)?);
        at += size;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    // Trailers: lines up to an empty one. What stands in them is looked at later.
    loop {
        let rest = bytes.get(at..)?;
        let line_len = rest.iter().position(|byte| *byte == b'\n')?;
        if line_len == 0 || rest.get(line_len - 1)? != &b'\r' {
            return None;
        }
        at += line_len + 1;
        if line_len == 1 {
            return Some((data, at));
        }
    }
}
