//! Health checks: which nodes are used.
//!
//! An upstream with `checks` has one [`Checker`] for the whole process. It begins with the first request, outlives edits, and
//! keeps a verdict ([`verdict`]) for each target: address, probed port, name and Host. Probes ([`run`], [`probe`]) run on the
//! runtime that compiles upstreams, one for all upstreams that ask the same ([`question`]); workers report what they see of the
//! traffic. Choosing a node reads one number, which says whether any node is unhealthy, and only then a [`view`] of those that
//! are not.
//!
//! Source: `apisix/healthcheck_manager.lua`, `apisix/balancer.lua`, `lua-resty-healthcheck` 3.2.

mod answer;
mod probe;
mod question;
mod run;
mod settings;
mod verdict;
mod view;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use lockgate_model::health::{CheckedNode, CheckedUpstream};
use lockgate_net::clock::monotonic_us;
use tokio::{runtime::Handle, sync::Notify};

pub(crate) use question::Probes;
pub(crate) use settings::{Ejection, Settings};
pub(crate) use verdict::{Limits, Report};
pub(crate) use view::{Choice, Part, View};

use crate::{NodeSet, balancer::Plan, slow_start::Start};
use verdict::Word;

/// What is checked: one address under one name.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    id: Id,
    word: AtomicU64,
    /// The slow start that begins anew when the node recovers.
    start: OnceLock<Arc<Start>>,
    /// How often in a row it was left out without probes.
    ejections: AtomicU32,
    /// When it last came back from that, in microseconds of the system's monotonic clock.
    readmitted_us: AtomicU64,
    /// What it was asked last.
    asked: Mutex<Option<question::Asked>>,
}

/// What makes a target the same after an edit (`compute_targets`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Id {
    /// The address, as the upstream has it.
    ip: Box<str>,
    port: u16,
    hostname: Box<str>,
    host_header: Option<Box<str>>,
}

impl Target {
    /// The Host of probes, which is the name of TLS as well.
    fn host(&self) -> &str {
        self.id.host_header.as_deref().unwrap_or(&self.id.hostname)
    }

    fn restart(&self) {
        if let Some(start) = self.start.get() {
            start.again();
        }
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.word.load(Relaxed))
    }
}

/// The health checks of one upstream.
#[derive(Debug)]
pub(crate) struct Checker {
    key: Arc<str>,
    settings: ArcSwap<Settings>,
    /// In the order of the nodes, each once.
    targets: Mutex<Vec<Arc<Target>>>,
    count: AtomicU32,
    /// Above how many verdicts changed, below how many targets are unhealthy.
    summary: AtomicU64,
    is_started: AtomicBool,
    is_retired: AtomicBool,
    /// How often the upstream was compiled. What an older state of it learns of its nodes does not count.
    generation: AtomicU64,
    changed: [Arc<Notify>; 2],
    /// Those of the whole process.
    probes: Arc<Probes>,
    runtime: Option<Handle>,
}

/// The checker of an upstream, and of which of its states.
#[derive(Debug, Clone)]
pub(crate) struct Checking {
    pub(crate) checker: Arc<Checker>,
    pub(crate) generation: u64,
}

/// A verdict changed.
const CHANGE: u64 = 1 << 32;

impl Checker {
    pub(crate) fn new(key: &Arc<str>, settings: Settings, probes: Arc<Probes>) -> Self {
        Self {
            key: key.clone(),
            settings: ArcSwap::from_pointee(settings),
            targets: Mutex::default(),
            count: AtomicU32::new(0),
            summary: AtomicU64::new(0),
            is_started: AtomicBool::new(false),
            is_retired: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            changed: Default::default(),
            probes,
            runtime: Handle::try_current().ok(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The number of the newest state of the upstream.
    pub(crate) fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, AcqRel) + 1
    }

    /// Goes on with these settings.
    pub(crate) fn change(&self, settings: Settings) {
        if !self.settings.load().is_same(&settings) {
            self.settings.store(Arc::new(settings));
            for target in self.targets() {
                target.forget_asked();
            }
            self.wake();
        }
    }

    /// Ends the probes: the upstream is gone, or has no checks any more.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Release);
        self.wake();
    }

