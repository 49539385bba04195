//! Families: what is declared once, and the series under it.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    cell::{Cell, Pool, Shard, lock},
    limits,
    series::Series,
    text,
};

/// What a family is called, and what bounds it.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Name without the registry's prefix, such as `http_status`.
    pub name: Cow<'static, str>,
    /// What it says, for people.
    pub help: Cow<'static, str>,
    /// Names of the labels, in the order in which they are written.
    pub labels: Vec<Cow<'static, str>>,
    /// Time without an update after which a series is removed, to begin at zero when it is counted again; zero for never.
    pub expire: Duration,
    /// Series there may be; one at least. Updates of further ones go to a single series whose label values are all `overflow`.
    pub series_max: usize,
}

impl Declaration {
    /// A family whose series never expire, with 200 000 of them at most.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        labels: &[&'static str],
    ) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            labels: labels.iter().map(|label| Cow::Borrowed(*label)).collect(),
            expire: Duration::ZERO,
            series_max: limits::SERIES,
        }
    }

    /// The same with further labels behind the others.
    #[must_use]
    pub fn extra_labels(mut self, labels: impl IntoIterator<Item = String>) -> Self {
        self.labels.extend(labels.into_iter().map(Cow::Owned));
        self
    }

    /// The same with series that expire.
    #[must_use]
    pub fn expire(self, expire: Duration) -> Self {
        Self { expire, ..self }
    }

    /// The same with another bound on the series.
    #[must_use]
    pub fn series_max(self, series_max: usize) -> Self {
        Self { series_max, ..self }
    }
}

/// Why a family cannot be declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// Prometheus would not take the name.
    #[error("{0:?} is no name of a metric")]
    Name(String),
    /// Prometheus would not take the name of a label, or means something else by it.
    #[error("{label:?} is no name of a label, in {metric}")]
    Label {
        /// Name of the family.
        metric: String,
        /// The label.
        label: String,
    },
    /// A label is there twice.
    #[error("label {label} is there twice in {metric}")]
    LabelTwice {
        /// Name of the family.
        metric: String,
        /// The label.
        label: String,
    },
    /// Another family has the name, or one of the names of a histogram.
    #[error("{0} is declared already, and differently")]
    Taken(String),
}

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number that only rises.
    Counter,
    /// A number that only rises.
    FloatCounter,
    /// A number that rises and falls.
    Gauge,
    /// Numbers that were observed, counted by size.
    Histogram,
}

impl Kind {
    /// As in TYPE lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter | Self::FloatCounter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Upper bounds of the buckets of a histogram, ascending. The bucket without a bound is not among them; it is always there.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets(Arc<[f64]>);

impl Buckets {
    /// From bounds in any order; what is there twice or is not finite is left out.
    pub fn new(bounds: impl IntoIterator<Item = f64>) -> Self {
        let mut bounds: Vec<f64> = bounds.into_iter().filter(|n| n.is_finite()).collect();
        bounds.sort_unstable_by(f64::total_cmp);
        bounds.dedup();
        Self(bounds.into())
    }
}

/// A counter of whole numbers.
#[derive(Debug, Clone)]
pub struct Counter(pub(crate) Arc<Family>);

/// A counter of any numbers.
#[derive(Debug, Clone)]
pub struct FloatCounter(pub(crate) Arc<Family>);

/// A gauge.
#[derive(Debug, Clone)]
pub struct Gauge(pub(crate) Arc<Family>);

/// A histogram.
#[derive(Debug, Clone)]
pub struct Histogram(pub(crate) Arc<Family>);

/// A family as the registry keeps it.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its place in the registry.
    pub(crate) id: u32,
    /// Full name.
    pub(crate) name: Box<str>,
    pub(crate) help: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) labels: Box<[Box<str>]>,
    /// Of histograms, else empty.
    pub(crate) bounds: Arc<[f64]>,
    /// Zero for never.
    expire_ms: AtomicU64,
    series_max: AtomicUsize,
    /// Series there are, the one for the overflow aside.
    count: AtomicUsize,
    /// Whether it has been said that the family is full.
    has_warned: AtomicBool,
    /// Labels of the series for the overflow.
    overflow: Box<str>,
    known: Mutex<Known>,
    /// All series by their text, as of the last scrape. Never locked by recorders.
    sorted: Mutex<Arc<[Arc<Series>]>>,
}

/// Locked for a moment whenever a recorder first meets a series.
#[derive(Debug, Default)]
struct Known {
    by_text: HashMap<Arc<str>, Arc<Series>, foldhash::fast::RandomState>,
    /// Not yet among `sorted`.
    fresh: Vec<Arc<Series>>,
}

impl Family {
    pub(crate) fn new(
        id: u32,
        name: &str,
        kind: Kind,
        declaration: &Declaration,
        buckets: &Buckets,
    ) -> Self {
        let labels: Box<[Box<str>]> = declaration.labels.iter().map(|l| (**l).into()).collect();
        let mut overflow = String::new();
        text::write_labels(&mut overflow, &labels, &vec!["overflow"; labels.len()]);
        let family = Self {
            id,
            name: name.into(),
            help: (*declaration.help).into(),
            kind,
            labels,
            bounds: buckets.0.clone(),
            expire_ms: AtomicU64::new(0),
            series_max: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            has_warned: AtomicBool::new(false),
            overflow: overflow.into(),
            known: Mutex::default(),
            sorted: Mutex::default(),
        };
        family.bound(declaration);
        family
    }

    /// Takes over the bounds of a declaration.
    pub(crate) fn bound(&self, declaration: &Declaration) {
        let expire_ms = declaration.expire.as_millis();
        self.expire_ms
            .store(u64::try_from(expire_ms).unwrap_or(0), Relaxed);
        self.series_max
            .store(declaration.series_max.max(1), Relaxed);
    }

