//! The weighted cycle of the reference (`lua-resty-balancer`'s round robin, after LVS).
//!
//! A current weight steps down by the greatest common divisor; in each step every node with at least that weight has its
//! turn. Weights 5, 1, 1 give `a a a a a b c`, unlike nginx's smooth order. Runs of light nodes are skipped block by block.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Nodes by weight, and where the round stands.
#[derive(Debug)]
pub(crate) struct Cycle {
    /// Divided by their greatest common divisor.
    weights: Box<[u32]>,
    /// Highest weight of each [`BLOCK`].
    peaks: Box<[u32]>,
    max: u32,
    positions: Arc<Positions>,
}

/// Nodes whose weights are looked at together.
const BLOCK: usize = 32;

/// A number of each worker's own: where its round stands. Allocated when first used.
#[derive(Debug)]
pub(crate) struct Positions {
    workers: usize,
    /// Where the first worker begins, before it is divided by the number of nodes.
    start: u64,
    by_worker: OnceLock<Box<[Position]>>,
}

/// On a cache line of its own: written by its worker at each pick.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Position(AtomicU64);

/// What no worker has changed. Never a position in a cycle: no node has this place.
pub(crate) const UNSET: u64 = u64::MAX;

impl Positions {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            start: RandomState::new().hash_one(workers),
            by_worker: OnceLock::new(),
        }
    }

    /// The number of a worker, which alone writes to it.
    #[inline]
    pub(crate) fn of(&self, worker: usize) -> Option<&AtomicU64> {
        let all = self.by_worker.get_or_init(|| {
            (0..self.workers.max(1))
                .map(|_| Position(AtomicU64::new(UNSET)))
                .collect()
        });
        all.get(worker).or(all.first()).map(|position| &position.0)
    }
}

impl Cycle {
    /// A cycle over nodes of these weights, all above 0.
    pub(crate) fn new(weights: &[u32], positions: Arc<Positions>) -> Self {
        let weights: Box<[u32]> = divide(weights).into();
        let peak = |weights: &[u32]| weights.iter().copied().max().unwrap_or(1);
        Self {
            peaks: weights.chunks(BLOCK).map(peak).collect(),
            max: peak(&weights),
            weights,
            positions,
        }
    }

    pub(crate) fn positions(&self) -> Arc<Positions> {
        self.positions.clone()
    }

    /// Place of the first node from `from` on that has at least this weight.
    #[inline]
    fn find(&self, from: usize, weight: u32) -> Option<usize> {
        let within = |start: usize, nodes: &[u32]| {
            let step = nodes.iter().position(|own| *own >= weight)?;
            Some(start + step)
        };
        // Nearly always the very next one.
        let end = from.next_multiple_of(BLOCK).min(self.weights.len());
        if let Some(place) = self
            .weights
            .get(from..end)
            .and_then(|nodes| within(from, nodes))
        {
            return Some(place);
        }
        let block = end.div_ceil(BLOCK);
        let skipped = self
            .peaks
            .get(block..)?
            .iter()
            .position(|peak| *peak >= weight)?;
        let start = (block + skipped) * BLOCK;
        within(start, self.weights.get(start..)?)
    }

    /// Place of the next node for a worker. The first comes by chance, so that gateways do not all begin with the same, and
    /// workers begin one behind the other: few requests spread over several workers still reach several nodes.
    #[inline]
    pub(crate) fn next(&self, worker: usize) -> Option<u32> {
        let position = self.positions.of(worker)?;
        let stored = position.load(Relaxed);
        let (mut last, mut current) = if stored == UNSET {
            let start = self.positions.start.wrapping_add(worker as u64);
            ((start % self.weights.len().max(1) as u64) as u32, self.max)
        } else {
            ((stored >> 32) as u32, stored as u32)
        };
        if let Some(place) = self.find((last as usize).wrapping_add(1), current) {
            last = place as u32;
        } else {
            // Invariant: the heaviest node has at least the current weight, whichever that is.
            current = if current > 1 { current - 1 } else { self.max };
            last = self.find(0, current)? as u32;
        }
        position.store(u64::from(last) << 32 | u64::from(current), Relaxed);
        Some(last)
    }
}

/// Weights divided by their greatest common divisor.
pub(crate) fn divide(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    weights.iter().map(|weight| weight / divisor).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(weights: &[u32]) -> Cycle {
        let cycle = Cycle::new(weights, Arc::new(Positions::new(1)));
        // Begin a round: the last node of the lowest weight was chosen last.
        let end = u64::from(weights.len() as u32 - 1) << 32 | 1;
        cycle.positions.of(0).expect("worker").store(end, Relaxed);
        cycle
    }

    #[test]
    fn follows_the_reference() {
        for (weights, order) in [
            (&[5, 1, 1][..], "aaaaabc"),
            (&[1, 1], "abab"),
            (&[2, 4, 2], "babcbabc"),
            (&[3, 2, 1], "aababc"),
            (&[1], "aaa"),
        ] {
            let cycle = cycle(weights);
            let picked: String = order
                .chars()
                .map(|_| char::from(b'a' + cycle.next(0).expect("a node") as u8))
                .collect();
            assert_eq!(picked, order, "{weights:?}");
        }
    }

    #[test]
    fn workers_begin_one_behind_the_other() {
        for _ in 0..20 {
            let cycle = Cycle::new(&[1, 1, 1], Arc::new(Positions::new(3)));
            let mut first: Vec<u32> = (0..3).filter_map(|worker| cycle.next(worker)).collect();
            first.sort_unstable();
            assert_eq!(first, [0, 1, 2]);
        }
    }

    #[test]
    fn steps_over_light_nodes_of_large_groups() {
        for heavy in [0, 31, 32, 63, 64, 199] {
            let mut weights = [1; 200];
            weights[heavy] = 3;
            let cycle = cycle(&weights);
            let mut order = (0..202).map(|_| cycle.next(0).expect("a node") as usize);
            assert_eq!([order.next(), order.next()], [Some(heavy); 2], "{heavy}");
            assert!(order.eq(0..200), "{heavy}");
        }
    }

    #[test]
    fn gives_each_node_its_share_from_any_start() {
        for weights in [&[5, 1, 1][..], &[7, 3, 2, 9], &[1; 50]] {
            let cycle = Cycle::new(weights, Arc::new(Positions::new(2)));
            let total: u32 = weights.iter().sum();
            let mut counts = vec![0; weights.len()];
            // The start lies within a round; whole rounds behind it are exact.
            for _ in 0..total {
                cycle.next(1);
            }
            for _ in 0..total {
                counts[cycle.next(1).expect("a node") as usize] += 1;
            }
            assert_eq!(counts, weights);
        }
    }
}