    fn wake(&self) {
        for changed in &self.changed {
            changed.notify_one();
        }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Acquire)
    }

    /// Whether the checks had begun; if not, they begin.
    #[inline]
    pub(crate) fn start(self: &Arc<Self>) -> bool {
        self.is_started.load(Relaxed) || self.start_first()
    }

    #[cold]
    fn start_first(self: &Arc<Self>) -> bool {
        if self.is_started.swap(true, AcqRel) {
            return true;
        }
        if let Some(runtime) = &self.runtime {
            let [healthy, unhealthy] = self.changed.clone();
            let weak = Arc::downgrade(self);
            runtime.spawn(run::run(weak.clone(), healthy, run::Of::Healthy));
            runtime.spawn(run::run(weak, unhealthy, run::Of::Unhealthy));
        }
        false
    }

    /// How the nodes are: above a number that is another whenever a verdict changed, below how many are unhealthy.
    #[inline]
    pub(crate) fn summary(&self) -> u64 {
        self.summary.load(Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Target>>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn targets(&self) -> Vec<Arc<Target>> {
        self.lock().clone()
    }

    /// The targets that are healthy, or those that are not.
    fn targets_of(&self, is_good: bool) -> Vec<Arc<Target>> {
        if !is_good && self.summary() as u32 == 0 {
            // Most of the time: without a look at each.
            return Vec::new();
        }
        let targets = self.lock();
        let is_meant = |target: &&Arc<Target>| target.word().is_good() == is_good;
        targets.iter().filter(is_meant).cloned().collect()
    }

    /// Takes in what was seen of a target.
    pub(crate) fn report(self: &Arc<Self>, target: &Arc<Target>, report: Report, limits: Limits) {
        let ejection = self.settings.load().ejection;
        let is_ejected = |word: Word| word.is_good() && !word.after(report, limits).is_good();
        // Of several nodes that fail at the same time not too many are left out: a place is taken first.
        let reserved = ejection
            .filter(|_| is_ejected(target.word()))
            .is_some_and(|ejection| self.reserve(ejection));
        let changed = |word: u64| {
            let after = Word(word).after(report, limits);
            let may_be = ejection.is_none() || reserved || !is_ejected(Word(word));
            (after.0 != word && may_be).then_some(after.0)
        };
        let updated = target.word.fetch_update(AcqRel, Acquire, changed);
        let before = updated.map(Word).ok().filter(|before| {
            before.is_good() != before.after(report, limits).is_good() && !before.has_left()
        });
        let Some(before) = before else {
            if reserved {
                self.summary.fetch_sub(1, AcqRel);
            }
            return;
        };
        let after = before.after(report, limits);
        let node = format_args!("{}:{}", target.id.ip, target.id.port);
        let (upstream, name) = (&*self.key, target.host());
        if after.is_good() {
            self.summary.fetch_add(CHANGE - 1, Release);
            target.restart();
            tracing::warn!(upstream, %node, name, "a node is healthy again");
        } else {
            // Release: who sees the summary sees the word.
            let more = if reserved { CHANGE } else { CHANGE + 1 };
            self.summary.fetch_add(more, Release);
            tracing::warn!(upstream, %node, name, last = ?report, "a node is unhealthy");
            if let Some(ejection) = ejection {
                self.readmit_later(target, ejection);
            }
        }
    }

    /// Takes a place among the nodes that may be left out; false where there is none.
    fn reserve(&self, ejection: Ejection) -> bool {
        let most = ejection.most(self.count.load(Relaxed));
        let more = |summary: u64| ((summary as u32) < most).then_some(summary + 1);
        self.summary.fetch_update(AcqRel, Acquire, more).is_ok()
    }

    /// Lets a node come back by itself.
    fn readmit_later(self: &Arc<Self>, target: &Arc<Target>, ejection: Ejection) {
        let since_us = monotonic_us().saturating_sub(target.readmitted_us.load(Relaxed));
        if Duration::from_micros(since_us) > ejection.memory() {
            target.ejections.store(0, Relaxed);
        }
        let time = ejection.time(target.ejections.fetch_add(1, Relaxed));
        let Some(runtime) = &self.runtime else { return };
        let (checker, target) = (Arc::downgrade(self), target.clone());
        runtime.spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(checker) = checker.upgrade() {
                checker.readmit(&target);
            }
        });
    }

    fn readmit(&self, target: &Target) {
        let healthy = |word: u64| (!Word(word).is_good()).then(|| Word(word).recovered().0);
        if let Ok(before) = target.word.fetch_update(AcqRel, Acquire, healthy)
            && !Word(before).has_left()
        {
            target.readmitted_us.store(monotonic_us(), Relaxed);
            target.restart();
            self.summary.fetch_add(CHANGE - 1, Release);
            let node = format_args!("{}:{}", target.id.ip, target.id.port);
            let (upstream, name) = (&*self.key, target.host());
            tracing::warn!(upstream, %node, name, "a node is used again");
        }
    }

    /// Checks the nodes of a set from now on; the target of each node by its place. Those that were checked already keep their
    /// verdicts.
    fn assign(&self, set: &NodeSet, generation: u64) -> Box<[Arc<Target>]> {
        let settings = self.settings();
        let mut targets = self.lock();
        let is_newest = generation == self.generation.load(Acquire);
        let before = targets.clone();
        if is_newest {
            targets.clear();
        }
        let known: HashMap<&Id, &Arc<Target>> =
            before.iter().map(|target| (&target.id, target)).collect();
        let mut listed: HashMap<Id, Arc<Target>> = HashMap::new();
        let by_place = set
            .iter()
            .map(|node| {
                let (ip, _) = node.server.rsplit_once(':').unwrap_or_default();
                let port = settings.port.unwrap_or(node.address.port());
                let host_header = settings.rewritten_host.as_ref().or(node.name.as_ref());
                let id = Id {
                    ip: ip.into(),
                    port,
                    hostname: settings.host.clone().unwrap_or_else(|| ip.into()),
                    host_header: host_header.cloned(),
                };
                if let Some(target) = listed.get(&id) {
                    return target.clone();
                }
                let target = match known.get(&id) {
                    Some(target) => Arc::clone(target),
                    None => Arc::new(Target {
                        address: SocketAddr::new(node.address.ip(), port),
                        id: id.clone(),
                        word: AtomicU64::new(if is_newest { 0 } else { Word::LEFT.0 }),
                        start: OnceLock::new(),
                        ejections: AtomicU32::new(0),
                        readmitted_us: AtomicU64::new(0),
                        asked: Mutex::default(),
                    }),
                };
                if is_newest {
                    targets.push(target.clone());
                }
                listed.insert(id, target.clone());
                target
            })
            .collect();
        if is_newest {
            self.count.store(targets.len() as u32, Relaxed);
        }
        for target in before
            .iter()
            .filter(|target| !listed.contains_key(&target.id))
        {
            let word = target.word.fetch_or(Word::LEFT.0, AcqRel);
            if !Word(word).is_good() {
                self.summary.fetch_add(CHANGE - 1, Release);
            }
        }
        by_place
    }

    /// What has been found out.
    pub(crate) fn snapshot(&self) -> CheckedUpstream {
        let nodes = if self.is_started.load(Relaxed) {
            self.targets().iter().map(|target| shown(target)).collect()
        } else {
            Vec::new()
        };
        CheckedUpstream {
            key: self.key.to_string(),
            kind: self.settings.load().kind,
            nodes,
        }
    }
}

