//! The response head of an upstream.

use std::{mem::MaybeUninit, ops::Range};

use lockgate_net::buffer::Buffer;

use crate::{
    field::Known,
    head::{self, Framing, HeadError, Parsed, Version},
    headers::Headers,
    limits,
};

/// A response head, kept for the whole exchange.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// The fields.
    pub headers: Headers,
    status: u16,
    reason_at: Range<usize>,
    version: Version,
    framing: Framing,
    keeps_alive: bool,
    has_length: Option<u64>,
    pending: bool,
}

/// What a response answers; decides whether it has a body (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The request's method was HEAD.
    pub is_head: bool,
    /// The request asked to change the protocol.
    pub is_upgrade: bool,
}

impl ResponseHead {
    /// Makes room for the next response.
    pub fn clear(&mut self) {
        self.headers.clear();
        self.pending = false;
        self.status = 0;
        self.has_length = None;
    }

    /// Takes the head from the front of `buffer`; false when more bytes are needed.
    ///
    /// As [`RequestHead::feed`](crate::request::RequestHead::feed).
    ///
    /// # Errors
    /// The upstream does not speak HTTP/1.1 as RFC 9112 has it: its connection must be closed.
    pub fn feed(&mut self, buffer: &mut Buffer, asked: Asked) -> Result<bool, HeadError> {
        if !self.pending {
            if let Some(len) = self.parse(buffer.filled(), asked)? {
                let filled = buffer.filled().get(..len).unwrap_or_default();
                self.headers.bytes_mut().extend_from_slice(filled);
                buffer.consume(len);
                return Ok(true);
            }
            self.headers.bytes_mut().extend_from_slice(buffer.filled());
            buffer.clear();
            self.pending = true;
            return self.check_partial();
        }
        let known = self.headers.bytes().len();
        self.headers.bytes_mut().extend_from_slice(buffer.filled());
        if !head::has_empty_line(self.headers.bytes(), known) {
            buffer.clear();
            return self.check_partial();
        }
        let bytes = std::mem::take(self.headers.bytes_mut());
        let parsed = self.parse(&bytes, asked);
        *self.headers.bytes_mut() = bytes;
        let Some(len) = parsed? else {
            buffer.clear();
            return self.check_partial();
        };
        buffer.keep_last(self.headers.bytes().len() - len);
        self.headers.bytes_mut().truncate(len);
        self.pending = false;
        Ok(true)
    }

    fn check_partial(&self) -> Result<bool, HeadError> {
        if self.headers.bytes().len() > limits::RESPONSE_HEAD_BYTES {
            Err(HeadError::TooLarge)
        } else {
            Ok(false)
        }
    }

    fn parse(&mut self, bytes: &[u8], asked: Asked) -> Result<Option<usize>, HeadError> {
        // The parser would skip empty lines in front; nothing may stand there.
        if bytes.first() != Some(&b'H') {
            return Err(HeadError::Malformed("the start line is malformed"));
        }
        let mut room: Parsed<'_> = [const { MaybeUninit::uninit() }; limits::FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let head_len =
            match config.parse_response_with_uninit_headers(&mut response, bytes, &mut room)? {
                httparse::Status::Complete(len) => len,
                httparse::Status::Partial => return Ok(None),
            };
        if head_len > limits::RESPONSE_HEAD_BYTES {
            return Err(HeadError::TooLarge);
        }
        let Some(status) = response.code.filter(|code| (100..=599).contains(code)) else {
            return Err(HeadError::Malformed("the status code is out of range"));
        };
        let reason = response.reason.unwrap_or_default().as_bytes();
        let reason_start = if reason.is_empty() {
            0
        } else {
            head::offset(bytes, reason)
        };
        self.status = status;
        self.reason_at = reason_start..reason_start + reason.len();
        self.version = if response.version == Some(0) {
            Version::Http10
        } else {
            Version::Http11
        };
        let line_end = response
            .headers
            .first()
            .map_or(head_len.saturating_sub(2), |first| {
                head::offset(bytes, first.name.as_bytes())
            });
        if line_end < 2 || bytes.get(line_end - 2) != Some(&b'\r') {
            return Err(HeadError::Malformed("a line does not end with CRLF"));
        }
        let facts = head::index(
            bytes,
            head_len,
            response.headers,
            &mut self.headers,
            self.version,
        )?;
        if facts.names_fields {
            head::drop_named_fields(bytes, &mut self.headers);
        }
        self.has_length = facts.length;
        self.framing = match (facts.is_chunked, facts.length) {
            _ if asked.is_head || matches!(status, 100..=199 | 204 | 304) => Framing::None,
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        };
        self.keeps_alive = facts.keeps_alive(self.version) && self.framing != Framing::UntilClose;
        if status == 101 && !asked.is_upgrade {
            return Err(HeadError::Malformed("101 was not asked for"));
        }
        Ok(Some(head_len))
    }

    /// The status code, 100 to 599.
    #[inline]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Gives the response another final status, whose reason phrase is left to whoever sends it. Where the body ends stays as it was.
    ///
    /// A change of protocols stays one, and what is no final status (200 to 599) is passed over.
    pub fn set_status(&mut self, status: u16) {
        if status != self.status && self.status != 101 && (200..=599).contains(&status) {
            self.status = status;
            self.reason_at = 0..0;
        }
    }

    /// Whether a response of this status has no body, whatever its fields say (RFC 9110 §6.4.1).
    pub fn forbids_body(status: u16) -> bool {
        matches!(status, 100..=199 | 204 | 304)
    }

    /// Becomes the head of an answer of the gateway's own: no fields yet, a body of a known length.
    pub fn begin(&mut self, status: u16, length: u64) {
        self.clear();
        self.status = status;
        self.reason_at = 0..0;
        self.version = Version::Http11;
        self.framing = Framing::Length(length);
        self.keeps_alive = true;
        self.has_length = Some(length);
    }

    /// Whether this is an interim response, after which another one follows. 101 is final.
    #[inline]
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// The reason phrase, maybe empty.
    #[inline]
    pub fn reason(&self) -> &[u8] {
        self.headers
            .bytes()
            .get(self.reason_at.clone())
            .unwrap_or_default()
    }

    /// Where the body ends.
    #[inline]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The `Content-Length` field, which a response without a body may carry too (HEAD, 304).
    #[inline]
    pub fn content_length(&self) -> Option<u64> {
        self.has_length
    }

    /// Whether the upstream lets the connection live on.
    #[inline]
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Whether the upstream said that it sends trailers.
    pub fn announces_trailers(&self) -> bool {
        self.headers.get_known(Known::Trailer).is_some()
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
