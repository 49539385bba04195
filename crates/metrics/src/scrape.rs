//! Writing all that was counted, chunk by chunk.

use std::{
    collections::{BTreeMap, btree_map},
    iter::Peekable,
    sync::Arc,
    vec,
};

use crate::{
    Samples,
    family::{Family, Kind},
    limits,
    series::Series,
    text,
};

/// The text of all families, made as it is asked for. It holds no lock in between, so that a slow reader harms nobody: it sees each
/// family as it is when its turn comes. A family without series is left out.
#[derive(Debug)]
pub struct Scrape {
    families: vec::IntoIter<Arc<Family>>,
    samples: Samples,
    family: Option<Writer>,
    /// What was written beyond the last chunk.
    written: Vec<u8>,
}

impl Scrape {
    pub(crate) fn new(families: Vec<Arc<Family>>, samples: Samples) -> Self {
        Self {
            families: families.into_iter(),
            samples,
            family: None,
            written: Vec::new(),
        }
    }

    /// Replaces the content of `chunk` by the next part, of 64 KiB at most; false at the end. Chunks end anywhere, not just at lines.
    pub fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        chunk.clear();
        chunk.append(&mut self.written);
        while chunk.len() < limits::CHUNK_FULL_BYTES && self.step(chunk) {}
        if chunk.len() > limits::CHUNK_BYTES {
            self.written
                .extend_from_slice(&chunk.split_off(limits::CHUNK_BYTES));
        }
        !chunk.is_empty()
    }

    /// All that is left, for texts that are known to be short.
    pub fn into_text(mut self) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.written);
        while self.step(&mut text) {}
        text
    }

    /// Writes the lines of one more series, or nothing between families; false at the end.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some(family) = &mut self.family {
            if family.step(out) {
                return true;
            }
            self.family = None;
        }
        let Some(family) = self.families.next() else {
            return false;
        };
        let samples = self.samples.by_family.remove(&family.id);
        self.family = Some(Writer::new(family, samples.unwrap_or_default()));
        true
    }
}

/// Writes one family, series by series.
///
/// The reference sorts all samples of a family by name and labels as text. Of a histogram, these are all buckets, then all counts,
/// then all sums, so that its series are gone through three times.
#[derive(Debug)]
struct Writer {
    family: Arc<Family>,
    series: Arc<[Arc<Series>]>,
    /// The next of `series`.
    at: usize,
    samples: Peekable<btree_map::IntoIter<Box<str>, u64>>,
    pass: Pass,
    has_begun: bool,
    /// Of a histogram: ends of the labels of its buckets, up to the number.
    bucket_ends: Vec<Vec<u8>>,
    /// Of a histogram: counts and sums as they were when the buckets were written, so that they agree with these.
    totals: Vec<Option<(u64, f64)>>,
    /// The numbers of the series that were read ahead, one behind the other; the first is that of `read_from`.
    numbers: Vec<u64>,
    /// Whether they are there at all.
    is_there: Vec<bool>,
    read_from: usize,
    /// Reused: what the lines of a series have in common.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Values,
    Buckets,
    Counts,
    Sums,
}

impl Writer {
    fn new(family: Arc<Family>, samples: BTreeMap<Box<str>, u64>) -> Self {
        let is_histogram = family.kind == Kind::Histogram;
        Self {
            series: family.sorted(),
            at: 0,
            samples: samples.into_iter().peekable(),
            pass: if is_histogram {
                Pass::Buckets
            } else {
                Pass::Values
            },
            has_begun: false,
            bucket_ends: if is_histogram {
                bucket_ends(&family.bounds)
            } else {
                Vec::new()
            },
            totals: Vec::new(),
            numbers: Vec::new(),
            is_there: Vec::new(),
            read_from: 0,
            line: Vec::new(),
            family,
        }
    }

