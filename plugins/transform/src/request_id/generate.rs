//! Making ids.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::Rng as _;

use super::{Algorithm, RangeId};

/// Makes ids of one kind.
#[derive(Debug)]
pub(super) enum Generator {
    Uuid,
    UuidV7(Arc<Clocks>),
    Nanoid,
    Range { length: usize, set: Box<[u8]> },
    Ksuid,
}

impl Generator {
    pub(super) fn new(algorithm: Algorithm, range: RangeId, clocks: Arc<Clocks>) -> Self {
        match algorithm {
            Algorithm::Uuid => Self::Uuid,
            Algorithm::UuidV7 => Self::UuidV7(clocks),
            Algorithm::Nanoid => Self::Nanoid,
            Algorithm::RangeId => Self::Range {
                length: range.length,
                set: range.char_set.into_bytes().into(),
            },
            Algorithm::Ksuid => Self::Ksuid,
        }
    }

    /// An id. `now` is the time since the Unix epoch.
    pub(super) fn generate(&self, worker: usize, now: Duration) -> Vec<u8> {
        match self {
            Self::Uuid => uuid(version_4(random())),
            Self::UuidV7(clocks) => uuid(clocks.next(worker, now)),
            Self::Nanoid => {
                let bytes: [u8; NANOID_LENGTH] = random();
                // 64 characters: six bits each, none more likely than another.
                let pick = |byte: u8| NANOID_SET.get(usize::from(byte & 63)).copied();
                bytes.into_iter().filter_map(pick).collect()
            }
            Self::Range { length, set } => {
                let mut rng = rand::rng();
                let pick = |_| {
                    set.get(rand::RngExt::random_range(&mut rng, 0..set.len()))
                        .copied()
                };
                (0..*length).filter_map(pick).collect()
            }
            Self::Ksuid => ksuid(now, random()),
        }
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// Length and alphabet of nanoid.
const NANOID_LENGTH: usize = 21;
const NANOID_SET: &[u8; 64] = b"-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// RFC 9562 §5.4.
fn version_4(mut bytes: [u8; 16]) -> [u8; 16] {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = 0x40 | *version & 0x0f;
    *variant = 0x80 | *variant & 0x3f;
    bytes
}

/// The text of a UUID.
fn uuid(bytes: [u8; 16]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = Vec::with_capacity(36);
    for (place, byte) in bytes.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        for digit in [byte >> 4, byte & 15] {
            out.extend(DIGITS.get(usize::from(digit)));
        }
    }
    out
}

/// A KSUID: seconds since its own epoch and 128 random bits, in base 62.
fn ksuid(now: Duration, random: [u8; 16]) -> Vec<u8> {
    /// 2014-05-13, in Unix time.
    const EPOCH_S: u64 = 1_400_000_000;
    const LENGTH: usize = 27;
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let seconds = now.as_secs().wrapping_sub(EPOCH_S) as u32;
    // 160 bits, the first word the most significant.
    let mut words = [0_u32; 5];
    words[0] = seconds;
    for (word, bytes) in words.iter_mut().skip(1).zip(random.chunks_exact(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    let mut out = vec![b'0'; LENGTH];
    for place in out.iter_mut().rev() {
        let mut rest = 0_u64;
        for word in &mut words {
            let value = rest << 32 | u64::from(*word);
            *word = (value / 62) as u32;
            rest = value % 62;
        }
        if let Some(digit) = DIGITS.get(rest as usize) {
            *place = *digit;
        }
    }
    out
}

/// What UUIDs of version 7 have been made of, worker by worker: within a millisecond they count up, and they never go back.
#[derive(Debug)]
pub(super) struct Clocks(Box<[Mutex<Clock>]>);

#[derive(Debug, Default)]
struct Clock {
    last_ms: u64,
    sequence: u32,
    random: [u8; 7],
}

impl Clocks {
    pub(super) fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Mutex::default()).collect())
    }

    fn next(&self, worker: usize, now: Duration) -> [u8; 16] {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let place = worker.checked_rem(self.0.len()).unwrap_or_default();
        match self.0.get(place) {
            // One worker has it nearly always for itself.
            Some(clock) => clock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next(now_ms),
            None => version_4(random()),
        }
    }
}

impl Clock {
    /// Bits: 48 of time, the version, 12 of the sequence, the variant, 6 of the sequence, 56 at random (`generate_uuid_v7` in `apisix/core/utils.lua`).
    fn next(&mut self, now_ms: u64) -> [u8; 16] {
        const MAX_SEQUENCE: u32 = 0x3ffff;
        if now_ms > self.last_ms || self.sequence == MAX_SEQUENCE {
            // A millisecond that is used up makes the next begin early.
            self.last_ms = now_ms.max(self.last_ms + 1);
            self.sequence = 0;
            self.random = random();
        } else {
            self.sequence += 1;
        }
        let high = 0x7000 | (self.sequence >> 6) as u16;
        let low = 0x80 | (self.sequence & 0x3f) as u8;
        let mut bytes = [0; 16];
        let time = self.last_ms.to_be_bytes();
        let parts = time.into_iter().skip(2).chain(high.to_be_bytes());
        let parts = parts.chain([low]).chain(self.random);
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = part;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: Vec<u8>) -> String {
        String::from_utf8(id).expect("text")
    }

    #[test]
    fn ksuids_are_in_base_62() {
        // The examples of the format's own documentation and its bounds.
        let payload = [
            0xb5, 0xa1, 0xcd, 0x34, 0xb5, 0xf9, 0x9d, 0x11, 0x54, 0xfb, 0x68, 0x53, 0x34, 0x5c,
            0x97, 0x35,
        ];
        for (seconds, payload, expected) in [
            (
                1_400_000_000 + 107_608_047,
                payload,
                "0ujtsYcgvSTl8PAuAdqWYSMnLOv",
            ),
            (1_400_000_000, [0; 16], "000000000000000000000000000"),
            (
                1_400_000_000 + u64::from(u32::MAX),
                [0xff; 16],
                "aWgEPTl1tmebfsQzFP4bxwgy80V",
            ),
        ] {
            assert_eq!(text(ksuid(Duration::from_secs(seconds), payload)), expected);
        }
    }

    #[test]
    fn uuids_have_their_version_and_variant() {
        let text = text(uuid(version_4([0xff; 16])));
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn uuids_of_version_7_only_go_up() {
        let mut clock = Clock::default();
        let mut last = [0; 16];
        for now_ms in [1_000_000, 1_000_000, 1_000_001, 999_000, 1_000_002] {
            let next = clock.next(now_ms);
            assert!(next > last, "{now_ms}");
            last = next;
        }
        let first = clock.next(0x1234_5678_9abc);
        assert_eq!(&first[..9], b"\x12\x34\x56\x78\x9a\xbc\x70\x00\x80");
        let second = clock.next(0x1234_5678_9abc);
        assert_eq!((&second[..8], second[8]), (&first[..8], 0x81));
        assert_eq!(second[9..], first[9..]);
    }

    #[test]
    fn a_millisecond_that_is_used_up_makes_the_next_begin_early() {
        let mut clock = Clock {
            last_ms: 7,
            sequence: 0x3fffe,
            random: [0; 7],
        };
        assert_eq!(clock.next(7)[..9], [0, 0, 0, 0, 0, 7, 0x7f, 0xff, 0xbf]);
        assert_eq!(clock.next(7)[..9], [0, 0, 0, 0, 0, 8, 0x70, 0, 0x80]);
    }
}
