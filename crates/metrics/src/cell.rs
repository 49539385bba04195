//! Where one shard counts one series: a few words that only the shard's recorder writes while they are in use.
//!
//! A cell that has expired goes back to its recorder, which alone uses it again; the number of its use tells handles to the former
//! series that they are out of date.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
};

use crate::limits;

/// Word of a cell: how often the cell has been given back.
const USE: usize = 0;
/// Word of a cell: when it was last written, in milliseconds of the caller's clock.
const TOUCHED: usize = 1;
/// Word of a cell: a count, or the bits of a float: the value of a counter or gauge, the sum of a histogram.
pub(crate) const VALUE: usize = 2;
/// Word of a cell: how many observations are in the first bucket and not below it; the other buckets follow.
pub(crate) const BUCKETS: usize = 3;

const LINE_WORDS: usize = 8;

/// A cache line: cells of different shards never share one.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE_WORDS]);

/// The words of one series in one shard.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    lines: Arc<[Line]>,
    first: u32,
    used: u32,
}

impl Cell {
    #[inline]
    fn word(&self, at: usize) -> Option<&AtomicU64> {
        let at = self.first as usize + at;
        self.lines.get(at / LINE_WORDS)?.0.get(at % LINE_WORDS)
    }

    /// A word as it is.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> u64 {
        self.word(at).map_or(0, |word| word.load(Relaxed))
    }

    /// Writes a word. Only the recorder of the cell's shard may.
    #[inline]
    fn set(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Relaxed);
        }
    }

    /// Adds to a count. One thread writes, so that a load and a store are exact, for a fifth of what a locked instruction costs.
    #[inline]
    pub(crate) fn add(&self, at: usize, by: u64) {
        if let Some(word) = self.word(at) {
            word.store(word.load(Relaxed).wrapping_add(by), Relaxed);
        }
    }

    /// Adds to a float.
    #[inline]
    pub(crate) fn add_float(&self, at: usize, by: f64) {
        if let Some(word) = self.word(at) {
            let sum = f64::from_bits(word.load(Relaxed)) + by;
            word.store(sum.to_bits(), Relaxed);
        }
    }

    /// Replaces a float.
    #[inline]
    pub(crate) fn set_float(&self, at: usize, value: f64) {
        self.set(at, value.to_bits());
    }

    /// Notes that the cell was written at this time.
    #[inline]
    pub(crate) fn touch(&self, now_ms: u64) {
        self.set(TOUCHED, now_ms);
    }

    /// When the cell was last written.
    pub(crate) fn touched_ms(&self) -> u64 {
        self.get(TOUCHED)
    }

    /// Whether the cell still counts the series that this handle was made for.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        self.get(USE) == u64::from(self.used)
    }
}

/// What the cells of one recorder have in common.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Tells the registry's shards apart.
    pub(crate) id: u32,
    is_retired: AtomicBool,
    /// Shared by all shards of a registry: whether any was retired.
    any_retired: Arc<AtomicBool>,
    /// Cells that have expired, with their families.
    freed: Mutex<Vec<(u32, Cell)>>,
}

impl Shard {
    pub(crate) fn new(id: u32, any_retired: Arc<AtomicBool>) -> Self {
        Self {
            id,
            is_retired: AtomicBool::new(false),
            any_retired,
            freed: Mutex::default(),
        }
    }

    /// Says that the recorder is gone: what it has written is final.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Release);
        self.any_retired.store(true, Release);
    }

    /// Whether nobody writes to the cells any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Acquire)
    }

    /// Gives a cell back to the recorder. The caller has forgotten every other handle that it reads through.
    pub(crate) fn free(&self, family: u32, cell: Cell) {
        // The recorder writes this word only when it takes the cell out of `freed`.
        cell.set(USE, u64::from(cell.used.wrapping_add(1)));
        lock(&self.freed).push((family, cell));
    }

    /// Cells that were given back since the last call.
    pub(crate) fn take_freed(&self) -> Vec<(u32, Cell)> {
        std::mem::take(&mut *lock(&self.freed))
    }
}

/// The cells of one family in one shard.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Cell>,
    /// The block of which cells are made, and how many of its words are taken.
    block: Option<(Arc<[Line]>, usize)>,
}

impl Pool {
    /// Takes a cell back.
    pub(crate) fn put(&mut self, cell: Cell) {
        self.free.push(cell);
    }

    /// A cell of zeros with room for `buckets`.
    pub(crate) fn take(&mut self, buckets: usize) -> Cell {
        if let Some(cell) = self.free.pop() {
            let used = cell.get(USE) as u32;
            // Whoever reads what is written from here on also sees that the cell was given back.
            fence(Release);
            for at in TOUCHED..BUCKETS + buckets {
                cell.set(at, 0);
            }
            return Cell { used, ..cell };
        }
        // Two counters to a line; a histogram has lines of its own.
        let words = match BUCKETS + buckets {
            words if words <= LINE_WORDS / 2 => LINE_WORDS / 2,
            words => words.next_multiple_of(LINE_WORDS),
        };
        let (lines, taken) = match self.block.take() {
            Some((lines, taken)) if taken + words <= lines.len() * LINE_WORDS => (lines, taken),
            _ => {
                let count = limits::BLOCK_LINES.max(words.div_ceil(LINE_WORDS));
                ((0..count).map(|_| Line::default()).collect(), 0)
            }
        };
        self.block = Some((lines.clone(), taken + words));
        Cell {
            lines,
            first: taken as u32,
            used: 0,
        }
    }
}

/// Locks what no panic leaves half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_pool_are_apart() {
        for buckets in [0, 1, 5, 16, 600] {
            let mut pool = Pool::default();
            let cells: Vec<Cell> = (0..100).map(|_| pool.take(buckets)).collect();
            let words = VALUE..BUCKETS + buckets;
            for (n, cell) in cells.iter().enumerate() {
                for at in words.clone() {
                    assert_eq!(cell.get(at), 0);
                    cell.add(at, (n * 1000 + at) as u64);
                }
            }
            for (n, cell) in cells.iter().enumerate() {
                for at in words.clone() {
                    assert_eq!(cell.get(at), (n * 1000 + at) as u64, "{buckets} buckets");
                }
            }
        }
    }

    #[test]
    fn a_cell_that_was_freed_is_used_again_from_zero() {
        let (shard, mut pool) = (Shard::new(1, Arc::default()), Pool::default());
        let before = pool.take(2);
        before.add(VALUE, 5);
        before.add(BUCKETS + 1, 7);
        shard.free(0, before.clone());
        assert!(!before.is_in_use());
        for (_, cell) in shard.take_freed() {
            pool.put(cell);
        }
        let after = pool.take(2);
        assert!(Arc::ptr_eq(&before.lines, &after.lines) && before.first == after.first);
        assert!(after.is_in_use() && !before.is_in_use());
        assert_eq!((after.get(VALUE), after.get(BUCKETS + 1)), (0, 0));
    }
}
