//! The rounds of probes of one upstream.
//!
//! Healthy and unhealthy nodes have rounds of their own. A round begins an interval after the one before it began, and never
//! before that one has ended; the first begins at a random moment in the second half of the first interval, so that upstreams
//! that began together do not go on together.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};

use super::{Checker, probe::probe, settings::Settings};

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
        let mut due = Instant::now() + first(interval);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = changed.notified() => break,
            }
            if !round(&checker, &settings, of).await {
                break;
            }
            due = (due + interval).max(Instant::now());
        }
    }
}

fn settings(checker: &Weak<Checker>) -> Option<Arc<Settings>> {
    let checker = checker.upgrade().filter(|checker| !checker.is_retired())?;
    Some(checker.settings())
}

/// A random part of the second half of an interval.
fn first(interval: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) as u32;
    interval.mul_f64(0.5 + f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

/// Probes each node once; false when the settings are others meanwhile.
async fn round(checker: &Weak<Checker>, settings: &Arc<Settings>, of: Of) -> bool {
    let Some(strong) = checker.upgrade().filter(|checker| !checker.is_retired()) else {
        return false;
    };
    let mut probing = JoinSet::new();
    for target in strong.targets() {
        if target.word().is_good() != (of == Of::Healthy) {
            continue;
        }
        if probing.len() >= settings.concurrency {
            probing.join_next().await;
        }
        let (checker, settings) = (strong.clone(), settings.clone());
        probing.spawn(async move {
            let permit = checker.permit().await;
            let report = probe(&settings, &target).await;
            drop(permit);
            if let Some(report) = report.filter(|_| !checker.is_retired()) {
                checker.report(&target, report, settings.active.limits);
            }
        });
    }
    while probing.join_next().await.is_some() {}
    Arc::ptr_eq(&strong.settings(), settings)
}
