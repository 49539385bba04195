//! Whose turn it is: a weighted round as that of `resty.roundrobin`, whose turns are mixed and not in blocks.
//!
//! Weights are cut by their greatest common divisor. A round begins at the highest weight and goes down to 1, and at each height all
//! take a turn that weigh as much: weights of 3, 1 and 2 make `a a c a b c`. Where a round stands is kept for each worker.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Highest weight that counts, so that the sum of all has room: numbers of the reference are exact up to here.
const MOST: u64 = 1 << 53;

/// A weighted round.
#[derive(Debug)]
pub(super) struct Turns {
    /// From the highest down.
    heights: Box<[Height]>,
    /// Turns in a round.
    length: u64,
    workers: Box<[Place]>,
}

/// Heights at which the same ones take a turn.
#[derive(Debug)]
struct Height {
    /// Turns before these.
    begin: u64,
    /// Who takes a turn, in order.
    members: Box<[usize]>,
}

/// Where the round of a worker stands. Each has a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(AtomicU64);

impl Turns {
    pub(super) fn new(weights: &[u64], workers: usize) -> Self {
        let mut weights: Vec<u64> = weights.iter().map(|weight| (*weight).min(MOST)).collect();
        if weights.iter().all(|weight| *weight == 0) {
            // Nobody weighs more than another.
            weights.fill(1);
        }
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let mut levels: Vec<u64> = weights.iter().map(|weight| weight / divisor).collect();
        levels.sort_unstable_by(|one, other| other.cmp(one));
        levels.dedup();
        levels.retain(|level| *level > 0);
        let mut heights = Vec::new();
        let mut begin = 0;
        for (place, level) in levels.iter().enumerate() {
            let below = levels.get(place + 1).copied().unwrap_or(0);
            let members: Box<[usize]> = weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| *weight / divisor >= *level)
                .map(|(number, _)| number)
                .collect();
            let turns = (level - below) * members.len() as u64;
            heights.push(Height { begin, members });
            begin += turns;
        }
        let seed = RandomState::new();
        let place = |worker: usize| {
            // Workers begin at different places, or all first requests would go to the first.
            Place(AtomicU64::new(seed.hash_one(worker) % begin.max(1)))
        };
        Self {
            heights: heights.into(),
            length: begin.max(1),
            workers: (0..workers.max(1)).map(place).collect(),
        }
    }

    /// Whose turn it is.
    #[inline]
    pub(super) fn next(&self, worker: usize) -> usize {
        let place = self.workers.get(worker % self.workers.len());
        // Invariant: the remainder is less than the count.
        let turn = place.map_or(0, |place| place.0.fetch_add(1, Ordering::Relaxed));
        self.at(turn % self.length)
    }

    fn at(&self, turn: u64) -> usize {
        let after = self.heights.partition_point(|height| height.begin <= turn);
        let Some(height) = self.heights.get(after.saturating_sub(1)) else {
            return 0;
        };
        let among = (turn - height.begin) % height.members.len().max(1) as u64;
        height.members.get(among as usize).copied().unwrap_or(0)
    }
}

fn gcd(mut one: u64, mut other: u64) -> u64 {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_mixed_by_weight() {
        for (weights, expected) in [
            (&[1_u64] as &[u64], "a"),
            (&[0], "a"),
            (&[2, 2], "ab"),
            (&[3, 1, 2], "aacabc"),
            (&[30, 10, 20], "aacabc"),
            (&[0, 2, 1], "bbc"),
            (&[0, 0], "ab"),
            (&[1, 4], "bbbab"),
        ] {
            let turns = Turns::new(weights, 1);
            let round: String = (0..turns.length)
                .map(|turn| char::from(b'a' + turns.at(turn) as u8))
                .collect();
            assert_eq!(round, expected, "{weights:?}");
        }
    }

    #[test]
    fn each_worker_has_a_round_of_its_own() {
        let turns = Turns::new(&[3, 2], 2);
        for worker in [0, 1, 2, 5] {
            let mut counts = [0; 2];
            for _ in 0..50 {
                counts[turns.next(worker)] += 1;
            }
            assert_eq!(counts, [30, 20], "{worker}");
        }
    }

    #[test]
    fn huge_weights_do_not_overflow() {
        let turns = Turns::new(&[u64::MAX; 20], 1);
        assert_eq!(turns.length, 20);
        let turns = Turns::new(&[u64::MAX, 1], 1);
        assert_eq!(turns.at(turns.length - 1), 1);
    }
}
