//! Counting: what one thread writes.

use std::sync::Arc;

use crate::{
    Counter, FloatCounter, Gauge, Histogram,
    cell::{BUCKETS, Cell, Pool, Shard, VALUE},
    family::Family,
    text,
};

/// Where one thread counts. There is one writer to each cell because there is one recorder to each shard, and counting takes it by
/// `&mut`: neither locks nor locked instructions are needed, and no update is lost.
#[derive(Debug)]
pub struct Recorder {
    /// The family in which updates are counted that had no series of their own.
    dropped: Arc<Family>,
    shard: Arc<Shard>,
    /// By the places of families.
    pools: Vec<Pool>,
    /// Reused for the labels of series that are looked for.
    text: String,
}

/// A recorder at one point of time.
#[derive(Debug)]
pub struct Recording<'r> {
    recorder: &'r mut Recorder,
    now_ms: u64,
}

/// A series of a [`Counter`], for the recorder that has opened it.
#[derive(Debug, Clone)]
pub struct CounterSeries(pub(crate) Slot);

/// A series of a [`FloatCounter`], for the recorder that has opened it.
#[derive(Debug, Clone)]
pub struct FloatCounterSeries(pub(crate) Slot);

/// A series of a [`Gauge`], for the recorder that has opened it.
#[derive(Debug, Clone)]
pub struct GaugeSeries(pub(crate) Slot);

/// A series of a [`Histogram`], for the recorder that has opened it.
#[derive(Debug, Clone)]
pub struct HistogramSeries {
    pub(crate) slot: Slot,
    bounds: Arc<[f64]>,
}

/// A cell, and how it may be used.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    cell: Cell,
    shard: u32,
    /// Of the series that takes the updates of those that are too many.
    overflow: Option<Arc<Overflow>>,
}

#[derive(Debug)]
struct Overflow {
    family: Arc<Family>,
    /// Where the updates are counted that took this way.
    dropped: Cell,
}

impl Recorder {
    pub(crate) fn new(dropped: Arc<Family>, shard: Arc<Shard>) -> Self {
        Self {
            dropped,
            shard,
            pools: Vec::new(),
            text: String::new(),
        }
    }

    /// Begins to count at a time: milliseconds of a clock that all recorders and scrapes of the registry share.
    #[inline]
    pub fn at(&mut self, now_ms: u64) -> Recording<'_> {
        Recording {
            recorder: self,
            now_ms,
        }
    }

    fn open<L: AsRef<[u8]>>(&mut self, family: &Arc<Family>, labels: &[L], now_ms: u64) -> Slot {
        debug_assert_eq!(
            labels.len(),
            family.labels.len(),
            "labels of {}",
            family.name
        );
        self.text.clear();
        text::write_labels(&mut self.text, &family.labels, labels);
        let (cell, is_overflow) = self.open_text(family, now_ms);
        let overflow = is_overflow.then(|| {
            let dropped = self.dropped.clone();
            self.text.clear();
            text::write_labels(&mut self.text, &dropped.labels, &[family.name.as_bytes()]);
            Arc::new(Overflow {
                family: family.clone(),
                dropped: self.open_text(&dropped, now_ms).0,
            })
        });
        Slot {
            cell,
            shard: self.shard.id,
            overflow,
        }
    }

    /// The cell of the series whose labels are in `text`.
    fn open_text(&mut self, family: &Family, now_ms: u64) -> (Cell, bool) {
        for (family, cell) in self.shard.take_freed() {
            if let Some(pool) = self.pools.get_mut(family as usize) {
                pool.put(cell);
            }
        }
        let place = family.id as usize;
        if self.pools.len() <= place {
            self.pools.resize_with(place + 1, Pool::default);
        }
        match self.pools.get_mut(place) {
            Some(pool) => family.open(&self.text, &self.shard, pool, now_ms),
            // Not reached: the pool was just made.
            None => family.open(&self.text, &self.shard, &mut Pool::default(), now_ms),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shard.retire();
    }
}

