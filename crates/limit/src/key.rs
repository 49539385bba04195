//! Keys of the tables: 128-bit keyed hashes of the bytes that the reference would use as a key.
//!
//! Bytes are not kept: two texts with the same hash would share a counter. The hash is `SipHash-1-3` (the one of the standard
//! library's maps, with 128 bits of output) under a secret that is drawn at start and never shown, so that clients can neither
//! compute hashes nor learn them from answers. A pair of texts then meets with a chance of 2⁻¹²⁸; among a million keys at a
//! time, which are 2³⁹ pairs, any two meet with a chance of 2⁻⁸⁹. That is far below the chance of a flipped bit in memory, and
//! a third of the memory that the bytes would take.

use std::{
    hash::{BuildHasher as _, RandomState},
    num::NonZeroU64,
};

use crate::siphash::SipHash;

/// What one table counts for: the hash of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Where in a shard. Never 0, which marks an empty slot: a hash of 0 becomes 1.
    pub(crate) tag: NonZeroU64,
    /// Which shard, and the other half of what makes two keys equal.
    pub(crate) check: u64,
}

impl Key {
    /// A key of its own for each `number`: hashes differ by an unknown value, so that no choice of numbers makes two of
    /// them meet.
    #[inline]
    pub(crate) fn with_number(self, number: u64) -> Self {
        Self {
            tag: self.tag,
            check: self.check ^ number,
        }
    }
}

/// The beginning of a key, hashed already: what a plugin knows when it is compiled (`/apisix/routes/1:3405691582:`).
///
/// It is the bytes that count, not where they were divided: `prefix(b"ab")` and `prefix(b"a").with(b"b")` make the same key.
#[derive(Clone, Copy)]
pub struct Prefix(SipHash<1, 3>);

impl Prefix {
    pub(crate) fn new(secret: [u64; 2]) -> Self {
        Self(SipHash::new(secret))
    }

    /// This beginning with more bytes behind it.
    #[inline]
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        self.0.write(bytes);
        self
    }

    /// The key, if nothing follows.
    #[inline]
    pub fn key(self) -> Key {
        let [tag, check] = self.0.finish();
        Key {
            tag: NonZeroU64::new(tag).unwrap_or(NonZeroU64::MIN),
            check,
        }
    }
}

impl std::fmt::Debug for Prefix {
    /// Says nothing of the state, from which hashes could be computed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefix").finish_non_exhaustive()
    }
}

/// A secret that is different in each process, from the system's random numbers.
pub(crate) fn secret() -> [u64; 2] {
    // The state hides its keys; what they make of two numbers is as hard to guess.
    let state = RandomState::new();
    [state.hash_one(0_u8), state.hash_one(1_u8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_make_a_key_and_not_their_division() {
        let prefix = Prefix::new([1, 2]);
        let whole = prefix.with(b"/apisix/routes/1:17:127.0.0.1").key();
        assert_eq!(
            prefix
                .with(b"/apisix/routes/1:17:")
                .with(b"127.0.0.1")
                .key(),
            whole
        );
        assert_ne!(prefix.with(b"/apisix/routes/1:17:127.0.0.2").key(), whole);
        assert_ne!(whole.with_number(1), whole.with_number(2));
    }

    #[test]
    fn two_processes_do_not_agree_on_keys() {
        assert_ne!(
            Prefix::new(secret()).with(b"a").key(),
            Prefix::new(secret()).with(b"a").key()
        );
    }
}
