//! `SipHash` with 128 bits of output, in pieces (Aumasson and Bernstein, 2012; the layout of the 128 bits as in their code).

/// The state behind a text so far; `COMPRESS` and `FINISH` are the numbers of rounds.
#[derive(Clone, Copy)]
pub(crate) struct SipHash<const COMPRESS: usize, const FINISH: usize> {
    v: [u64; 4],
    /// Bytes that do not fill a word yet, the first one lowest.
    tail: u64,
    /// How many those are: below 8.
    tail_bytes: usize,
    length: usize,
}

impl<const COMPRESS: usize, const FINISH: usize> SipHash<COMPRESS, FINISH> {
    pub(crate) fn new(key: [u64; 2]) -> Self {
        let [k0, k1] = key;
        Self {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
            tail: 0,
            tail_bytes: 0,
            length: 0,
        }
    }

    #[inline]
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len());
        if self.tail_bytes > 0 {
            let missing = (8 - self.tail_bytes).min(bytes.len());
            let (first, rest) = bytes.split_at(missing);
            self.tail |= word(first) << (8 * self.tail_bytes);
            self.tail_bytes += missing;
            if self.tail_bytes < 8 {
                return;
            }
            self.compress(self.tail);
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.compress(u64::from_le_bytes(*word));
        }
        self.tail = word(rest);
        self.tail_bytes = rest.len();
    }

    #[inline]
    pub(crate) fn finish(mut self) -> [u64; 2] {
        self.compress((self.length as u64) << 56 | self.tail);
        self.v[2] ^= 0xee;
        self.rounds(FINISH);
        let first = self.fold();
        self.v[1] ^= 0xdd;
        self.rounds(FINISH);
        [first, self.fold()]
    }

    #[inline]
    fn compress(&mut self, word: u64) {
        self.v[3] ^= word;
        self.rounds(COMPRESS);
        self.v[0] ^= word;
    }

    #[inline]
    fn rounds(&mut self, count: usize) {
        let [mut v0, mut v1, mut v2, mut v3] = self.v;
        for _ in 0..count {
            v0 = v0.wrapping_add(v1);
            v2 = v2.wrapping_add(v3);
            v1 = v1.rotate_left(13) ^ v0;
            v3 = v3.rotate_left(16) ^ v2;
            v0 = v0.rotate_left(32);
            v2 = v2.wrapping_add(v1);
            v0 = v0.wrapping_add(v3);
            v1 = v1.rotate_left(17) ^ v2;
            v3 = v3.rotate_left(21) ^ v0;
            v2 = v2.rotate_left(32);
        }
        self.v = [v0, v1, v2, v3];
    }

    #[inline]
    fn fold(&self) -> u64 {
        let [v0, v1, v2, v3] = self.v;
        v0 ^ v1 ^ v2 ^ v3
    }
}

/// Up to eight bytes as a number, the first one lowest.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

    /// Of the bytes 0, 1, 2 and so on, as the authors' code has it for two and four rounds (`vectors.h`).
    fn hash(length: u8, pieces: usize) -> [u64; 2] {
        let text: Vec<u8> = (0..length).collect();
        let mut hash = SipHash::<2, 4>::new(KEY);
        for piece in text.chunks(pieces) {
            hash.write(piece);
        }
        hash.finish()
    }

    #[test]
    fn agrees_with_the_vectors_of_its_authors() {
        let cases: [(u8, [u8; 16]); 5] = [
            (
                0,
                [
                    0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
                    0x55, 0x02, 0x93,
                ],
            ),
            (
                1,
                [
                    0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
                    0x22, 0xfc, 0x45,
                ],
            ),
            (
                3,
                [
                    0x9c, 0x70, 0xb6, 0x0c, 0x52, 0x67, 0xa9, 0x4e, 0x5f, 0x33, 0xb6, 0xb0, 0x29,
                    0x85, 0xed, 0x51,
                ],
            ),
            (
                6,
                [
                    0x14, 0xee, 0xca, 0x33, 0x8b, 0x20, 0x86, 0x13, 0x48, 0x5e, 0xa0, 0x30, 0x8f,
                    0xd7, 0xa1, 0x5e,
                ],
            ),
            (
                15,
                [
                    0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97,
                    0xcf, 0xc3, 0xd9,
                ],
            ),
        ];
        for (length, expected) in cases {
            let (words, _) = expected.as_chunks();
            let expected: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            assert_eq!(hash(length, 64)[..], expected[..], "{length} bytes");
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        for length in 0..40 {
            for pieces in 1..20 {
                assert_eq!(hash(length, pieces), hash(length, 64), "{length} {pieces}");
            }
        }
    }
}
