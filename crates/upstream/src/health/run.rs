//! The rounds of probes of one upstream.
//!
//! Healthy and unhealthy nodes have rounds of their own. A round begins an interval after the one before it began, and never
//! before that one has ended; the first begins at a random moment in the second half of the first interval, so that upstreams
//! that began together do not go on together. Where another upstream asks the same of the same node, its round sets the time.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};

use super::{
    Checker, Target,
    probe::probe,
    question::{Asking, Begun, Look, Outcome, Probe},
    settings::Settings,
};
use crate::limits::{LOOK_SOON, PROBE_GRID, PROBE_REST};

/// Which nodes a loop probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Healthy,
    Unhealthy,
}

/// Probes until the upstream is gone.
pub(crate) async fn run(checker: Weak<Checker>, changed: Arc<Notify>, of: Of) {
    while let Some(settings) = settings(&checker) {
        let interval = match of {
            Of::Healthy => settings.healthy_interval,
            Of::Unhealthy => settings.unhealthy_interval,
        };
        let Some(interval) = interval else {
            changed.notified().await;
            continue;
        };
        let mut next = Instant::now() + first(interval);
        while let Some(due) = on_grid(&checker, next) {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = changed.notified() => break,
            }
            let Some(checker) = checker.upgrade().filter(|checker| !checker.is_retired()) else {
                break;
            };
            let round = Round {
                checker,
                settings: settings.clone(),
                of,
                interval,
                due,
            };
            let Some(asked) = round.run().await else {
                break;
            };
            next = (asked + interval).max(Instant::now());
        }
    }
}

fn settings(checker: &Weak<Checker>) -> Option<Arc<Settings>> {
    let checker = checker.upgrade().filter(|checker| !checker.is_retired())?;
    Some(checker.settings())
}

fn on_grid(checker: &Weak<Checker>, moment: Instant) -> Option<Instant> {
    Some(checker.upgrade()?.probes.on_grid(moment, PROBE_GRID))
}

/// A random part of the second half of an interval.
fn first(interval: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) as u32;
    interval.mul_f64(0.5 + f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

/// One probe of each node.
struct Round {
    checker: Arc<Checker>,
    settings: Arc<Settings>,
    of: Of,
    interval: Duration,
    due: Instant,
}

/// Probes whose outcome is looked for from time to time.
#[derive(Default)]
struct Pending {
    /// Over kept connections, since when.
    sent: Vec<(Arc<Target>, Asking, Instant)>,
    /// By other upstreams.
    waiting: Vec<(Arc<Target>, Arc<Probe>)>,
}

impl Round {
    /// When the nodes were asked, by whomever; `None` when the settings are others meanwhile.
    async fn run(self) -> Option<Instant> {
        let targets = self.checker.targets_of(self.of == Of::Healthy);
        let mut left = targets.into_iter().peekable();
        let mut asked = None;
        let mut pending = Pending::default();
        let mut connecting = JoinSet::new();
        let mut pause = LOOK_SOON;
        let mut look_at = None;
        loop {
            while pending.sent.len() + connecting.len() < self.settings.concurrency
                && let Some(target) = left.next()
            {
                let at = self.begin(target, &mut pending, &mut connecting);
                asked = asked.max(Some(at));
                tokio::task::coop::consume_budget().await;
            }
            if pending.sent.is_empty() && pending.waiting.is_empty() {
                if connecting.join_next().await.is_none() {
                    break;
                }
                continue;
            }
            let at = *look_at.get_or_insert_with(|| {
                let at = Instant::now() + pause;
                if left.peek().is_some() {
                    return at;
                }
                pause = (pause * 2).min((self.settings.timeout / 4).max(PROBE_GRID));
                self.checker.probes.on_grid(at, PROBE_GRID)
            });
            tokio::select! {
                Some(_) = connecting.join_next(), if !connecting.is_empty() => {}
                () = tokio::time::sleep_until(at) => {
                    look_at = None;
                    self.look(&mut pending, &mut connecting);
                }
            }
        }
        Arc::ptr_eq(&self.checker.settings(), &self.settings).then(|| asked.unwrap_or(self.due))
    }

    /// Begins one probe; when it was due.
    fn begin(
        &self,
        target: Arc<Target>,
        pending: &mut Pending,
        connecting: &mut JoinSet<()>,
    ) -> Instant {
        let probes = &self.checker.probes;
        let from_kept = self.of == Of::Healthy;
        match target.begin(probes, &self.settings, self.interval, self.due, from_kept) {
            Begun::Known(outcome, at) => {
                take_in(&self.checker, &target, Some(outcome), &self.settings);
                at
            }
            Begun::Waits(probe, at) => {
                pending.waiting.push((target, probe));
                at
            }
            Begun::Asks(mut asking) => {
                if asking.send() {
                    pending.sent.push((target, asking, Instant::now()));
                } else {
                    self.connect(target, asking, connecting);
                }
                self.due
            }
        }
    }

    /// Asks over a new connection.
    fn connect(&self, target: Arc<Target>, mut asking: Asking, connecting: &mut JoinSet<()>) {
        let (checker, settings) = (self.checker.clone(), self.settings.clone());
        connecting.spawn(async move {
            let permit = checker.probes.permit().await;
            let (outcome, stream) = probe(&asking.probe, asking.keeps()).await;
            drop(permit);
            asking.outcome = Some(outcome);
            if let Some(stream) = stream {
                asking.keep(stream, outcome);
            }
            drop(asking);
            take_in(&checker, &target, Some(outcome), &settings);
        });
    }

    /// Takes in what has come.
    fn look(&self, pending: &mut Pending, connecting: &mut JoinSet<()>) {
        let now = Instant::now();
        for (target, mut asking, since) in std::mem::take(&mut pending.sent) {
            let look = asking.look();
            let limit = match asking.outcome {
                // What follows the status line is waited for so that the connection can be kept, and not for long.
                Some(_) => PROBE_REST,
                None => self.settings.timeout,
            };
            if look == Look::Part && now.duration_since(since) < limit {
                pending.sent.push((target, asking, since));
                continue;
            }
            if look != Look::End {
                asking.give_up_kept();
            }
            if asking.outcome.is_none() {
                self.connect(target, asking, connecting);
                continue;
            }
            let outcome = asking.outcome;
            drop(asking);
            take_in(&self.checker, &target, outcome, &self.settings);
        }
        pending.waiting.retain(|(target, probe)| {
            let told = probe.told();
            if let Poll::Ready(outcome) = told {
                take_in(&self.checker, target, outcome, &self.settings);
            }
            told.is_pending()
        });
    }
}

fn take_in(
    checker: &Arc<Checker>,
    target: &Arc<Target>,
    outcome: Option<Outcome>,
    settings: &Settings,
) {
    let report = outcome.and_then(|outcome| outcome.report(settings));
    if let Some(report) = report.filter(|_| !checker.is_retired()) {
        checker.report(target, report, settings.active.limits);
    }
}