impl Drop for Checker {
    /// Lets the loops see that there is nothing left to probe.
    fn drop(&mut self) {
        self.wake();
    }
}

fn shown(target: &Target) -> CheckedNode {
    let word = target.word();
    CheckedNode {
        ip: target.id.ip.to_string(),
        port: target.id.port,
        hostname: target.id.hostname.to_string(),
        hostheader: target.id.host_header.as_deref().map(str::to_owned),
        status: word.health(),
        counter: word.counters(),
    }
}

/// The health of a set's nodes.
#[derive(Debug)]
pub(crate) struct SetHealth {
    pub(crate) checker: Arc<Checker>,
    /// By place.
    targets: Box<[Arc<Target>]>,
    view: ArcSwapOption<View>,
    plan: Plan,
}

impl SetHealth {
    /// Has the nodes of a set checked.
    pub(crate) fn new(
        checking: &Checking,
        set: &NodeSet,
        plan: &Plan,
        starts: Option<&[Arc<Start>]>,
    ) -> Self {
        let checker = &checking.checker;
        let targets = checker.assign(set, checking.generation);
        for (target, start) in targets.iter().zip(starts.unwrap_or_default()) {
            // The first stays: both stand for the same address of the same upstream.
            let _known = target.start.set(start.clone());
        }
        Self {
            checker: checker.clone(),
            targets,
            view: ArcSwapOption::empty(),
            plan: plan.clone(),
        }
    }

    /// The choice there is while some nodes are unhealthy; `None` while none is.
    #[inline]
    pub(crate) fn view(&self, set: &NodeSet) -> Option<arc_swap::Guard<Option<Arc<View>>>> {
        let summary = self.checker.summary();
        if summary as u32 == 0 {
            return None;
        }
        let view = self.view.load();
        if view.as_ref().is_some_and(|view| view.summary == summary) {
            return Some(view);
        }
        Some(self.look(set, summary))
    }

    #[cold]
    fn look(&self, set: &NodeSet, summary: u64) -> arc_swap::Guard<Option<Arc<View>>> {
        let is_good = self.targets.iter().map(|target| target.word().is_good());
        let view = Arc::new(View::new(set, &self.plan, summary, is_good.collect()));
        // Of two workers that look at the same time either is right, and what is outdated is looked at anew.
        self.view.store(Some(view.clone()));
        arc_swap::Guard::from_inner(Some(view))
    }

    /// What was found out about the node at a place.
    pub(crate) fn checked(&self, place: usize) -> Option<CheckedNode> {
        self.targets.get(place).map(|target| shown(target))
    }

    /// Whether the node at a place is healthy.
    pub(crate) fn is_good(&self, place: u32) -> bool {
        self.targets
            .get(place as usize)
            .is_none_or(|target| target.word().is_good())
    }

    /// Takes in what the traffic shows of the node at a place.
    pub(crate) fn report(&self, place: u32, report: Report) {
        if let Some(target) = self.targets.get(place as usize) {
            let settings = self.checker.settings.load();
            // Failures in a row, of whatever kind.
            let report = match report {
                Report::TcpFailure | Report::Timeout if settings.ejection.is_some() => {
                    Report::HttpFailure
                }
                other => other,
            };
            self.checker.report(target, report, settings.passive.limits);
        }
    }

    /// Takes in the status of an answer.
    pub(crate) fn report_status(&self, place: u32, status: u16) {
        let judged = self.checker.settings.load().passive.judge(status);
        if let Some(report) = judged {
            self.report(place, report);
        }
    }
}

#[cfg(test)]
mod tests;
