//! Counting here and telling Redis later (`sync_interval`): a request waits for Redis only where nothing is known of its key.
//!
//! What this node let pass since it last told Redis is kept for the whole node, and so is what Redis said then. One task per
//! configuration tells it; it ends when there is nothing to tell, and outlives the configuration for that. The end of the process has
//! it tell at once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lockgate_limit::{Decision, Quota};
use lockgate_net::clock::Clock;

use super::{
    Counters,
    remote::{Left, Remote},
};
use crate::{
    limiting::{Background, Scope},
    limits,
};

/// What is counted here and told to Redis later.
#[derive(Debug)]
pub(super) struct Delayed {
    /// That of the configuration that was compiled last.
    remote: Mutex<Arc<Remote>>,
    interval: Duration,
    background: Arc<Background>,
    known: Mutex<HashMap<Box<[u8]>, Known>>,
    /// Whether the task is there that tells Redis.
    is_telling: AtomicBool,
    /// Who counts while Redis is away.
    fallback: Fallback,
}

/// What configurations have that are in force. One that is compiled again, because its object was edited, goes on where it was.
#[derive(Debug, Default)]
pub(super) struct InForce(Mutex<HashMap<Vec<u8>, Weak<Delayed>>>);

impl InForce {
    /// What a configuration has, by the beginning of its keys, which are others for another configuration. From here on it asks through
    /// `remote`.
    pub(super) fn get(
        &self,
        name: Vec<u8>,
        remote: &Arc<Remote>,
        make: impl FnOnce(Arc<Remote>) -> Delayed,
    ) -> Arc<Delayed> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(delayed) = known.get(&name).and_then(Weak::upgrade) {
            *delayed.remote() = remote.clone();
            return delayed;
        }
        known.retain(|_, delayed| delayed.strong_count() > 0);
        let delayed = Arc::new(make(remote.clone()));
        known.insert(name, Arc::downgrade(&delayed));
        delayed
    }
}

/// Counters of this node, and how their keys are hashed.
#[derive(Debug)]
pub(super) struct Fallback {
    pub(super) counters: Counters,
    pub(super) scope: Arc<Scope>,
}

/// What is known of a key.
#[derive(Debug)]
struct Known {
    /// What Redis said last, and when.
    left: Left,
    said: Duration,
    /// What has passed of which Redis does not know.
    passed: u64,
    /// Of that, what is being told: it counts here until it is known that it counts there.
    telling: u64,
    quota: Quota,
    /// Whether Redis is to be told.
    is_due: bool,
}

impl Known {
    /// Seconds until the window ends; `None` if it is over.
    fn reset_s(&self, now: Duration) -> Option<f64> {
        let left_s = self.left.reset_s - now.saturating_sub(self.said).as_secs_f64();
        (left_s > 0.0).then_some(left_s)
    }
}

impl Delayed {
    pub(super) fn new(
        remote: Arc<Remote>,
        interval: Duration,
        background: Arc<Background>,
        fallback: Fallback,
    ) -> Self {
        Self {
            remote: Mutex::new(remote),
            interval,
            background,
            known: Mutex::default(),
            is_telling: AtomicBool::new(false),
            fallback,
        }
    }

    /// How often Redis is told.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Decides about a request by what is known.
    pub(super) async fn count(
        self: &Arc<Self>,
        worker: usize,
        key: &[u8],
        cost: u64,
        quota: Quota,
        now: Duration,
    ) -> Decision {
        if let Some(decision) = self.decide(key, cost, now) {
            self.tell_later();
            return decision;
        }
        if !self.has_room(key) {
            return self.ask(worker, key, cost, quota, now).await.decision();
        }
        // Nothing is known, or the window is over. What has passed until now goes along, once.
        let told = self.lock().get_mut(key).map_or(0, Known::tell);
        let untold = Untold {
            known: &self.known,
            key,
            told,
        };
        let left = self.ask(worker, key, told, quota, now).await;
        std::mem::forget(untold);
        let decision = {
            let mut known = self.lock();
            // Others may have asked meanwhile, and let requests pass since.
            let known = known.entry(key.into()).or_insert(Known {
                left,
                said: now,
                passed: 0,
                telling: 0,
                quota,
                is_due: false,
            });
            known.quota = quota;
            known.hear(left, told, now);
            known.decide(cost, left.reset_s)
        };
        self.tell_later();
        decision
    }

    fn decide(&self, key: &[u8], cost: u64, now: Duration) -> Option<Decision> {
        let mut known = self.lock();
        let known = known.get_mut(key)?;
        let reset_s = known.reset_s(now)?;
        Some(known.decide(cost, reset_s))
    }

    fn has_room(&self, key: &[u8]) -> bool {
        let known = self.lock();
        known.len() < limits::DELAYED_KEYS || known.contains_key(key)
    }