impl Recording<'_> {
    /// Opens a series, which begins at zero if it is new. Takes locks for a moment: for what is counted often, keep the series, or let
    /// a [`crate::Memo`] keep it.
    pub fn counter<L: AsRef<[u8]>>(&mut self, family: &Counter, labels: &[L]) -> CounterSeries {
        CounterSeries(self.recorder.open(&family.0, labels, self.now_ms))
    }

    /// Opens a series, as [`Self::counter`] does.
    pub fn float_counter<L: AsRef<[u8]>>(
        &mut self,
        family: &FloatCounter,
        labels: &[L],
    ) -> FloatCounterSeries {
        FloatCounterSeries(self.recorder.open(&family.0, labels, self.now_ms))
    }

    /// Opens a series, as [`Self::counter`] does.
    pub fn gauge<L: AsRef<[u8]>>(&mut self, family: &Gauge, labels: &[L]) -> GaugeSeries {
        GaugeSeries(self.recorder.open(&family.0, labels, self.now_ms))
    }

    /// Opens a series, as [`Self::counter`] does.
    pub fn histogram<L: AsRef<[u8]>>(
        &mut self,
        family: &Histogram,
        labels: &[L],
    ) -> HistogramSeries {
        HistogramSeries {
            slot: self.recorder.open(&family.0, labels, self.now_ms),
            bounds: family.0.bounds.clone(),
        }
    }

    /// Counts. Like all updates, it does nothing with a series that has expired or is another recorder's; a [`crate::Memo`] has none
    /// of these.
    #[inline]
    pub fn add(&mut self, series: &CounterSeries, by: u64) {
        if let Some(cell) = self.write(&series.0) {
            cell.add(VALUE, by);
        }
    }

    /// Counts. A number below zero, or none, is left out: counters only rise.
    #[inline]
    pub fn add_float(&mut self, series: &FloatCounterSeries, by: f64) {
        if by >= 0.0
            && let Some(cell) = self.write(&series.0)
        {
            cell.add_float(VALUE, by);
        }
    }

    /// Changes a gauge by a number of either sign.
    #[inline]
    pub fn change(&mut self, series: &GaugeSeries, by: f64) {
        if let Some(cell) = self.write(&series.0) {
            cell.add_float(VALUE, by);
        }
    }

    /// Sets this recorder's part of a gauge; its value is the sum of all recorders' parts.
    #[inline]
    pub fn set(&mut self, series: &GaugeSeries, value: f64) {
        if let Some(cell) = self.write(&series.0) {
            cell.set_float(VALUE, value);
        }
    }

    /// Observes a number. One that is none is left out.
    #[inline]
    pub fn observe(&mut self, series: &HistogramSeries, value: f64) {
        if value.is_nan() {
            return;
        }
        if let Some(cell) = self.write(&series.slot) {
            // All bounds are looked at: without a branch, that is less work than a search for the first.
            let bucket = series.bounds.iter().filter(|bound| **bound < value).count();
            cell.add(BUCKETS + bucket, 1);
            cell.add_float(VALUE, value);
        }
    }

    /// Whether updates of the series count.
    #[inline]
    pub(crate) fn can_write(&self, slot: &Slot) -> bool {
        slot.shard == self.recorder.shard.id
            && slot.cell.is_in_use()
            // Where there is room again, a series gets its own cell when it is opened anew.
            && slot.overflow.as_ref().is_none_or(|overflow| overflow.family.is_full())
    }

    /// The cell to write to.
    #[inline]
    fn write<'s>(&self, slot: &'s Slot) -> Option<&'s Cell> {
        if slot.shard != self.recorder.shard.id || !slot.cell.is_in_use() {
            return None;
        }
        slot.cell.touch(self.now_ms);
        if let Some(overflow) = &slot.overflow {
            overflow.dropped.add(VALUE, 1);
        }
        Some(&slot.cell)
    }
}
