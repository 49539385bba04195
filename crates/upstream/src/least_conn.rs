//! The least busy node: the lowest (1 + requests in flight) / weight (`apisix/balancer/least_conn.lua`).
//!
//! Requests are counted per address within an upstream, by all workers, from the choice of the node to the end of the exchange
//! or tunnel. Counts outlive edits: a request goes on to be counted even where its node is left out and comes back.
//! Among equally busy nodes each worker goes round.
//!
//! In large groups every block of nodes has a note of its lowest score, so that a choice looks at one block and the notes.
//! Notes are hints. One that is too low is put right when it leads to a block; what is chosen was looked at. One that is too
//! high, because of a race or of a request of an older node set that ended, is put right in turn by the choices that follow.

use std::{
    collections::HashMap,
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use crate::limits::SCANNED_NODES;

/// How many choices there are for each note put right in turn.
const REPAIR: usize = 4;

/// Requests in flight at one node.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Counts that were made together lie together.
    batch: Arc<[AtomicU32]>,
    at: u32,
}

impl Load {
    #[inline]
    fn count(&self) -> Option<&AtomicU32> {
        self.batch.get(self.at as usize)
    }

    #[inline]
    pub(crate) fn get(&self) -> u32 {
        self.count().map_or(0, |count| count.load(Relaxed))
    }

    /// Counts a request; how many there are with it.
    #[inline]
    pub(crate) fn begin(&self) -> u32 {
        self.count()
            .map_or(0, |count| count.fetch_add(1, Relaxed).wrapping_add(1))
    }

    #[inline]
    pub(crate) fn end(&self) {
        if let Some(count) = self.count() {
            count.fetch_sub(1, Relaxed);
        }
    }
}

/// The counts of all upstreams.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    known: Mutex<HashMap<(Arc<str>, SocketAddr), WeakLoad>>,
}

#[derive(Debug)]
struct WeakLoad {
    batch: Weak<[AtomicU32]>,
    at: u32,
}

impl Loads {
    /// The counts of an upstream's addresses: those in use already, else new ones.
    pub(crate) fn of(&self, upstream: &Arc<str>, addresses: &[SocketAddr]) -> Box<[Load]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let batch: Arc<[AtomicU32]> = addresses.iter().map(|_| AtomicU32::new(0)).collect();
        let mut load = |(at, address): (usize, &SocketAddr)| {
            let key = (upstream.clone(), *address);
            let found = known
                .get(&key)
                .and_then(|weak| Some((weak.batch.upgrade()?, weak.at)));
            if let Some((batch, at)) = found {
                return Load { batch, at };
            }
            // What nobody has any more goes whenever the table would grow.
            if known.len() == known.capacity() {
                known.retain(|_, load| load.batch.strong_count() > 0);
            }
            let at = at as u32;
            let weak = WeakLoad {
                batch: Arc::downgrade(&batch),
                at,
            };
            known.insert(key, weak);
            Load {
                batch: batch.clone(),
                at,
            }
        };
        addresses.iter().enumerate().map(&mut load).collect()
    }
}

/// A group of nodes; their counts are passed in, in the same order.
#[derive(Debug)]
pub(crate) struct LeastConn {
    /// One divided by the weight.
    shares: Box<[f32]>,
    /// Lowest score of each block, as bits; empty for a group that is looked through as a whole.
    notes: Box<[AtomicU32]>,
    block: usize,
}

/// Where a choice may fall, and how busy it is there.
type Found = Option<(usize, f32)>;

impl LeastConn {
    /// A group of nodes of these weights, all above 0.
    pub(crate) fn new(weights: &[u32], loads: &[Load]) -> Self {
        let count = weights.len();
        let block = if count > SCANNED_NODES {
            count.isqrt()
        } else {
            count.max(1)
        };
        let notes = if count > block {
            (0..count.div_ceil(block))
                .map(|_| AtomicU32::default())
                .collect()
        } else {
            Box::default()
        };
        let group = Self {
            shares: weights.iter().map(|weight| 1.0 / *weight as f32).collect(),
            notes,
            block,
        };
        for block in 0..group.notes.len() {
            group.note(block, loads, &|_| true);
        }
        group
    }

