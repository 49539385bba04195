//! One series over all shards.
//!
//! Reading takes no lock: cells are only ever added, and a series whose cells are taken away is replaced or removed as a whole. What
//! changes a series does so under the lock of its family.

use std::sync::{
    Arc, OnceLock,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
        fence,
    },
};

use crate::{
    cell::{BUCKETS, Cell, Shard, VALUE},
    family::Kind,
};

/// A series: its labels as they are written, and where its numbers are.
#[derive(Debug)]
pub(crate) struct Series {
    /// Labels without the braces.
    pub(crate) text: Arc<str>,
    /// What recorders that are gone have counted: the words of a cell from [`VALUE`] on, or nothing.
    base: Box<[u64]>,
    base_touched_ms: u64,
    is_removed: AtomicBool,
    first: OnceLock<Box<Part>>,
}

/// The cell of one shard.
#[derive(Debug)]
struct Part {
    shard: Arc<Shard>,
    cell: Cell,
    next: OnceLock<Box<Part>>,
}

impl Series {
    pub(crate) fn new(text: Arc<str>) -> Self {
        Self {
            text,
            base: Box::default(),
            base_touched_ms: 0,
            is_removed: AtomicBool::new(false),
            first: OnceLock::new(),
        }
    }

    /// The cell of a shard, made by `make` if there is none. Under the lock of the family.
    pub(crate) fn cell(&self, shard: &Arc<Shard>, make: impl FnOnce() -> Cell) -> Cell {
        let mut end = &self.first;
        while let Some(part) = end.get() {
            if part.shard.id == shard.id {
                return part.cell.clone();
            }
            end = &part.next;
        }
        let cell = make();
        // Never set already: whoever adds has the family's lock.
        let _ = end.set(Box::new(Part {
            shard: shard.clone(),
            cell: cell.clone(),
            next: OnceLock::new(),
        }));
        cell
    }

    /// Adds up the words of all shards from [`VALUE`] on into `sums`, which are zeros; false if the series has been removed.
    pub(crate) fn read(&self, kind: Kind, sums: &mut [u64]) -> bool {
        if !self.base.is_empty() {
            add(kind, sums, |at| self.base.get(at).copied().unwrap_or(0));
        }
        for part in self.parts() {
            add(kind, sums, |at| part.cell.get(VALUE + at));
        }
        // A cell that was given back in between may have counted for another series already. The recorder has a fence on its side.
        fence(Acquire);
        !self.is_removed() && self.parts().all(|part| part.cell.is_in_use())
    }

    /// When any shard last wrote.
    pub(crate) fn touched_ms(&self) -> u64 {
        let touched = self.parts().map(|part| part.cell.touched_ms());
        touched.fold(self.base_touched_ms, u64::max)
    }

    /// Removes the series if it was not written after `before_ms`, and gives its cells back; says whether it did. Under the lock of
    /// the family.
    pub(crate) fn remove(&self, family: u32, before_ms: u64) -> bool {
        if self.is_removed() || self.touched_ms() > before_ms {
            return false;
        }
        self.is_removed.store(true, Release);
        for part in self.parts() {
            part.shard.free(family, part.cell.clone());
        }
        true
    }

    /// Whether the series has been removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.is_removed.load(Acquire)
    }

    /// Whether recorders that are gone have cells here.
    pub(crate) fn has_retired(&self) -> bool {
        self.parts().any(|part| part.shard.is_retired())
    }

    /// The same series without the cells of recorders that are gone. Under the lock of the family.
    pub(crate) fn without_retired(&self, kind: Kind, buckets: usize) -> Self {
        let mut base = vec![0; 1 + buckets];
        add(kind, &mut base, |at| {
            self.base.get(at).copied().unwrap_or(0)
        });
        let mut series = Self::new(self.text.clone());
        series.base_touched_ms = self.base_touched_ms;
        for Part { shard, cell, .. } in self.parts() {
            if shard.is_retired() {
                add(kind, &mut base, |at| cell.get(VALUE + at));
                series.base_touched_ms = series.base_touched_ms.max(cell.touched_ms());
            } else {
                series.cell(shard, || cell.clone());
            }
        }
        series.base = base.into();
        series
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::successors(self.first.get(), |part| part.next.get()).map(|part| &**part)
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
