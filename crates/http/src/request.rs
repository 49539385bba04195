//! The request head.

use std::{mem::MaybeUninit, ops::Range};

use lockgate_net::buffer::Buffer;

use crate::{
    field::Known,
    head::{self, Framing, HeadError, Parsed, Version},
    headers::Headers,
    limits,
};

/// A request method.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// PATCH
    Patch,
    /// OPTIONS
    Options,
    /// PURGE
    Purge,
    /// LOCK
    Lock,
    /// Any other; its name is [`RequestHead::method_name`].
    Other,
}

impl Method {
    /// The method of this name; names are told apart by case.
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"PATCH" => Self::Patch,
            b"OPTIONS" => Self::Options,
            b"PURGE" => Self::Purge,
            b"LOCK" => Self::Lock,
            _ => Self::Other,
        }
    }

    /// Whether sending the request twice has the effect of sending it once (RFC 9110 §9.2.2).
    pub fn is_idempotent(self) -> bool {
        // nginx counts POST, LOCK and PATCH as not idempotent (`proxy_next_upstream non_idempotent`).
        !matches!(self, Self::Post | Self::Patch | Self::Lock)
    }
}

/// A request head, kept for the whole exchange.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact of a head"
)]
pub struct RequestHead {
    /// The fields.
    pub headers: Headers,
    method: Method,
    method_at: Range<usize>,
    target_at: Range<usize>,
    path_at: Range<usize>,
    query_at: Range<usize>,
    authority_at: Range<usize>,
    version: Version,
    framing: Framing,
    keeps_alive: bool,
    expects_continue: bool,
    wants_upgrade: bool,
    head_len: usize,
    pending: bool,
}

impl RequestHead {
    /// Makes room for the next request. Nothing of the last one is left to be taken for a fact of a head that is refused.
    pub fn clear(&mut self) {
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        *self = Self {
            headers,
            ..Self::default()
        };
    }

    /// Whether a part of a head has been taken.
    pub fn is_started(&self) -> bool {
        self.pending
    }

    /// Takes the head from the front of `buffer`; false when more bytes are needed.
    ///
    /// What does not belong to the head stays in the buffer. While a head is incomplete its bytes are kept here and the
    /// buffer is left empty.
    ///
    /// # Errors
    /// The request must be answered with [`HeadError::status`] and the connection closed: where the next request would begin
    /// is not known.
    pub fn feed(&mut self, buffer: &mut Buffer) -> Result<bool, HeadError> {
        if !self.pending {
            let parsed = self.parse(buffer.filled());
            if let Ok(Some(len)) = parsed {
                let filled = buffer.filled().get(..len).unwrap_or_default();
                self.headers.bytes_mut().extend_from_slice(filled);
                buffer.consume(len);
                return Ok(true);
            }
            // Kept for the rest of the head, or for the log.
            self.headers.bytes_mut().extend_from_slice(buffer.filled());
            buffer.clear();
            self.pending = true;
            parsed?;
            return self.check_partial().map(|()| false);
        }
        let known = self.headers.bytes().len();
        self.headers.bytes_mut().extend_from_slice(buffer.filled());
        if !head::has_empty_line(self.headers.bytes(), known) {
            buffer.clear();
            return self.check_partial().map(|()| false);
        }
        let bytes = std::mem::take(self.headers.bytes_mut());
        let parsed = self.parse(&bytes);
        *self.headers.bytes_mut() = bytes;
        let Some(len) = parsed? else {
            // An empty line in front of the request line looks like the end of a head.
            buffer.clear();
            return self.check_partial().map(|()| false);
        };
        buffer.keep_last(self.headers.bytes().len() - len);
        self.headers.bytes_mut().truncate(len);
        self.pending = false;
        Ok(true)
    }

    /// Limits of a head that is not complete.
    fn check_partial(&self) -> Result<(), HeadError> {
        let bytes = self.headers.bytes();
        if bytes.len() > limits::REQUEST_LINE_BYTES
            && !bytes
                .get(..limits::REQUEST_LINE_BYTES)
                .unwrap_or_default()
                .contains(&b'\n')
        {
            return Err(HeadError::LineTooLong);
        }
        if bytes.len() > limits::REQUEST_HEAD_BYTES {
            Err(HeadError::TooLarge)
        } else {
            Ok(())
        }
    }