    /// The least busy of the nodes that count; of several the next from `first` on. `turn` is another at each pick.
    #[inline]
    pub(crate) fn pick(
        &self,
        loads: &[Load],
        first: usize,
        turn: usize,
        counts: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let first = if first < self.shares.len() { first } else { 0 };
        let picked = if self.notes.is_empty() {
            let tail = self.least(first..self.shares.len(), loads, counts);
            let head = self.least(0..first, loads, counts);
            lower(tail, head)
        } else {
            self.pick_by_notes(loads, first, turn, counts)
        };
        picked.map(|(place, _)| place)
    }

    fn pick_by_notes(
        &self,
        loads: &[Load],
        first: usize,
        turn: usize,
        counts: &impl Fn(usize) -> bool,
    ) -> Found {
        let blocks = self.notes.len();
        let own = first / self.block;
        if turn.is_multiple_of(REPAIR) {
            self.note(turn / REPAIR % blocks, loads, counts);
        }
        let mut best = None;
        // Notes that are too low are put right as they are met.
        for _ in 0..=blocks {
            let lowest = self.lowest_note();
            let tail = self.least(first..self.range(own).end, loads, counts);
            if tail.is_some_and(|(_, score)| score <= lowest) {
                return tail;
            }
            let others = (own + 1..blocks).chain(0..=own);
            let next = others
                .filter_map(|block| Some((block, self.notes.get(block)?)))
                .find(|(_, note)| f32::from_bits(note.load(Relaxed)) <= lowest);
            let Some((block, _)) = next else {
                // A note rose meanwhile.
                continue;
            };
            let found = self.note(block, loads, counts);
            if found.is_some_and(|(_, score)| score <= lowest) {
                return found;
            }
            best = lower(best, lower(found, tail));
            if lowest.is_infinite() {
                break;
            }
        }
        best.or_else(|| self.least(0..self.shares.len(), loads, counts))
    }

    fn lowest_note(&self) -> f32 {
        self.notes
            .iter()
            .map(|note| f32::from_bits(note.load(Relaxed)))
            .fold(f32::INFINITY, f32::min)
    }

    fn range(&self, block: usize) -> Range<usize> {
        let start = block * self.block;
        start..(start + self.block).min(self.shares.len())
    }

    /// The first of the least busy nodes of a range.
    #[inline]
    fn least(&self, range: Range<usize>, loads: &[Load], counts: &impl Fn(usize) -> bool) -> Found {
        let (Some(shares), Some(loads)) =
            (self.shares.get(range.clone()), loads.get(range.clone()))
        else {
            return None;
        };
        let mut found: Found = None;
        for (offset, (share, load)) in shares.iter().zip(loads).enumerate() {
            let score = (1 + load.get()) as f32 * share;
            if found.is_none_or(|(_, least)| score < least) && counts(range.start + offset) {
                found = Some((range.start + offset, score));
            }
        }
        found
    }

    /// Notes the lowest score of a block, and gives where it is.
    #[inline]
    fn note(&self, block: usize, loads: &[Load], counts: &impl Fn(usize) -> bool) -> Found {
        let found = self.least(self.range(block), loads, counts);
        if let Some(note) = self.notes.get(block) {
            let score = found.map_or(f32::INFINITY, |(_, score)| score);
            note.store(score.to_bits(), Relaxed);
        }
        found
    }

    /// Makes known that a node is less busy than before.
    #[inline]
    pub(crate) fn fell(&self, place: usize, loads: &[Load]) {
        if let (Some(note), Some(share), Some(load)) = (
            self.notes.get(place / self.block),
            self.shares.get(place),
            loads.get(place),
        ) {
            let score = (1 + load.get()) as f32 * share;
            // Bits of numbers that are not negative have the order of the numbers.
            note.fetch_min(score.to_bits(), Relaxed);
        }
    }
}

