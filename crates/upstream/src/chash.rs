//! The consistent hash ring of the reference (`lua-resty-balancer`'s `chash`, ketama).
//!
//! Each node has 160 points per unit of its weight, all weights divided by their greatest common divisor. The first point is
//! the CRC-32 of the node's id and four zero bytes, each next one that of the id and the point before. A request belongs to
//! the first point that is not below its hash; a retry goes on to the points behind.

use crate::{
    crc32::Crc32,
    limits::{POINTS_PER_WEIGHT, RING_POINTS},
    round_robin::divide,
};

/// The points of a group of nodes.
#[derive(Debug)]
pub(crate) struct Ring {
    /// By hash; points of the same hash by the id of their node, so that the order of the nodes does not matter.
    points: Box<[Point]>,
    /// Place of the first point of each of equally wide ranges of hashes, so that a search begins next to its end.
    starts: Box<[u32]>,
    /// Turns a hash into its range.
    shift: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    hash: u32,
    /// Which node of the group.
    member: u32,
}

impl Ring {
    /// A ring of nodes by address and weight above 0. Addresses are `host:port` as the configuration has them, names resolved.
    pub(crate) fn new<'a>(members: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let (ids, weights): (Vec<String>, Vec<u32>) = members
            .map(|(address, weight)| (address.replace(':', "\0"), weight))
            .unzip();
        let counts = counts(&weights);
        let mut points = Vec::with_capacity(counts.iter().sum::<u32>() as usize);
        for (member, (id, count)) in ids.iter().zip(&counts).enumerate() {
            let mut base = Crc32::new();
            base.update(id.as_bytes());
            let mut hash = 0_u32;
            for _ in 0..*count {
                let mut crc = base;
                crc.update(&hash.to_le_bytes());
                hash = crc.value();
                points.push(Point {
                    hash,
                    member: member as u32,
                });
            }
        }
        let id = |point: &Point| ids.get(point.member as usize);
        points.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| id(a).cmp(&id(b))));
        let bits = points.len().max(2).next_power_of_two().trailing_zeros();
        let shift = 32 - bits;
        let starts = (0..1_u64 << bits)
            .map(|range| points.partition_point(|point| u64::from(point.hash) < range << shift))
            .map(|place| place as u32)
            .collect();
        Self {
            points: points.into(),
            starts,
            shift,
        }
    }

    /// Place of the first point that is not below `hash`; behind the last comes the first. `None` in an empty ring.
    #[inline]
    pub(crate) fn find(&self, hash: u32) -> Option<u32> {
        let start = *self.starts.get((hash >> self.shift) as usize)?;
        let behind = self.points.get(start as usize..)?;
        match behind.iter().position(|point| point.hash >= hash) {
            Some(steps) => Some(start + steps as u32),
            None => (!self.points.is_empty()).then_some(0),
        }
    }

    /// The place behind, round the ring.
    #[inline]
    pub(crate) fn next(&self, place: u32) -> u32 {
        if place as usize + 1 < self.points.len() {
            place + 1
        } else {
            0
        }
    }

    /// Which node of the group the point at a place belongs to.
    #[inline]
    pub(crate) fn member(&self, place: u32) -> Option<u32> {
        self.points.get(place as usize).map(|point| point.member)
    }

    /// How many points there are.
    pub(crate) fn len(&self) -> u32 {
        self.points.len() as u32
    }
}