    /// Tells Redis what has passed and asks what is left; counts here while it is away.
    async fn ask(
        &self,
        worker: usize,
        key: &[u8],
        passed: u64,
        quota: Quota,
        now: Duration,
    ) -> Left {
        let remote = self.remote().clone();
        match remote.add(worker, key, passed, quota, now).await {
            Ok(left) => left,
            // As in the reference: whatever is wrong, this node counts.
            Err(error) => {
                tracing::error!("sync to redis failed: {error}");
                tracing::warn!("try use fallback limiter to do rate limiting");
                let Fallback { counters, scope } = &self.fallback;
                let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
                let decision = counters.count(scope.hash(key), passed, quota, now_ms);
                Left {
                    remaining: decision.remaining,
                    reset_s: decision.reset_s,
                }
            }
        }
    }

    /// Sees to it that Redis is told within the interval.
    fn tell_later(self: &Arc<Self>) {
        if self.is_telling.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        // Ends when nothing is due.
        self.background.spawn(async move {
            loop {
                this.background.pause(this.interval).await;
                if !this.tell().await {
                    return;
                }
            }
        });
    }

    /// Tells Redis what is due; whether anything was.
    async fn tell(&self) -> bool {
        let now = Clock::new().unix(0);
        let due = self.due(now);
        if due.is_empty() {
            self.is_telling.store(false, Ordering::Release);
            // What became due meanwhile found the task still there, and is its to tell.
            let is_due = self.lock().values().any(|one| one.is_due);
            return is_due && !self.is_telling.swap(true, Ordering::AcqRel);
        }
        for (key, told, quota) in due {
            let left = self
                .ask(limits::TELLING_WORKER, &key, told, quota, now)
                .await;
            if let Some(known) = self.lock().get_mut(&key) {
                known.hear(left, told, now);
            }
        }
        true
    }

    /// What Redis is to be told. Forgets keys of which nothing was heard for two windows.
    fn due(&self, now: Duration) -> Vec<(Box<[u8]>, u64, Quota)> {
        let mut known = self.lock();
        known.retain(|_, one| {
            let age_s = now.saturating_sub(one.said).as_secs();
            one.is_due || age_s < one.quota.window_s.get().saturating_mul(2)
        });
        let due = known.iter_mut().filter(|(_, one)| one.is_due);
        due.take(limits::TOLD_KEYS)
            .map(|(key, one)| {
                one.is_due = false;
                (key.clone(), one.tell(), one.quota)
            })
            .collect()
    }

    fn remote(&self) -> MutexGuard<'_, Arc<Remote>> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request was about to tell Redis. Where it is dropped before it has heard an answer, because its client left, somebody else is to
/// tell it: maybe twice, which counts against the limit and not beyond it.
struct Untold<'a> {
    known: &'a Mutex<HashMap<Box<[u8]>, Known>>,
    key: &'a [u8],
    told: u64,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(self.key) {
            known.telling = known.telling.saturating_sub(self.told);
            known.is_due |= self.told > 0;
        }
    }
}

impl Known {
    /// What Redis is to be told.
    fn tell(&mut self) -> u64 {
        let told = self.passed.saturating_sub(self.telling);
        self.telling = self.passed;
        told
    }

    /// Takes in what Redis says, who knows what it was told.
    fn hear(&mut self, left: Left, told: u64, now: Duration) {
        self.left = left;
        self.said = now;
        self.passed = self.passed.saturating_sub(told);
        self.telling = self.telling.saturating_sub(told);
    }

    fn decide(&mut self, cost: u64, reset_s: f64) -> Decision {
        let spent = i64::try_from(self.passed.saturating_add(cost)).unwrap_or(i64::MAX);
        let remaining = self.left.remaining.max(0).saturating_sub(spent);
        self.is_due = true;
        if remaining >= 0 {
            self.passed = self.passed.saturating_add(cost);
        }
        Decision {
            is_allowed: remaining >= 0,
            remaining: remaining.max(0),
            reset_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_heard_an_answer_to_is_told_again() {
        let quota = Quota::new(10, 60).expect("a quota");
        let one = Known {
            left: Left {
                remaining: 10,
                reset_s: 60.0,
            },
            said: Duration::ZERO,
            passed: 4,
            telling: 0,
            quota,
            is_due: false,
        };
        let known = Mutex::new(HashMap::from([(Box::from(*b"a"), one)]));
        let with = |look: fn(&mut Known) -> u64| {
            let mut known = known.lock().expect("unharmed");
            known.get_mut(b"a".as_slice()).map(look)
        };
        let told = with(Known::tell).expect("known");
        assert_eq!((told, with(Known::tell)), (4, Some(0)));
        drop(Untold {
            known: &known,
            key: b"a",
            told,
        });
        assert_eq!(with(|known| u64::from(known.is_due)), Some(1));
        assert_eq!(with(Known::tell), Some(4));
    }
}