    /// Parses a head at the front of `bytes` and returns its length, or `None` when it is not complete.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        let mut room: Parsed<'_> = [const { MaybeUninit::uninit() }; limits::FIELDS];
        let mut request = httparse::Request::new(&mut []);
        let head_len = match request.parse_with_uninit_headers(bytes, &mut room) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::Version) if !names_version(bytes) => {
                return Err(HeadError::Malformed("the version is malformed"));
            }
            Err(error) => return Err(error.into()),
        };
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(HeadError::Malformed("the request line is malformed"));
        };
        let (method, target) = (method.as_bytes(), target.as_bytes());
        let method_start = head::offset(bytes, method);
        let target_start = head::offset(bytes, target);
        let line_end = request
            .headers
            .first()
            .map_or(head_len.saturating_sub(2), |first| {
                head::offset(bytes, first.name.as_bytes())
            });
        if line_end - method_start > limits::REQUEST_LINE_BYTES {
            return Err(HeadError::LineTooLong);
        }
        if head_len - method_start > limits::REQUEST_HEAD_BYTES {
            return Err(HeadError::TooLarge);
        }
        let before = bytes.get(..method_start).unwrap_or_default();
        if !before.chunks(2).all(|pair| pair == b"\r\n")
            || line_end < 2
            || bytes.get(line_end - 2) != Some(&b'\r')
        {
            return Err(HeadError::Malformed("a line does not end with CRLF"));
        }
        self.version = if request.version == Some(0) {
            Version::Http10
        } else {
            Version::Http11
        };
        self.method_at = method_start..method_start + method.len();
        self.target_at = target_start..target_start + target.len();
        self.method = Method::of(method);
        if self.method == Method::Other {
            check_method(method)?;
        }
        let facts = head::index(
            bytes,
            head_len,
            request.headers,
            &mut self.headers,
            self.version,
        )?;
        self.split_target(target, target_start)?;
        if facts.hosts > 1 {
            return Err(HeadError::Malformed("more than one Host"));
        }
        if facts.hosts == 0 && self.version == Version::Http11 {
            return Err(HeadError::Malformed("no Host"));
        }
        if self.authority_at.is_empty()
            && let Some(field) = self
                .headers
                .kept()
                .find(|field| field.known() == Known::Host)
        {
            self.authority_at = field.value_range();
        }
        let authority = bytes.get(self.authority_at.clone()).unwrap_or_default();
        if (facts.hosts > 0 || !authority.is_empty()) && !is_authority(authority) {
            return Err(HeadError::Malformed("the Host is malformed"));
        }
        self.framing = match (facts.is_chunked, facts.length) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::None,
        };
        self.keeps_alive = facts.keeps_alive(self.version);
        self.expects_continue = facts.expects_continue && self.version == Version::Http11;
        self.wants_upgrade =
            facts.has_upgrade && facts.says_upgrade && self.version == Version::Http11;
        self.head_len = head_len;
        if facts.names_fields {
            head::drop_named_fields(bytes, &mut self.headers);
        }
        Ok(Some(head_len))
    }

    /// Finds path and query in the target (RFC 9112 §3.2: origin form, and absolute form for http and https).
    fn split_target(&mut self, target: &[u8], at: usize) -> Result<(), HeadError> {
        const MALFORMED: HeadError = HeadError::Malformed("the request target is malformed");
        self.authority_at = 0..0;
        let mut start = 0;
        if target.first() != Some(&b'/') {
            let scheme_len = match target {
                _ if starts_with_ignore_case(target, b"http://") => 7,
                _ if starts_with_ignore_case(target, b"https://") => 8,
                _ => return Err(MALFORMED),
            };
            let rest = target.get(scheme_len..).unwrap_or_default();
            let authority_len = rest
                .iter()
                .position(|byte| matches!(byte, b'/' | b'?'))
                .unwrap_or(rest.len());
            if authority_len == 0 {
                return Err(MALFORMED);
            }
            start = scheme_len + authority_len;
            self.authority_at = at + scheme_len..at + start;
        }
        let rest = target.get(start..).unwrap_or_default();
        if memchr::memchr(b'#', rest).is_some() {
            return Err(HeadError::Malformed("the request target holds a fragment"));
        }
        let path_len = memchr::memchr(b'?', rest).unwrap_or(rest.len());
        let path_start = at + start;
        self.path_at = path_start..path_start + path_len;
        let end = at + target.len();
        self.query_at = (path_start + path_len + 1).min(end)..end;
        Ok(())
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.headers.bytes().get(range.clone()).unwrap_or_default()
    }

    /// The method.
    #[inline]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method's name.
    #[inline]
    pub fn method_name(&self) -> &[u8] {
        self.part(&self.method_at)
    }

    /// The request target as received.
    #[inline]
    pub fn target(&self) -> &[u8] {
        self.part(&self.target_at)
    }

    /// Path and query as received, without scheme and authority; begins with `/` or is empty.
    #[inline]
    pub fn path_and_query(&self) -> &[u8] {
        self.part(&(self.path_at.start..self.target_at.end))
    }

    /// The path as received.
    #[inline]
    pub fn raw_path(&self) -> &[u8] {
        self.part(&self.path_at)
    }

    /// The query without its `?`; `None` where there is no `?`.
    #[inline]
    pub fn query(&self) -> Option<&[u8]> {
        (self.path_at.end < self.target_at.end).then(|| self.part(&self.query_at))
    }

    /// Authority of the request: of the target in absolute form, else the `Host` field; empty where there is none.
    #[inline]
    pub fn authority(&self) -> &[u8] {
        self.part(&self.authority_at)
    }

    /// The version.
    #[inline]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where the body ends.
    #[inline]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client lets the connection live on.
    #[inline]
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    #[inline]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether the client asks to change the protocol.
    #[inline]
    pub fn wants_upgrade(&self) -> bool {
        self.wants_upgrade
    }

    /// Bytes of the head as received.
    #[inline]
    pub fn len(&self) -> usize {
        self.head_len
    }

    /// Whether no head was parsed.
    pub fn is_empty(&self) -> bool {
        self.head_len == 0
    }

    /// The request line as received, without its line end; of a head that was refused, its first line as far as it came.
    pub fn line(&self) -> &[u8] {
        if self.head_len == 0 {
            let bytes = self.headers.bytes().trim_ascii_start();
            let end = bytes.iter().position(|byte| b"\r\n".contains(byte));
            return bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        }
        // ` HTTP/1.x` follows the target.
        self.part(&(self.method_at.start..self.target_at.end + " HTTP/1.1".len()))
    }
}

