//! What heads of requests and responses have in common: versions, framing, strict line ends, errors.

use std::{mem::MaybeUninit, ops::Range};

use thiserror::Error;

use crate::{
    field::{Known, is_same, tokens},
    headers::{Field, Headers},
    limits,
};

/// Version of a message; every other one is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

impl Version {
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// Where a message's body ends (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// After this many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// When the sender closes the connection; responses only.
    UntilClose,
}

/// Why a head was refused. The message is for the log; the client sees the status alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeadError {
    /// Not HTTP as RFC 9112 has it.
    #[error("{0}")]
    Malformed(&'static str),
    /// The request line is too long.
    #[error("the request line is longer than 8192 bytes")]
    LineTooLong,
    /// A header line, or all of them, are too long.
    #[error("the header is too large")]
    TooLarge,
    /// A version that is not served.
    #[error("the HTTP version is not supported")]
    Version,
    /// A transfer coding other than `chunked`.
    #[error("the transfer coding is not implemented")]
    Coding,
    /// A method that no gateway forwards (`CONNECT`, `TRACE`), as nginx.
    #[error("the method is not allowed")]
    Method,
}

impl HeadError {
    /// The status a client gets, as nginx answers.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::TooLarge => 400,
            Self::LineTooLong => 414,
            Self::Version => 505,
            Self::Coding => 501,
            Self::Method => 405,
        }
    }
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::HeaderName => Self::Malformed("a header name is malformed"),
            httparse::Error::HeaderValue => {
                Self::Malformed("a header value holds a control character")
            }
            httparse::Error::NewLine => Self::Malformed("a line does not end with CRLF"),
            httparse::Error::Status => Self::Malformed("the status code is malformed"),
            httparse::Error::Token => Self::Malformed("the start line is malformed"),
            httparse::Error::TooManyHeaders => Self::TooLarge,
            httparse::Error::Version => Self::Version,
        }
    }
}

/// Room for the parser's output, uninitialised.
pub(crate) type Parsed<'b> = [MaybeUninit<httparse::Header<'b>>; limits::FIELDS];

/// Offset of `part` in `whole`, of which it is a slice.
#[inline]
pub(crate) fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// What the fields of a head say about framing and the connection.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact of a head"
)]
pub(crate) struct Facts {
    pub(crate) length: Option<u64>,
    pub(crate) is_chunked: bool,
    pub(crate) hosts: u8,
    pub(crate) says_close: bool,
    pub(crate) says_keep_alive: bool,
    pub(crate) says_upgrade: bool,
    /// `Connection` names other fields, which end here too.
    pub(crate) names_fields: bool,
    pub(crate) has_upgrade: bool,
    pub(crate) expects_continue: bool,
}