/// How many points each of the weights gets.
fn counts(weights: &[u32]) -> Vec<u32> {
    let weights = divide(weights);
    let points = u64::from(POINTS_PER_WEIGHT);
    let total: u64 = weights
        .iter()
        .map(|weight| u64::from(*weight) * points)
        .sum();
    let count = |weight: u32| {
        let count = u64::from(weight) * points;
        if total <= RING_POINTS {
            return count as u32;
        }
        let scaled = u128::from(count) * u128::from(RING_POINTS) / u128::from(total);
        (scaled as u32).max(1)
    };
    weights.iter().map(|weight| count(*weight)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32 bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        let mut state = u32::MAX;
        for byte in bytes {
            state ^= u32::from(*byte);
            for _ in 0..8 {
                state = if state & 1 == 1 {
                    state >> 1 ^ 0xEDB8_8320
                } else {
                    state >> 1
                };
            }
        }
        !state
    }

    /// All points of the published algorithm, in order of hash and id.
    fn naive(members: &[(&str, u32)]) -> Vec<(u32, usize)> {
        let mut points = Vec::new();
        for (member, (address, weight)) in members.iter().enumerate() {
            let mut before = [0_u8; 4];
            for _ in 0..weight * 160 {
                let id = address.replace(':', "\0");
                let hash = crc(&[id.as_bytes(), &before].concat());
                before = [
                    hash as u8,
                    (hash >> 8) as u8,
                    (hash >> 16) as u8,
                    (hash >> 24) as u8,
                ];
                points.push((hash, id, member));
            }
        }
        points.sort();
        points
            .into_iter()
            .map(|(hash, _, member)| (hash, member))
            .collect()
    }

    fn ring(members: &[(&str, u32)]) -> Ring {
        Ring::new(members.iter().copied())
    }

    fn owner(ring: &Ring, hash: u32) -> u32 {
        ring.member(ring.find(hash).expect("points"))
            .expect("a point")
    }

    #[test]
    fn is_the_ring_of_the_published_algorithm() {
        for members in [
            &[("127.0.0.1:1980", 1)][..],
            &[
                ("127.0.0.1:1980", 3),
                ("127.0.0.1:1981", 6),
                ("127.0.0.1:1982", 10),
            ],
            &[("[::1]:80", 2), ("10.0.0.1:80", 1)],
        ] {
            let ring = ring(members);
            let expected = naive(members);
            let points: Vec<_> = ring
                .points
                .iter()
                .map(|point| (point.hash, point.member as usize))
                .collect();
            assert_eq!(points, expected);
            // Every search ends where a walk from the beginning ends: at, just before and just behind each point.
            for (hash, _) in &expected {
                for hash in [hash.wrapping_sub(1), *hash, hash.wrapping_add(1)] {
                    let walked = expected.iter().position(|(point, _)| *point >= hash);
                    assert_eq!(ring.find(hash), Some(walked.unwrap_or(0) as u32), "{hash}");
                }
            }
        }
    }

    #[test]
    fn agrees_with_what_the_library_of_the_reference_computed() {
        // Recorded from `chash.c` of lua-resty-balancer, commit 1cd4363, with the keys `session-1` and so on.
        let ring = ring(&[
            ("127.0.0.1:1980", 3),
            ("127.0.0.1:1981", 6),
            ("127.0.0.1:1982", 10),
        ]);
        let hashes = [0, 1000, 3039].map(|place: usize| ring.points[place].hash);
        assert_eq!(hashes, [0x0011_cdd6, 0x5086_25e5, 0xffed_0e21]);
        let owners: String = (1..=24)
            .map(|key| owner(&ring, crc(format!("session-{key}").as_bytes())).to_string())
            .collect();
        assert_eq!(owners, "212212221222001221222220");
    }

    #[test]
    fn weights_are_divided_and_scaled() {
        let of = |weights: &[u32]| counts(weights);
        assert_eq!(of(&[4, 6]), [320, 480]);
        assert_eq!(of(&[1_000_000_000, 4_000_000_000]), [160, 640]);
        let scaled = of(&[4_000_000_007, 1, 2_000_000_011]);
        assert!(scaled.iter().map(|count| u64::from(*count)).sum::<u64>() <= RING_POINTS + 3);
        assert_eq!(scaled[1], 1);
        assert_eq!(scaled[0] / 1000, scaled[2] * 2 / 1000);
        assert!(of(&[]).is_empty());
        assert_eq!(ring(&[]).find(7), None);
    }

    #[test]
    fn the_order_of_the_nodes_does_not_matter() {
        let forward = [("a:1", 1), ("b:1", 2), ("c:1", 1)];
        let backward = [("c:1", 1), ("b:1", 2), ("a:1", 1)];
        let (one, other) = (ring(&forward), ring(&backward));
        for hash in (0..u32::MAX).step_by(1 << 22) {
            let name = forward[owner(&one, hash) as usize].0;
            assert_eq!(backward[owner(&other, hash) as usize].0, name);
        }
    }

    #[test]
    fn shares_follow_the_weights_and_only_keys_of_a_removed_node_move() {
        let members = [("10.0.0.1:80", 1), ("10.0.0.2:80", 2), ("10.0.0.3:80", 1)];
        let (whole, less) = (ring(&members), ring(&members[..2]));
        let mut counts = [0_u32; 3];
        for key in 0..20_000 {
            let hash = crc(format!("key-{key}").as_bytes());
            let before = owner(&whole, hash);
            counts[before as usize] += 1;
            if before != 2 {
                assert_eq!(owner(&less, hash), before);
            }
        }
        for (count, share) in counts.iter().zip([5_000, 10_000, 5_000]) {
            assert!(count.abs_diff(share) < share / 5, "{counts:?}");
        }
    }

    #[test]
    fn goes_round() {
        let ring = ring(&[("a:1", 1), ("b:1", 1)]);
        assert_eq!(ring.len(), 320);
        assert_eq!((ring.next(0), ring.next(319)), (1, 0));
    }
}
