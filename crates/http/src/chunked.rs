//! The decoder of the chunked transfer coding (RFC 9112 §7.1), strict and incremental.
//!
//! It works in place: the data of all chunks in a buffer is moved together, so that one slice goes on.

use std::ops::Range;

use thiserror::Error;

use crate::{field::Known, headers::Headers, limits};

/// The coding is broken; what follows on the connection means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// The size is not hexadecimal digits alone, or too large.
    #[error("a chunk size is malformed")]
    Size,
    /// The size line, or the trailers, are too long.
    #[error("a chunk line or the trailer section is too long")]
    TooLong,
    /// A line does not end with CRLF, or data is longer than its chunk.
    #[error("a chunk does not end with CRLF")]
    LineEnd,
    /// A trailer field is malformed.
    #[error("a trailer field is malformed")]
    Trailer,
}

/// State of the decoder between two reads.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    size: u64,
    digits: u8,
    line: usize,
    trailers: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Padding,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// What one call decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Where the data lies.
    pub data: Range<usize>,
    /// Bytes of the input that are used up; the data lies in front of this.
    pub used: usize,
    /// The body ended at `used`.
    pub is_done: bool,
}

impl Decoder {
    /// Whether the last chunk and the trailers have been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes `input`, moving the data of its chunks together.
    ///
    /// # Errors
    /// See [`ChunkError`]; the decoder must not be used again.
    pub fn decode(&mut self, input: &mut [u8]) -> Result<Decoded, ChunkError> {
        let mut data = 0..0;
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.state {
                State::Size => {
                    match (byte as char).to_digit(16) {
                        Some(digit) => {
                            self.digits += 1;
                            self.size = self.size << 4 | u64::from(digit);
                            // 15 digits stay below 2^60.
                            if self.digits > 15 {
                                return Err(ChunkError::Size);
                            }
                        }
                        None if self.digits == 0 => return Err(ChunkError::Size),
                        None => {
                            self.state = match byte {
                                b'\r' => State::SizeEnd,
                                b';' => State::Extension,
                                b' ' | b'\t' => State::Padding,
                                _ => return Err(ChunkError::Size),
                            }
                        }
                    }
                    self.count_line()?;
                    at += 1;
                }
                // White space is allowed in front of an extension alone (RFC 9112 §7.1.1).
                State::Padding => {
                    self.state = match byte {
                        b' ' | b'\t' => State::Padding,
                        b';' => State::Extension,
                        _ => return Err(ChunkError::Size),
                    };
                    self.count_line()?;
                    at += 1;
                }
                State::Extension => {
                    match byte {
                        b'\r' => self.state = State::SizeEnd,
                        b'\t' | b' '..=b'~' | 0x80.. => {}
                        _ => return Err(ChunkError::LineEnd),
                    }
                    self.count_line()?;
                    at += 1;
                }
                State::SizeEnd => {
                    if byte != b'\n' {
                        return Err(ChunkError::LineEnd);
                    }
                    self.state = if self.size == 0 {
                        State::Trailers
                    } else {
                        State::Data
                    };
                    at += 1;
                }
                State::Data => {
                    let left = input.len() - at;
                    let count = usize::try_from(self.size).map_or(left, |size| size.min(left));
                    if data.is_empty() {
                        data = at..at;
                    }
                    if data.end != at {
                        input.copy_within(at..at + count, data.end);
                    }
                    data.end += count;
                    at += count;
                    self.size -= count as u64;
                    if self.size == 0 {
                        self.state = State::DataCr;
                    }
                }
                State::DataCr => {
                    if byte != b'\r' {
                        return Err(ChunkError::LineEnd);
                    }
                    self.state = State::DataLf;
                    at += 1;
                }
                State::DataLf => {
                    if byte != b'\n' {
                        return Err(ChunkError::LineEnd);
                    }
                    self.state = State::Size;
                    self.digits = 0;
                    self.line = 0;
                    at += 1;
                }
                State::Trailers => {
                    at += 1;
                    self.trailers.push(byte);
                    if self.trailers.len() > limits::TRAILER_BYTES {
                        return Err(ChunkError::TooLong);
                    }
                    if byte == b'\n' {
                        if self.trailers.get(self.trailers.len().wrapping_sub(2)) != Some(&b'\r') {
                            return Err(ChunkError::LineEnd);
                        }
                        if self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n") {
                            self.state = State::Done;
                        }
                    }
                }
                State::Done => break,
            }
        }
        Ok(Decoded {
            data,
            used: at,
            is_done: self.state == State::Done,
        })
    }

    fn count_line(&mut self) -> Result<(), ChunkError> {
        self.line += 1;
        if self.line > limits::CHUNK_LINE_BYTES {
            Err(ChunkError::TooLong)
        } else {
            Ok(())
        }
    }

    /// Appends the trailer section in the form to forward, its final empty line excluded.
    ///
    /// Fields that decide about framing, routing or the sender are left out (RFC 9110 §6.5.1).
    ///
    /// # Errors
    /// [`ChunkError::Trailer`] when it is not a list of fields.
    pub fn write_trailers(&self, out: &mut Vec<u8>) -> Result<(), ChunkError> {
        if self.trailers.len() <= 2 {
            return Ok(());
        }
        let mut room = [httparse::EMPTY_HEADER; 64];
        let Ok(httparse::Status::Complete((used, fields))) =
            httparse::parse_headers(&self.trailers, &mut room)
        else {
            return Err(ChunkError::Trailer);
        };
        if used != self.trailers.len() {
            return Err(ChunkError::Trailer);
        }
        let mut kept = Headers::default();
        for field in fields
            .iter()
            .filter(|field| is_allowed(field.name.as_bytes()))
        {
            kept.append(field.name.as_bytes(), field.value);
        }
        kept.write(out, |_| true);
        Ok(())
    }
}

/// Whether a field may come as a trailer.
fn is_allowed(name: &[u8]) -> bool {
    const REFUSED: [&[u8]; 12] = [
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"cookie",
        b"max-forwards",
        b"proxy-authorization",
        b"range",
        b"set-cookie",
        b"content-type",
        b"x-forwarded-for",
        b"apikey",
    ];
    Known::of(name) == Known::Other
        && !REFUSED
            .iter()
            .any(|refused| refused.eq_ignore_ascii_case(name))
}

#[cfg(test)]
#[path = "chunked_tests.rs"]
mod tests;