/// Indexes parsed fields into `headers` and reads from them what decides about framing.
///
/// `first` is the offset behind the start line. Refuses lines that do not end with CRLF: two readers that disagree on a
/// bare LF are how requests are smuggled (RFC 9112 §2.2 allows it, does not ask for it).
pub(crate) fn index(
    bytes: &[u8],
    head_len: usize,
    parsed: &[httparse::Header<'_>],
    headers: &mut Headers,
    version: Version,
) -> Result<Facts, HeadError> {
    const BARE: HeadError = HeadError::Malformed("a line does not end with CRLF");
    let mut facts = Facts::default();
    headers.reserve(parsed.len());
    let ends_with_crlf = |end: usize| end >= 2 && bytes.get(end - 2..end) == Some(b"\r\n");
    if !ends_with_crlf(head_len) {
        return Err(BARE);
    }
    // Each line begins where the one before ends, so one look at each end sees every line end.
    let mut start = parsed
        .first()
        .map_or(head_len - 2, |first| offset(bytes, first.name.as_bytes()));
    if !ends_with_crlf(start) {
        return Err(BARE);
    }
    let mut next = parsed.iter().skip(1);
    for header in parsed {
        let end = next
            .next()
            .map_or(head_len - 2, |next| offset(bytes, next.name.as_bytes()));
        if !ends_with_crlf(end) {
            return Err(BARE);
        }
        if end - start > limits::HEADER_LINE_BYTES {
            return Err(HeadError::TooLarge);
        }
        // An empty value has no address of its own.
        let value = if header.value.is_empty() {
            end - 2
        } else {
            offset(bytes, header.value)
        };
        let known = Known::of(header.name.as_bytes());
        headers.index(
            start..start + header.name.len(),
            value..value + header.value.len(),
            end,
            known,
        );
        if known != Known::Other {
            facts.take(known, header.value, version)?;
        }
        start = end;
    }
    if facts.is_chunked && facts.length.is_some() {
        return Err(HeadError::Malformed(
            "both Content-Length and Transfer-Encoding",
        ));
    }
    Ok(facts)
}

impl Facts {
    fn take(&mut self, known: Known, value: &[u8], version: Version) -> Result<(), HeadError> {
        match known {
            Known::Host => self.hosts = self.hosts.saturating_add(1),
            Known::ContentLength => {
                if self.length.is_some() {
                    return Err(HeadError::Malformed("more than one Content-Length"));
                }
                self.length = Some(
                    decimal(value)
                        .ok_or(HeadError::Malformed("the Content-Length is not a number"))?,
                );
            }
            Known::TransferEncoding => {
                if version == Version::Http10 {
                    return Err(HeadError::Malformed("Transfer-Encoding in HTTP/1.0"));
                }
                if self.is_chunked {
                    return Err(HeadError::Malformed("more than one Transfer-Encoding"));
                }
                if !is_same(value, b"chunked") {
                    return Err(HeadError::Coding);
                }
                self.is_chunked = true;
            }
            Known::Connection => {
                for token in tokens(value) {
                    if is_same(token, b"keep-alive") {
                        self.says_keep_alive = true;
                    } else if is_same(token, b"close") {
                        self.says_close = true;
                    } else if is_same(token, b"upgrade") {
                        self.says_upgrade = true;
                    } else {
                        self.names_fields = true;
                    }
                }
            }
            Known::Upgrade => self.has_upgrade = true,
            Known::Expect => self.expects_continue = value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        Ok(())
    }

    /// Whether the connection may be used again after this message (RFC 9112 §9.3).
    pub(crate) fn keeps_alive(&self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.says_close,
            Version::Http10 => self.says_keep_alive && !self.says_close,
        }
    }
}

/// Removes the fields that `Connection` names: they are for this hop alone (RFC 9110 §7.6.1).
///
/// `bytes` are those the index was made over: the block's own are filled by the caller only afterwards.
pub(crate) fn drop_named_fields(bytes: &[u8], headers: &mut Headers) {
    let connection: Vec<Range<usize>> = headers
        .kept()
        .filter(|field| field.known() == Known::Connection)
        .map(Field::value_range)
        .collect();
    let named: Vec<&[u8]> = connection
        .into_iter()
        .flat_map(|range| tokens(bytes.get(range).unwrap_or_default()))
        .collect();
    headers.drop_where(|field| {
        let name = bytes.get(field.name_range()).unwrap_or_default();
        // What the message means or where it ends is not for `Connection` to take away.
        !matches!(
            field.known(),
            Known::Host
                | Known::ContentLength
                | Known::ContentType
                | Known::TransferEncoding
                | Known::Connection
                | Known::Upgrade
        ) && named.iter().any(|token| token.eq_ignore_ascii_case(name))
    });
}

/// Reads a number of digits alone, up to [`limits::LENGTH_MAX`].
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut number = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    (number <= limits::LENGTH_MAX).then_some(number)
}

/// Whether an empty line ends the bytes from `from` on, where a head may be complete.
pub(crate) fn has_empty_line(bytes: &[u8], from: usize) -> bool {
    let tail = bytes.get(from.saturating_sub(3)..).unwrap_or_default();
    memchr::memchr_iter(b'\n', tail)
        .any(|at| matches!(tail.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_numbers_only() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("9223372036854775807", Some(limits::LENGTH_MAX)),
            ("9223372036854775808", None),
            ("", None),
            ("+1", None),
            ("1,1", None),
            ("0x1", None),
            ("1 ", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn sees_an_empty_line_across_reads() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        for from in 0..=bytes.len() {
            assert!(has_empty_line(bytes, from), "{from}");
        }
        assert!(!has_empty_line(&bytes[..bytes.len() - 1], 0));
    }
}
