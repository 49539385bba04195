//! All families, and who reports to them.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{
        AtomicBool, AtomicU32,
        Ordering::{AcqRel, Relaxed},
    },
};

use crate::{
    Buckets, Collector, Counter, Declaration, DeclareError, FloatCounter, Gauge, Histogram, Kind,
    Recorder, Samples, Scrape,
    cell::{Shard, lock},
    family::Family,
};

/// All families of a process. What is counted outlives recorders and configurations as long as the registry is kept.
pub struct Registry {
    prefix: Box<str>,
    families: Mutex<Vec<Arc<Family>>>,
    collectors: Mutex<Vec<Weak<dyn Collector>>>,
    shards: AtomicU32,
    /// Whether recorders are gone whose cells are still there.
    any_retired: Arc<AtomicBool>,
    /// Updates that had no series of their own, by family.
    dropped: Counter,
    /// For what the registry itself counts.
    own: Mutex<Recorder>,
}

/// Name of the metric of updates that had no series of their own. It is the gateway's own and takes no prefix.
const DROPPED: &str = "lockgate_metric_updates_dropped_total";

impl Registry {
    /// A registry whose families' names begin with `prefix`, such as `apisix_`.
    pub fn new(prefix: &str) -> Arc<Self> {
        let declaration = Declaration::new(
            DROPPED,
            "Updates of metrics with too many series, counted under overflow or not at all",
            &["metric"],
        )
        .series_max(usize::MAX);
        let none = Buckets::new([]);
        let dropped = Arc::new(Family::new(0, DROPPED, Kind::Counter, &declaration, &none));
        let any_retired = Arc::<AtomicBool>::default();
        let own = Shard::new(0, any_retired.clone());
        let own = Recorder::new(dropped.clone(), Arc::new(own));
        Arc::new(Self {
            prefix: prefix.into(),
            families: Mutex::new(vec![dropped.clone()]),
            collectors: Mutex::default(),
            shards: AtomicU32::new(1),
            any_retired,
            dropped: Counter(dropped),
            own: Mutex::new(own),
        })
    }

    /// Declares a counter of whole numbers. What is declared again, and alike but for its bounds, is the same family with the new bounds.
    pub fn counter(&self, declaration: &Declaration) -> Result<Counter, DeclareError> {
        let none = Buckets::new([]);
        self.declare(Kind::Counter, declaration, &none).map(Counter)
    }

    /// Declares a counter of any numbers, as [`Self::counter`] does.
    pub fn float_counter(&self, declaration: &Declaration) -> Result<FloatCounter, DeclareError> {
        self.declare(Kind::FloatCounter, declaration, &Buckets::new([]))
            .map(FloatCounter)
    }

    /// Declares a gauge, as [`Self::counter`] does.
    pub fn gauge(&self, declaration: &Declaration) -> Result<Gauge, DeclareError> {
        let none = Buckets::new([]);
        self.declare(Kind::Gauge, declaration, &none).map(Gauge)
    }

    /// Declares a histogram, as [`Self::counter`] does.
    pub fn histogram(
        &self,
        declaration: &Declaration,
        buckets: &Buckets,
    ) -> Result<Histogram, DeclareError> {
        self.declare(Kind::Histogram, declaration, buckets)
            .map(Histogram)
    }

    /// Asks a collector at each scrape, as long as its owner keeps it.
    pub fn register(&self, collector: &Arc<dyn Collector>) {
        let mut collectors = lock(&self.collectors);
        collectors.retain(|known| known.strong_count() > 0);
        collectors.push(Arc::downgrade(collector));
    }

    /// A recorder: one for each thread that counts. What it has counted stays when it is dropped.
    pub fn recorder(&self) -> Recorder {
        let id = self.shards.fetch_add(1, Relaxed);
        let shard = Shard::new(id, self.any_retired.clone());
        Recorder::new(self.dropped.0.clone(), Arc::new(shard))
    }

