//! One series over all shards.

use std::sync::{Arc, Mutex};

use crate::{
    cell::{BUCKETS, Cell, Shard, VALUE, lock},
    family::Kind,
};

/// A series: its labels as they are written, and where its numbers are.
#[derive(Debug)]
pub(crate) struct Series {
    /// Labels without the braces.
    pub(crate) text: Arc<str>,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    is_removed: bool,
    cells: Vec<(Arc<Shard>, Cell)>,
    /// What recorders that are gone have counted: the words of a cell from [`VALUE`] on.
    base: Vec<u64>,
    base_touched_ms: u64,
}

impl Series {
    pub(crate) fn new(text: Arc<str>) -> Self {
        Self {
            text,
            parts: Mutex::default(),
        }
    }

    /// The cell of a shard, made by `make` if there is none.
    pub(crate) fn cell(&self, shard: &Arc<Shard>, make: impl FnOnce() -> Cell) -> Cell {
        let mut parts = lock(&self.parts);
        if let Some((_, cell)) = parts.cells.iter().find(|(owner, _)| owner.id == shard.id) {
            return cell.clone();
        }
        let cell = make();
        parts.cells.push((shard.clone(), cell.clone()));
        cell
    }

    /// Adds up the words of all shards from [`VALUE`] on into `sums`; false if the series has been removed.
    pub(crate) fn read(&self, kind: Kind, buckets: usize, sums: &mut Vec<u64>) -> bool {
        sums.clear();
        sums.resize(1 + buckets, 0);
        let mut parts = lock(&self.parts);
        if parts.is_removed {
            return false;
        }
        parts.fold_retired(kind, buckets);
        add(kind, sums, |at| parts.base.get(at).copied().unwrap_or(0));
        for (_, cell) in &parts.cells {
            add(kind, sums, |at| cell.get(VALUE + at));
        }
        true
    }

    /// When any shard last wrote.
    pub(crate) fn touched_ms(&self) -> u64 {
        lock(&self.parts).touched_ms()
    }

    /// Removes the series if it was not written after `before_ms`, and gives its cells back; says whether it did.
    pub(crate) fn remove(&self, family: u32, before_ms: u64) -> bool {
        let mut parts = lock(&self.parts);
        if parts.touched_ms() > before_ms {
            return false;
        }
        parts.is_removed = true;
        for (shard, cell) in std::mem::take(&mut parts.cells) {
            shard.free(family, cell);
        }
        true
    }

    /// Whether the series has been removed.
    pub(crate) fn is_removed(&self) -> bool {
        lock(&self.parts).is_removed
    }
}

impl Parts {
    fn touched_ms(&self) -> u64 {
        let cells = self.cells.iter().map(|(_, cell)| cell.touched_ms());
        cells.fold(self.base_touched_ms, u64::max)
    }

    /// Keeps what recorders that are gone have counted, and lets go of their cells.
    fn fold_retired(&mut self, kind: Kind, buckets: usize) {
        let Self {
            cells,
            base,
            base_touched_ms,
            ..
        } = self;
        cells.retain(|(shard, cell)| {
            if !shard.is_retired() {
                return true;
            }
            base.resize(1 + buckets, 0);
            add(kind, base, |at| cell.get(VALUE + at));
            *base_touched_ms = cell.touched_ms().max(*base_touched_ms);
            false
        });
    }
}

/// Adds words from [`VALUE`] on to sums: the first by its kind, buckets as counts.
fn add(kind: Kind, sums: &mut [u64], word: impl Fn(usize) -> u64) {
    const { assert!(BUCKETS == VALUE + 1) };
    for (at, sum) in sums.iter_mut().enumerate() {
        *sum = if at == 0 && kind != Kind::Counter {
            (f64::from_bits(*sum) + f64::from_bits(word(at))).to_bits()
        } else {
            sum.wrapping_add(word(at))
        };
    }
}
