//! Read buffers and the pool each worker takes them from.
//!
//! A buffer is held only while there are bytes in it: an idle connection, or one that waits for an upstream, owns none. The
//! pool is last-in first-out, so that the buffer handed out is the one still in the processor's cache.

use std::cell::RefCell;

/// Size of the buffer that heads and small bodies are read into, in bytes.
///
/// A head and a 10 KiB body fit, so a small POST is one read (measured: 0.91 → 0.70 of nginx's CPU against 8 KiB).
pub const SMALL_BYTES: usize = 16 * 1024;

/// Size of the buffer that large bodies are streamed through, in bytes.
///
/// 100 KiB take two or three reads instead of seven (measured: 0.58 → 0.46 of nginx's CPU).
pub const LARGE_BYTES: usize = 64 * 1024;

/// How many idle buffers of each size a worker keeps; more are given back to the allocator.
const KEPT: usize = 64;

/// A fixed block of bytes with a filled part `start..end`.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer of `size` bytes.
    pub fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; size].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// The filled part.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The filled part, to be changed in place.
    #[inline]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// The part behind the filled one, to read into.
    #[inline]
    pub fn free_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Bytes in the filled part.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing is filled.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether nothing more can be read into it without [`Self::compact`].
    #[inline]
    pub fn is_full(&self) -> bool {
        self.end == self.bytes.len()
    }

    /// Size of the whole block.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Says that `count` bytes of the free part were filled; at most what there is.
    #[inline]
    pub fn fill(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Drops `count` bytes from the front; at most what there is.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Keeps only the last `count` bytes of the filled part.
    #[inline]
    pub fn keep_last(&mut self, count: usize) {
        let drop = self.len().saturating_sub(count);
        self.consume(drop);
    }

    /// Empties the buffer.
    #[inline]
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Moves the filled part to the front.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Appends as much of `bytes` as fits and returns how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let free = self.free_mut();
        let count = bytes.len().min(free.len());
        if let (Some(to), Some(from)) = (free.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.fill(count);
        count
    }
}

/// The buffers of one worker.
#[derive(Debug, Default)]
pub struct Buffers {
    small: RefCell<Vec<Buffer>>,
    large: RefCell<Vec<Buffer>>,
}

impl Buffers {
    /// An empty buffer of [`SMALL_BYTES`].
    #[inline]
    pub fn small(&self) -> Buffer {
        self.small
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Buffer::new(SMALL_BYTES))
    }

    /// An empty buffer of [`LARGE_BYTES`].
    #[inline]
    pub fn large(&self) -> Buffer {
        self.large
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Buffer::new(LARGE_BYTES))
    }

    /// Takes a buffer back, whatever it holds.
    #[inline]
    pub fn give_back(&self, mut buffer: Buffer) {
        buffer.clear();
        let kept = if buffer.capacity() == SMALL_BYTES {
            &self.small
        } else {
            &self.large
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_of_bytes() {
        let mut buffer = Buffer::new(8);
        assert_eq!(buffer.append(b"abcdef"), 6);
        buffer.consume(4);
        assert_eq!(buffer.append(b"ghij"), 2);
        assert!(buffer.is_full());
        buffer.compact();
        assert_eq!(buffer.append(b"ij"), 2);
        assert_eq!(buffer.filled(), b"efghij");
        buffer.keep_last(2);
        assert_eq!(buffer.filled(), b"ij");
        buffer.consume(99);
        assert!(buffer.is_empty() && buffer.free_mut().len() == 8);
    }

    #[test]
    fn hands_out_the_buffer_returned_last() {
        let buffers = Buffers::default();
        let mut buffer = buffers.small();
        buffer.append(b"x");
        buffers.give_back(buffer);
        assert!(buffers.small().is_empty());
        assert_eq!(buffers.large().capacity(), LARGE_BYTES);
    }
}