/// nginx's rule: capital letters, `_` and `-`. `CONNECT` and `TRACE` are refused by name.
fn check_method(name: &[u8]) -> Result<(), HeadError> {
    if matches!(name, b"CONNECT" | b"TRACE") {
        return Err(HeadError::Method);
    }
    if name
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'))
    {
        Ok(())
    } else {
        Err(HeadError::Malformed("the method is malformed"))
    }
}

/// Whether the third word of the request line names a version of HTTP, whichever.
fn names_version(bytes: &[u8]) -> bool {
    bytes
        .trim_ascii_start()
        .splitn(3, |byte| *byte == b' ')
        .nth(2)
        .and_then(|word| word.strip_prefix(b"HTTP/"))
        .is_some_and(|version| version.first().is_some_and(u8::is_ascii_digit))
}

fn starts_with_ignore_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether this can stand as a host with an optional port (RFC 3986 §3.2.2, without user information).
fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match memchr::memrchr(b':', text) {
        Some(colon) if text.first() != Some(&b'[') || text.get(colon - 1) == Some(&b']') => (
            text.get(..colon).unwrap_or_default(),
            text.get(colon + 1..).unwrap_or_default(),
        ),
        _ => (text, &b""[..]),
    };
    let is_host = match host {
        [b'[', inside @ .., b']'] => {
            !inside.is_empty()
                && inside
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }
        _ => is_reg_name(host),
    };
    is_host && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

/// Whether this is a name or an IPv4 address: no empty label inside, only the characters of a `reg-name`, and bytes beyond
/// ASCII, which nginx lets pass.
fn is_reg_name(host: &[u8]) -> bool {
    let mut before = 0;
    for byte in host {
        if !REG_NAME.get(usize::from(*byte)).is_some_and(|is| *is)
            || (*byte == b'.' && before == b'.')
        {
            return false;
        }
        before = *byte;
    }
    !host.is_empty()
}

/// Which bytes may stand in a host name.
static REG_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[byte] = (byte as u8).is_ascii_alphanumeric() || byte >= 0x80;
        }
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=%";
    let mut place = 0;
    while place < others.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[others[place] as usize] = true;
        }
        place += 1;
    }
    table
};

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