/// The lower of two, the first of equals.
fn lower(one: Found, other: Found) -> Found {
    match (one, other) {
        (Some((_, first)), Some((_, second))) if second < first => other,
        (None, _) => other,
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (0..count)
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect()
    }

    fn loads(count: usize) -> Box<[Load]> {
        Loads::default().of(&"upstreams/1".into(), &addresses(count as u16))
    }

    /// Picks and begins a request.
    fn begin(group: &LeastConn, loads: &[Load], first: usize) -> usize {
        let place = group.pick(loads, first, first, &|_| true).expect("a node");
        loads[place].begin();
        place
    }

    fn end(group: &LeastConn, loads: &[Load], place: usize) {
        loads[place].end();
        group.fell(place, loads);
    }

    #[test]
    fn takes_the_lowest_share_of_the_weight() {
        let loads = loads(2);
        let group = LeastConn::new(&[3, 2], &loads);
        let order: Vec<_> = (0..5).map(|_| begin(&group, &loads, 0)).collect();
        assert_eq!(order, [0, 1, 0, 0, 1]);
    }

    #[test]
    fn goes_round_among_equals() {
        for count in [3, 64, 65, 1000] {
            let loads = loads(count);
            let group = LeastConn::new(&vec![1; count], &loads);
            let mut first = 0;
            for expected in (0..count).chain(0..count) {
                let place = begin(&group, &loads, first);
                assert_eq!(place, expected, "of {count}");
                end(&group, &loads, place);
                first = place + 1;
            }
        }
    }

    #[test]
    fn is_exact_in_groups_of_any_size() {
        for count in [1, 2, 63, 64, 65, 66, 100, 1000] {
            let weights: Vec<u32> = (0..count).map(|place| 1 + place as u32 * 7 % 5).collect();
            let loads = loads(count);
            let group = LeastConn::new(&weights, &loads);
            let mut held = Vec::new();
            let (mut state, mut first) = (1, 0);
            for _ in 0..count * 6 {
                let score = |place: usize| (1 + loads[place].get()) as f32 / weights[place] as f32;
                let least = (0..count).map(score).fold(f32::INFINITY, f32::min);
                if !held.is_empty() && crate::ewma::below(3, &mut state) == 0 {
                    let at = crate::ewma::below(held.len() as u32, &mut state);
                    end(&group, &loads, held.swap_remove(at as usize));
                } else {
                    let place = group.pick(&loads, first, first, &|_| true).expect("a node");
                    assert!(score(place) <= least * 1.0001, "of {count}");
                    loads[place].begin();
                    held.push(place);
                    first = place + 1;
                }
            }
        }
    }

    #[test]
    fn looks_only_at_nodes_that_count() {
        for count in [5, 1000] {
            let loads = loads(count);
            let group = LeastConn::new(&vec![1; count], &loads);
            for place in 0..count - 1 {
                loads[place].begin();
            }
            // The idle one does not count.
            let picked = group.pick(&loads, 0, 0, &|place| place < count - 1);
            assert!(picked.is_some_and(|place| place < count - 1), "of {count}");
            assert_eq!(group.pick(&loads, 0, 0, &|_| false), None);
            // What was noted without it is put right by later picks.
            let places: Vec<_> = (0..count)
                .map(|first| group.pick(&loads, first, first, &|_| true))
                .collect();
            assert_eq!(places.last(), Some(&Some(count - 1)), "of {count}");
        }
    }

    #[test]
    fn counts_are_shared_within_an_upstream_as_long_as_somebody_has_them() {
        let known = Loads::default();
        let (one, two): (Arc<str>, Arc<str>) = ("upstreams/1".into(), "upstreams/2".into());
        let before = known.of(&one, &addresses(2));
        before[1].begin();
        let after = known.of(&one, &addresses(3));
        assert_eq!([after[0].get(), after[1].get(), after[2].get()], [0, 1, 0]);
        before[1].end();
        assert_eq!(after[1].get(), 0);
        after[0].begin();
        assert_eq!(known.of(&two, &addresses(1))[0].get(), 0);
        drop((before, after));
        assert_eq!(known.of(&one, &addresses(1))[0].get(), 0);
        for port in 0..100 {
            known.of(&one, &addresses(port));
        }
        assert!(known.known.lock().expect("no panic").len() < 200);
    }

    #[test]
    fn no_count_is_lost_among_threads() {
        let loads = loads(100);
        let group = LeastConn::new(&[1; 100], &loads);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (group, loads) = (&group, &loads);
                scope.spawn(move || {
                    for turn in 0..1000 {
                        let places = [0, 1, 2].map(|_| begin(group, loads, (turn + worker) % 100));
                        for place in places {
                            end(group, loads, place);
                        }
                    }
                });
            }
        });
        assert!(loads.iter().all(|load| load.get() == 0));
        // Whatever the races left in the notes, a round of picks puts right.
        for first in 0..100 {
            group.pick(&loads, first, first, &|_| true);
        }
        assert!((group.lowest_note() - 1.0).abs() < f32::EPSILON);
    }
}
