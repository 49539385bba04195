//! Series found again by what a request is.

use std::collections::HashMap;

use crate::{CounterSeries, FloatCounterSeries, GaugeSeries, HistogramSeries, Recording, limits};

/// Finds the series of one recorder by a key of the caller's own.
///
/// One look-up can stand for all series that an event updates: `Memo<(CounterSeries, [HistogramSeries; 3])>`. The key must determine
/// the labels; a number that stands for what was known ahead, such as the compiled route, keeps it short.
#[derive(Debug)]
pub struct Memo<V> {
    places: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    values: Vec<V>,
    key: Key,
    keys_max: usize,
    /// Keys at which it is looked for those that are of no use any more.
    sweep_at: usize,
}

/// A key in the making.
#[derive(Debug, Default)]
pub struct Key(Vec<u8>);

/// Series that are opened together.
pub trait Bundle {
    /// Whether updates of all of them count.
    fn is_usable(&self, recording: &Recording<'_>) -> bool;
}

impl<V: Bundle> Memo<V> {
    /// An empty memo for 131 072 keys at most.
    pub fn new() -> Self {
        Self::with_keys_max(limits::MEMO_KEYS)
    }

    /// An empty memo for this many keys at most. When there would be more, it begins anew: what it held is opened again when it is
    /// next asked for.
    pub fn with_keys_max(keys_max: usize) -> Self {
        Self {
            places: HashMap::default(),
            values: Vec::new(),
            key: Key::default(),
            keys_max: keys_max.max(1),
            sweep_at: limits::MEMO_SWEEP_KEYS,
        }
    }

    /// What is kept under the key; opened first where there is nothing, or where some of it has expired.
    #[expect(clippy::missing_panics_doc, reason = "an invariant of this file")]
    #[inline]
    pub fn get<'r>(
        &mut self,
        recording: &mut Recording<'r>,
        write_key: impl FnOnce(&mut Key),
        open: impl FnOnce(&mut Recording<'r>) -> V,
    ) -> &V {
        self.key.0.clear();
        write_key(&mut self.key);
        let place = match self.places.get(self.key.0.as_slice()) {
            Some(&place) => {
                if let Some(value) = self.values.get_mut(place)
                    && !value.is_usable(recording)
                {
                    *value = open(recording);
                }
                place
            }
            None => self.insert(recording, open),
        };
        // Invariant: places are those of values.
        self.values
            .get(place)
            .expect("invariant: a place in the memo is that of a value")
    }

    /// Forgets everything: for when the same key has other labels.
    pub fn clear(&mut self) {
        self.places.clear();
        self.values.clear();
        self.sweep_at = limits::MEMO_SWEEP_KEYS;
    }

    #[cold]
    fn insert<'r>(
        &mut self,
        recording: &mut Recording<'r>,
        open: impl FnOnce(&mut Recording<'r>) -> V,
    ) -> usize {
        if self.values.len() >= self.keys_max {
            self.clear();
        } else if self.values.len() >= self.sweep_at {
            self.sweep(recording);
        }
        let place = self.values.len();
        self.values.push(open(recording));
        self.places.insert(self.key.0.as_slice().into(), place);
        place
    }

    /// Forgets what has expired. Amortised: the next time is when there is twice as much.
    fn sweep(&mut self, recording: &Recording<'_>) {
        let mut left = 0;
        let moved: Vec<Option<usize>> = self
            .values
            .iter()
            .map(|value| {
                let to = value.is_usable(recording).then_some(left);
                left += usize::from(to.is_some());
                to
            })
            .collect();
        // Not asked a second time: the answer may be another.
        let mut moves = moved.iter();
        self.values
            .retain(|_| moves.next().is_some_and(Option::is_some));
        self.places.retain(|_, place| {
            let to = moved.get(*place).copied().flatten();
            *place = to.unwrap_or(*place);
            to.is_some()
        });
        self.sweep_at = (2 * left).max(limits::MEMO_SWEEP_KEYS);
    }
}

impl<V: Bundle> Default for Memo<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl Key {
    /// Adds a number.
    #[inline]
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_ne_bytes());
        self
    }

    /// Adds bytes, with their number, so that what follows cannot be taken for them.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0
            .extend_from_slice(&(bytes.len() as u32).to_ne_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
}

impl Bundle for CounterSeries {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        recording.can_write(&self.0)
    }
}

impl Bundle for FloatCounterSeries {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        recording.can_write(&self.0)
    }
}

impl Bundle for GaugeSeries {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        recording.can_write(&self.0)
    }
}

impl Bundle for HistogramSeries {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        recording.can_write(&self.slot)
    }
}

impl<B: Bundle, const N: usize> Bundle for [B; N] {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        self.iter().all(|series| series.is_usable(recording))
    }
}

impl<B: Bundle> Bundle for Option<B> {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        self.as_ref()
            .is_none_or(|series| series.is_usable(recording))
    }
}

impl<A: Bundle, B: Bundle> Bundle for (A, B) {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        self.0.is_usable(recording) && self.1.is_usable(recording)
    }
}

impl<A: Bundle, B: Bundle, C: Bundle> Bundle for (A, B, C) {
    #[inline]
    fn is_usable(&self, recording: &Recording<'_>) -> bool {
        self.0.is_usable(recording) && self.1.is_usable(recording) && self.2.is_usable(recording)
    }
}