    /// Whether another declaration means the same numbers.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.help == other.help
            && self.labels == other.labels
            && self.bounds == other.bounds
    }

    /// Words of a cell behind its value.
    pub(crate) fn buckets(&self) -> usize {
        match self.kind {
            Kind::Histogram => self.bounds.len() + 1,
            Kind::Counter | Kind::FloatCounter | Kind::Gauge => 0,
        }
    }

    /// What the names of its samples begin with, and the character that follows: families are written in the order of these.
    pub(crate) fn sort_key(&self) -> (&str, &'static str) {
        let next = match self.kind {
            Kind::Histogram => "_bucket{",
            _ if self.labels.is_empty() => "",
            _ => "{",
        };
        (&self.name, next)
    }

    /// Series there may be.
    pub(crate) fn series_max(&self) -> usize {
        self.series_max.load(Relaxed)
    }

    /// Whether no further series is taken.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.count.load(Relaxed) >= self.series_max.load(Relaxed)
    }

    /// The cell of a shard for a series, and whether it is that of the overflow.
    pub(crate) fn open(
        &self,
        text: &str,
        shard: &Arc<Shard>,
        pool: &mut Pool,
        now_ms: u64,
    ) -> (Cell, bool) {
        let mut known = lock(&self.known);
        let mut found = known.by_text.get(text).cloned();
        let is_overflow = found.is_none() && self.is_full() && text != &*self.overflow;
        let text = if is_overflow { &self.overflow } else { text };
        if is_overflow {
            found = known.by_text.get(text).cloned();
        }
        let series = found.unwrap_or_else(|| {
            let series = Arc::new(Series::new(text.into()));
            known.by_text.insert(series.text.clone(), series.clone());
            known.fresh.push(series.clone());
            self.count_series(&known);
            series
        });
        // Under the lock of the family, so that the series is not removed in between.
        let cell = series.cell(shard, || {
            let cell = pool.take(self.buckets());
            cell.touch(now_ms);
            cell
        });
        drop(known);
        if is_overflow {
            self.warn();
        }
        (cell, is_overflow)
    }

    /// Says once that there are too many series.
    pub(crate) fn warn(&self) {
        if !self.has_warned.swap(true, Relaxed) {
            tracing::warn!(
                metric = &*self.name,
                series_max = self.series_max(),
                "a metric has too many series; further ones are counted together"
            );
        }
    }

    fn count_series(&self, known: &Known) {
        let overflow = usize::from(known.by_text.contains_key(&*self.overflow));
        self.count.store(known.by_text.len() - overflow, Relaxed);
    }

    /// All series by their text.
    pub(crate) fn sorted(&self) -> Arc<[Arc<Series>]> {
        let mut sorted = lock(&self.sorted);
        let fresh = std::mem::take(&mut lock(&self.known).fresh);
        if !fresh.is_empty() {
            *sorted = merge(&sorted, &fresh).into();
        }
        sorted.clone()
    }

    /// Removes what has not been written for the family's time.
    pub(crate) fn expire(&self, now_ms: u64) {
        let all = self.sorted();
        let expire_ms = self.expire_ms.load(Relaxed);
        let Some(before_ms) = now_ms.checked_sub(expire_ms).filter(|_| expire_ms > 0) else {
            return;
        };
        let mut removed = false;
        for series in all.iter() {
            if series.touched_ms() <= before_ms {
                let mut known = lock(&self.known);
                // It may have been replaced since it was listed.
                let is_current = known
                    .by_text
                    .get(&series.text)
                    .is_some_and(|current| Arc::ptr_eq(current, series));
                if is_current && series.remove(self.id, before_ms) {
                    known.by_text.remove(&series.text);
                    self.count_series(&known);
                    removed = true;
                }
            }
        }
        if removed {
            let mut sorted = lock(&self.sorted);
            let left = sorted.iter().filter(|series| !series.is_removed());
            *sorted = left.cloned().collect();
        }
    }

    /// Keeps what recorders that are gone have counted, and lets go of their cells.
    pub(crate) fn fold_retired(&self) {
        let all = self.sorted();
        if !all.iter().any(|series| series.has_retired()) {
            return;
        }
        drop(all);
        let mut sorted = lock(&self.sorted);
        let folded = sorted.iter().filter_map(|series| {
            if !series.has_retired() {
                return Some(series.clone());
            }
            let mut known = lock(&self.known);
            let current = known.by_text.get_mut(&series.text)?;
            if Arc::ptr_eq(current, series) {
                *current = Arc::new(series.without_retired(self.kind, self.buckets()));
                return Some(current.clone());
            }
            // Removed, and perhaps back: then it is listed on its own.
            None
        });
        *sorted = folded.collect();
    }
}

/// Puts series into a sorted list. One that was removed and has come back may be in it twice.
fn merge(old: &[Arc<Series>], fresh: &[Arc<Series>]) -> Vec<Arc<Series>> {
    // With the texts at hand: one cache miss less to a comparison, which is most of what sorting many takes.
    let mut fresh: Vec<(&str, &Arc<Series>)> =
        fresh.iter().map(|next| (&*next.text, next)).collect();
    fresh.sort_unstable_by_key(|(text, _)| *text);
    let mut merged: Vec<Arc<Series>> = Vec::with_capacity(old.len() + fresh.len());
    let mut old = old.iter().peekable();
    for (text, next) in fresh {
        while let Some(before) = old.next_if(|before| &*before.text <= text) {
            merged.push(before.clone());
        }
        merged.push(next.clone());
    }
    merged.extend(old.cloned());
    merged
}
