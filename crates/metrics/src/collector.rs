//! Values that are asked for at each scrape.

use std::collections::BTreeMap;

use crate::{
    family::{Counter, Family, Gauge},
    text,
};

/// Something that knows values which need not be counted: connections, sizes, states.
pub trait Collector: Send + Sync {
    /// Reports the values as they are. Called by whoever scrapes, before the first byte is written.
    fn collect(&self, samples: &mut Samples);
}

/// What collectors have reported for one scrape.
///
/// A series that is reported twice has the later value, and one that is reported hides what recorders have counted under its labels.
#[derive(Debug, Default)]
pub struct Samples {
    /// By the places of families: the words of values by labels.
    pub(crate) by_family: BTreeMap<u32, BTreeMap<Box<str>, u64>>,
    /// By the names of families: values that were too many.
    pub(crate) dropped: BTreeMap<Box<str>, u64>,
    text: String,
}

impl Samples {
    /// Reports the value of a gauge.
    pub fn gauge<L: AsRef<[u8]>>(&mut self, family: &Gauge, labels: &[L], value: f64) {
        self.put(&family.0, labels, value.to_bits());
    }

    /// Reports the value of a counter: all that was counted so far.
    pub fn counter<L: AsRef<[u8]>>(&mut self, family: &Counter, labels: &[L], value: u64) {
        self.put(&family.0, labels, value);
    }

    fn put<L: AsRef<[u8]>>(&mut self, family: &Family, labels: &[L], word: u64) {
        debug_assert_eq!(
            labels.len(),
            family.labels.len(),
            "labels of {}",
            family.name
        );
        self.text.clear();
        text::write_labels(&mut self.text, &family.labels, labels);
        let samples = self.by_family.entry(family.id).or_default();
        if let Some(sample) = samples.get_mut(&*self.text) {
            *sample = word;
        } else if samples.len() < family.series_max() {
            samples.insert(self.text.as_str().into(), word);
        } else {
            family.warn();
            *self.dropped.entry(family.name.clone()).or_default() += 1;
        }
    }
}