    /// Removes series that have expired, as each scrape does, and puts new ones in their order, which the next scrape need not do then.
    /// To be called from time to time, for when nobody scrapes. `now_ms` is in milliseconds of the clock that recorders are given.
    pub fn expire(&self, now_ms: u64) {
        let any_retired = self.any_retired.swap(false, AcqRel);
        for family in self.families() {
            if any_retired {
                family.fold_retired();
            }
            family.expire(now_ms);
        }
    }

    /// Begins to write all that is known.
    pub fn scrape(&self, now_ms: u64) -> Scrape {
        self.expire(now_ms);
        let mut samples = Samples::default();
        // Not under the lock: a collector may take its time.
        let collectors: Vec<_> = lock(&self.collectors)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for collector in collectors {
            collector.collect(&mut samples);
        }
        self.count_dropped(&mut samples, now_ms);
        let mut families = self.families();
        families.sort_by(|a, b| {
            let ((a, a_next), (b, b_next)) = (a.sort_key(), b.sort_key());
            a.bytes()
                .chain(a_next.bytes())
                .cmp(b.bytes().chain(b_next.bytes()))
        });
        Scrape::new(families, samples)
    }

    /// Counts the values of collectors that were too many.
    fn count_dropped(&self, samples: &mut Samples, now_ms: u64) {
        let mut own = lock(&self.own);
        let mut own = own.at(now_ms);
        for (metric, count) in std::mem::take(&mut samples.dropped) {
            let series = own.counter(&self.dropped, &[&*metric]);
            own.add(&series, count);
        }
    }

    fn families(&self) -> Vec<Arc<Family>> {
        lock(&self.families).clone()
    }

    fn declare(
        &self,
        kind: Kind,
        declaration: &Declaration,
        buckets: &Buckets,
    ) -> Result<Arc<Family>, DeclareError> {
        let name = format!("{}{}", self.prefix, declaration.name);
        check_names(&name, declaration)?;
        let mut families = lock(&self.families);
        let id = families.len() as u32;
        let family = Family::new(id, &name, kind, declaration, buckets);
        if let Some(known) = families.iter().find(|known| known.name == family.name) {
            if !known.is_same(&family) {
                return Err(DeclareError::Taken(name));
            }
            known.bound(declaration);
            return Ok(known.clone());
        }
        let clashes = families
            .iter()
            .any(|known| takes_name_of(known, &family) || takes_name_of(&family, known));
        if clashes {
            return Err(DeclareError::Taken(name));
        }
        let family = Arc::new(family);
        families.push(family.clone());
        Ok(family)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Registry")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Whether a histogram has samples of another family's name.
fn takes_name_of(histogram: &Family, other: &Family) -> bool {
    histogram.kind == Kind::Histogram
        && ["_bucket", "_count", "_sum"]
            .iter()
            .any(|suffix| other.name.strip_suffix(suffix) == Some(&histogram.name))
}

/// Names as <https://prometheus.io/docs/concepts/data_model/> has them.
fn check_names(name: &str, declaration: &Declaration) -> Result<(), DeclareError> {
    let is_name = |name: &str, also: &str| {
        name.chars().enumerate().all(|(at, c)| {
            c == '_' || also.contains(c) || c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit()
        }) && !name.is_empty()
    };
    if !is_name(name, ":") {
        return Err(DeclareError::Name(name.to_owned()));
    }
    for (at, label) in declaration.labels.iter().enumerate() {
        let (metric, label_name) = (name.to_owned(), label.clone().into_owned());
        if !is_name(label, "") || label == "le" {
            let label = label_name;
            return Err(DeclareError::Label { metric, label });
        }
        if declaration
            .labels
            .iter()
            .take(at)
            .any(|before| before == label)
        {
            let label = label_name;
            return Err(DeclareError::LabelTwice { metric, label });
        }
    }
    Ok(())
}