    /// Writes the lines of the next series in this pass; false after the last.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        match self.pass {
            Pass::Values => self.write_value(out),
            Pass::Buckets => self.write_buckets(out),
            Pass::Counts | Pass::Sums => self.write_total(out),
        }
    }

    /// The next series or reported value, whichever comes first by its labels.
    fn write_value(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            let series = self.series.get(self.at);
            let reported = self
                .samples
                .next_if(|(text, _)| series.is_none_or(|series| **text <= *series.text));
            if let Some((text, word)) = reported {
                while self.series.get(self.at).is_some_and(|s| *s.text == *text) {
                    self.at += 1;
                }
                self.begin(out);
                self.write_sample(out, &text, word);
                return true;
            }
            let Some(series) = series.cloned() else {
                return false;
            };
            self.read_ahead(self.at);
            let numbers = self.numbers_of(self.at);
            let word = numbers.and_then(|numbers| numbers.first().copied());
            self.at += 1;
            if let Some(word) = word {
                self.begin(out);
                self.write_sample(out, &series.text, word);
                return true;
            }
        }
    }

    fn write_sample(&mut self, out: &mut Vec<u8>, text: &str, word: u64) {
        write_name(out, &self.family.name, "", text);
        match self.family.kind {
            Kind::Counter => text::write_count(out, word),
            _ => text::write_float(out, f64::from_bits(word)),
        }
        out.push(b'\n');
    }

    fn write_buckets(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(series) = self.series.get(self.at).cloned() else {
            (self.pass, self.at) = (Pass::Counts, 0);
            return true;
        };
        self.read_ahead(self.at);
        if self.numbers_of(self.at).is_none() {
            self.at += 1;
            self.totals.push(None);
            return true;
        }
        self.begin(out);
        self.line.clear();
        self.line.extend_from_slice(self.family.name.as_bytes());
        self.line.extend_from_slice(b"_bucket{");
        self.line.extend_from_slice(series.text.as_bytes());
        if !series.text.is_empty() {
            self.line.push(b',');
        }
        let numbers = self.numbers_of(self.at).unwrap_or_default();
        let mut numbers = numbers.iter().copied();
        let sum = f64::from_bits(numbers.next().unwrap_or(0));
        let mut count: u64 = 0;
        for (end, bucket) in self.bucket_ends.iter().zip(numbers) {
            count = count.wrapping_add(bucket);
            out.extend_from_slice(&self.line);
            out.extend_from_slice(end);
            text::write_count(out, count);
            out.push(b'\n');
        }
        self.totals.push(Some((count, sum)));
        self.at += 1;
        true
    }

    /// Reads the numbers of the next series, that of place `at` among them.
    fn read_ahead(&mut self, at: usize) {
        let read = self.read_from..self.read_from + self.is_there.len();
        if read.contains(&at) {
            return;
        }
        let width = 1 + self.family.buckets();
        let series = self.series.iter().skip(at).take(limits::READ_AHEAD);
        self.read_from = at;
        self.numbers.clear();
        self.numbers.resize(width * limits::READ_AHEAD, 0);
        self.is_there.clear();
        for (series, numbers) in series.zip(self.numbers.chunks_exact_mut(width)) {
            self.is_there.push(series.read(self.family.kind, numbers));
        }
    }

    /// The numbers of a series, unless it has been removed.
    fn numbers_of(&self, at: usize) -> Option<&[u64]> {
        let width = 1 + self.family.buckets();
        let place = at.checked_sub(self.read_from)?;
        if !*self.is_there.get(place)? {
            return None;
        }
        self.numbers.get(width * place..width * (place + 1))
    }

    fn write_total(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(series) = self.series.get(self.at) else {
            if self.pass == Pass::Sums {
                return false;
            }
            (self.pass, self.at) = (Pass::Sums, 0);
            return true;
        };
        if let Some((count, sum)) = self.totals.get(self.at).copied().flatten() {
            if self.pass == Pass::Counts {
                write_name(out, &self.family.name, "_count", &series.text);
                text::write_count(out, count);
            } else {
                write_name(out, &self.family.name, "_sum", &series.text);
                text::write_float(out, sum);
            }
            out.push(b'\n');
        }
        self.at += 1;
        true
    }

    /// Writes the comments before the first sample.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let name = self.family.name.as_bytes();
        let parts: [&[u8]; 3] = [b"# HELP ", name, b" "];
        out.extend(parts.concat());
        text::write_help(out, &self.family.help);
        let kind = self.family.kind.name().as_bytes();
        let parts: [&[u8]; 5] = [b"\n# TYPE ", name, b" ", kind, b"\n"];
        out.extend(parts.concat());
    }
}

/// What a sample begins with, up to its number.
fn write_name(out: &mut Vec<u8>, name: &str, suffix: &str, labels: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() {
        out.push(b'{');
        out.extend_from_slice(labels.as_bytes());
        out.push(b'}');
    }
    out.push(b' ');
}

fn bucket_ends(bounds: &[f64]) -> Vec<Vec<u8>> {
    bounds
        .iter()
        .copied()
        .chain([f64::INFINITY])
        .map(|bound| {
            let mut end = b"le=\"".to_vec();
            text::write_float(&mut end, bound);
            end.extend_from_slice(b"\"} ");
            end
        })
        .collect()
}
