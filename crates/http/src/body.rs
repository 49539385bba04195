//! The body of a message: where it ends, whatever the framing.

use std::ops::Range;

use lockgate_net::buffer::Buffer;

use crate::{
    chunked::{ChunkError, Decoder},
    head::Framing,
};

/// Reads a body out of buffers, piece by piece.
#[derive(Debug, Default)]
pub struct Body {
    left: Left,
}

#[derive(Debug, Default)]
enum Left {
    #[default]
    Nothing,
    Bytes(u64),
    Chunks(Box<Decoder>),
    Everything,
}

impl Body {
    /// The body of a message framed so.
    pub fn new(framing: Framing) -> Self {
        let left = match framing {
            Framing::None | Framing::Length(0) => Left::Nothing,
            Framing::Length(length) => Left::Bytes(length),
            Framing::Chunked => Left::Chunks(Box::default()),
            Framing::UntilClose => Left::Everything,
        };
        Self { left }
    }

    /// Whether the end has been read.
    #[inline]
    pub fn is_done(&self) -> bool {
        match &self.left {
            Left::Nothing => true,
            Left::Chunks(decoder) => decoder.is_done(),
            Left::Bytes(_) | Left::Everything => false,
        }
    }

    /// Bytes that are still to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        match &self.left {
            Left::Nothing => Some(0),
            Left::Bytes(count) => Some(*count),
            Left::Chunks(_) | Left::Everything => None,
        }
    }

    /// Takes the body's next bytes in `buffer`: where in [`Buffer::filled`] the data lies, and how many bytes of the buffer
    /// are used up by it (data and coding; data comes first to be sent, then the caller consumes).
    ///
    /// # Errors
    /// The chunked coding is broken.
    pub fn take(&mut self, buffer: &mut Buffer) -> Result<(Range<usize>, usize), ChunkError> {
        let filled = buffer.len();
        match &mut self.left {
            Left::Nothing => Ok((0..0, 0)),
            Left::Bytes(left) => {
                let count = usize::try_from(*left).map_or(filled, |left| left.min(filled));
                *left -= count as u64;
                if *left == 0 {
                    self.left = Left::Nothing;
                }
                Ok((0..count, count))
            }
            Left::Chunks(decoder) => {
                let decoded = decoder.decode(buffer.filled_mut())?;
                Ok((decoded.data, decoded.used))
            }
            Left::Everything => Ok((0..filled, filled)),
        }
    }

    /// Says that the sender ended the stream; whether the body is whole.
    pub fn end(&mut self) -> bool {
        if matches!(self.left, Left::Everything) {
            self.left = Left::Nothing;
        }
        self.is_done()
    }

    /// Appends what follows the last data in the chunked coding: last chunk, trailers, empty line.
    ///
    /// # Errors
    /// A trailer field is malformed.
    pub fn write_last_chunk(&self, out: &mut Vec<u8>) -> Result<(), ChunkError> {
        out.extend_from_slice(b"0\r\n");
        if let Left::Chunks(decoder) = &self.left {
            decoder.write_trailers(out)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// Appends the line in front of a chunk of `size` bytes.
pub fn write_chunk_size(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let significant = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..significant).rev() {
        let digit = size >> (place * 4) & 15;
        out.extend(DIGITS.get(digit));
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_hexadecimal_sizes() {
        for size in [0, 1, 15, 16, 255, 256, 65_535, usize::MAX] {
            let mut out = Vec::new();
            write_chunk_size(&mut out, size);
            assert_eq!(out, format!("{size:x}\r\n").into_bytes());
        }
    }

    #[test]
    fn takes_no_more_than_the_length() {
        let mut buffer = Buffer::new(16);
        buffer.append(b"abcdef");
        let mut body = Body::new(Framing::Length(4));
        assert_eq!(body.take(&mut buffer), Ok((0..4, 4)));
        assert!(body.is_done());
        let mut body = Body::new(Framing::Length(9));
        assert_eq!(body.take(&mut buffer), Ok((0..6, 6)));
        assert!(!body.end());
        let mut body = Body::new(Framing::UntilClose);
        assert_eq!(body.take(&mut buffer), Ok((0..6, 6)));
        assert!(body.end());
    }
}
