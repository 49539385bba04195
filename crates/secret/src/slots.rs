//! What is known of each reference, and when it is to be looked up next. Pure: the time is given.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    LookupError,
    limits::{AHEAD, LEAST_PAUSE},
};

/// What is known of a reference.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is being looked up for the first time.
    Pending,
    /// Its value, a text in most cases.
    Found(Value),
    /// It has none.
    Failed(LookupError),
}

/// A reference in use. While one of these is held, its value is kept current.
#[derive(Debug, Clone)]
pub struct Used {
    reference: Arc<str>,
    _held: Arc<()>,
}

impl Used {
    /// The reference as it is written.
    pub fn reference(&self) -> &Arc<str> {
        &self.reference
    }
}

/// How long answers are kept, and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) ttl: Duration,
    pub(crate) neg_ttl: Duration,
    pub(crate) count: usize,
    pub(crate) neg_count: usize,
}

/// All references that were asked for.
#[derive(Debug)]
pub(crate) struct Slots {
    keep: Keep,
    /// By the reference as it is written, so that those of one manager stand side by side.
    known: BTreeMap<Arc<str>, Slot>,
    /// When managers are to be asked.
    schedule: BTreeSet<(Instant, Arc<str>)>,
    changed: BTreeSet<Arc<str>>,
    pending: usize,
    /// How many slots there may be before those that nothing uses are counted.
    trim_at: usize,
}

#[derive(Debug)]
struct Slot {
    answer: Answer,
    /// `None` where no manager is asked: the environment, and what is malformed.
    due: Option<Instant>,
    /// Counts what made earlier lookups worthless.
    version: u64,
    held: Arc<()>,
    /// Whether its failure has been logged.
    is_logged: bool,
}

impl Slot {
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.held) > 1
    }
}

/// A lookup to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) reference: Arc<str>,
    pub(crate) version: u64,
}

/// What to log of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    Nothing,
    /// The value that is known stays, and could not be looked up anew.
    Stale,
}

impl Slots {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep: Keep {
                ttl: keep.ttl.max(LEAST_PAUSE),
                neg_ttl: keep.neg_ttl.max(LEAST_PAUSE),
                ..keep
            },
            known: BTreeMap::new(),
            schedule: BTreeSet::new(),
            changed: BTreeSet::new(),
            pending: 0,
            trim_at: keep.count.saturating_add(keep.neg_count),
        }
    }

    /// What is known of a reference. Of one that is new, what `first` says; [`Answer::Pending`] has it looked up.
    pub(crate) fn get(
        &mut self,
        text: &str,
        now: Instant,
        first: impl FnOnce() -> Answer,
    ) -> (Answer, Used) {
        if let Some((reference, slot)) = self.known.get_key_value(text) {
            let used = Used {
                reference: reference.clone(),
                _held: slot.held.clone(),
            };
            return (slot.answer.clone(), used);
        }
        if self.known.len() >= self.trim_at {
            self.trim();
        }
        let reference: Arc<str> = text.into();
        let answer = first();
        let due = (answer == Answer::Pending).then_some(now);
        if let Some(due) = due {
            self.schedule.insert((due, reference.clone()));
            self.pending += 1;
        }
        let held = Arc::new(());
        let slot = Slot {
            answer: answer.clone(),
            due,
            version: 0,
            held: held.clone(),
            is_logged: false,
        };
        self.known.insert(reference.clone(), slot);
        let used = Used {
            reference,
            _held: held,
        };
        (answer, used)
    }

    /// Whether a failure is to be logged: true once.
    pub(crate) fn log_once(&mut self, reference: &str) -> bool {
        let slot = self.known.get_mut(reference);
        slot.is_some_and(|slot| !std::mem::replace(&mut slot.is_logged, true))
    }

    /// Takes the next lookup that is due. One that nothing uses is forgotten instead.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Due> {
        while let Some((due, reference)) = self.schedule.first().cloned() {
            if due > now {
                return None;
            }
            let slot = self.known.get(&reference);
            let version = slot.filter(|slot| slot.is_used()).map(|slot| slot.version);
            if let Some(version) = version {
                // Should the lookup be lost, it is made again.
                self.schedule_at(&reference, now + self.keep.ttl);
                return Some(Due { reference, version });
            }
            self.remove(&reference);
        }
        None
    }

    /// When the next lookup is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.schedule.first().map(|(due, _)| *due)
    }

    /// Takes the outcome of a lookup in.
    pub(crate) fn answered(
        &mut self,
        due: &Due,
        outcome: Result<Value, LookupError>,
        now: Instant,
    ) -> Logged {
        let Due { reference, version } = due;
        let Some(slot) = self.known.get_mut(reference) else {
            return Logged::Nothing;
        };
        if slot.version != *version {
            return Logged::Nothing;
        }
        let Keep { ttl, neg_ttl, .. } = self.keep;
        let (answer, pause) = match outcome {
            Ok(value) => {
                slot.is_logged = false;
                (
                    Answer::Found(value),
                    ttl.saturating_sub((ttl / 10).min(AHEAD)),
                )
            }
            Err(_) if matches!(slot.answer, Answer::Found(_)) => {
                let is_first = !std::mem::replace(&mut slot.is_logged, true);
                self.schedule_at(reference, now + neg_ttl);
                return if is_first {
                    Logged::Stale
                } else {
                    Logged::Nothing
                };
            }
            Err(error) => (Answer::Failed(error), neg_ttl),
        };
        self.set(reference, answer);
        self.schedule_at(reference, now + pause);
        Logged::Nothing
    }

    /// A manager was stored: what it keeps is looked up anew, and what was known until then serves meanwhile.
    pub(crate) fn manager_changed(&mut self, conf: &str, now: Instant) {
        for reference in self.of_manager(conf) {
            if let Some(slot) = self.known.get_mut(&reference) {
                slot.version += 1;
                self.schedule_at(&reference, now);
            }
        }
    }

    /// A manager is gone: so is what it kept.
    pub(crate) fn manager_removed(&mut self, conf: &str, now: Instant) {
        for reference in self.of_manager(conf) {
            if let Some(slot) = self.known.get_mut(&reference) {
                slot.version += 1;
                let gone = LookupError::NoConf(reference.to_string());
                self.set(&reference, Answer::Failed(gone));
                self.schedule_at(&reference, now + self.keep.neg_ttl);
            }
        }
    }

    /// References whose answer changed since this was asked.
    pub(crate) fn take_changed(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// Values of the references that are in use.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        let used = self.known.iter().filter(|(_, slot)| slot.is_used());
        used.filter_map(|(reference, slot)| match &slot.answer {
            Answer::Found(value) => Some((reference, value)),
            _ => None,
        })
    }

    /// Whether a reference waits for its first answer.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending > 0
    }

    fn of_manager(&self, conf: &str) -> Vec<Arc<str>> {
        let prefix = format!("$secret://{conf}/");
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        self.known
            .range::<str, _>(from)
            .map(|(reference, _)| reference)
            .take_while(|reference| reference.starts_with(&prefix))
            // Without a key it is malformed, whatever the manager is.
            .filter(|reference| reference.len() > prefix.len())
            .cloned()
            .collect()
    }

    fn set(&mut self, reference: &Arc<str>, answer: Answer) {
        let Some(slot) = self.known.get_mut(reference) else {
            return;
        };
        if slot.answer == answer {
            return;
        }
        let before = std::mem::replace(&mut slot.answer, answer);
        slot.is_logged = false;
        self.pending -= usize::from(before == Answer::Pending);
        self.changed.insert(reference.clone());
    }

    /// Has a reference looked up at this time.
    pub(crate) fn schedule_at(&mut self, reference: &Arc<str>, due: Instant) {
        let Some(slot) = self.known.get_mut(reference) else {
            return;
        };
        if let Some(before) = slot.due.replace(due) {
            self.schedule.remove(&(before, reference.clone()));
        }
        self.schedule.insert((due, reference.clone()));
    }

    fn remove(&mut self, reference: &Arc<str>) {
        if let Some(slot) = self.known.remove(reference) {
            self.pending -= usize::from(slot.answer == Answer::Pending);
            if let Some(due) = slot.due {
                self.schedule.remove(&(due, reference.clone()));
            }
        }
    }

    /// Forgets what nothing uses and what is more than may be kept, the soonest due first.
    fn trim(&mut self) {
        let Keep {
            count, neg_count, ..
        } = self.keep;
        for (is_failure, most) in [(false, count), (true, neg_count)] {
            let mut unused: Vec<(Option<Instant>, Arc<str>)> = self
                .known
                .iter()
                .filter(|(_, slot)| !slot.is_used())
                .filter(|(_, slot)| matches!(slot.answer, Answer::Failed(_)) == is_failure)
                .map(|(reference, slot)| (slot.due, reference.clone()))
                .collect();
            unused.sort_unstable();
            let surplus = unused.len().saturating_sub(most);
            for (_, reference) in unused.into_iter().take(surplus) {
                self.remove(&reference);
            }
        }
        // Twice what is left, so that counting costs little however many are in use.
        let least = count.saturating_add(neg_count);
        self.trim_at = least.max(self.known.len().saturating_mul(2));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn slots(count: usize, neg_count: usize) -> Slots {
        Slots::new(Keep {
            ttl: 10 * SECOND,
            neg_ttl: 4 * SECOND,
            count,
            neg_count,
        })
    }

    fn failure() -> LookupError {
        LookupError::Vault("away".into())
    }

    const A: &str = "$secret://vault/1/a/key";

    #[test]
    fn looks_up_ahead_of_time_and_tells_changes_once() {
        let now = Instant::now();
        let mut slots = slots(2, 2);
        let (answer, used) = slots.get(A, now, || Answer::Pending);
        assert_eq!((answer, slots.is_pending()), (Answer::Pending, true));
        let due = slots.take_due(now).expect("at once");
        assert_eq!(slots.take_due(now), None, "once");
        assert_eq!(slots.answered(&due, Ok(json!("one")), now), Logged::Nothing);
        assert!(!slots.is_pending());
        assert_eq!(slots.take_changed(), [used.reference().clone()]);
        assert!(slots.take_changed().is_empty());

        assert_eq!(slots.next_due(), Some(now + 9 * SECOND), "ahead of 10 s");
        let later = now + 9 * SECOND;
        let due = slots.take_due(later).expect("due");
        slots.answered(&due, Ok(json!("one")), later);
        assert!(slots.take_changed().is_empty(), "the same as before");
        let later = later + 9 * SECOND;
        let due = slots.take_due(later).expect("due");
        slots.answered(&due, Ok(json!("two")), later);
        assert_eq!(slots.take_changed().len(), 1);
        let known = slots.get(A, later, || Answer::Pending).0;
        assert_eq!(known, Answer::Found(json!("two")));
    }

    #[test]
    fn a_value_outlives_lookups_that_fail() {
        let now = Instant::now();
        let mut slots = slots(2, 2);
        let (_, _used) = slots.get(A, now, || Answer::Pending);
        let due = slots.take_due(now).expect("due");
        slots.answered(&due, Err(failure()), now);
        assert_eq!(
            slots.get(A, now, || Answer::Pending).0,
            Answer::Failed(failure())
        );
        assert!(slots.log_once(A) && !slots.log_once(A));
        assert_eq!(slots.next_due(), Some(now + 4 * SECOND));

        let due = slots.take_due(now + 4 * SECOND).expect("due");
        slots.answered(&due, Ok(json!(1)), now);
        slots.take_changed();
        let mut at = now + 9 * SECOND;
        for logged in [Logged::Stale, Logged::Nothing] {
            let due = slots.take_due(at).expect("due");
            assert_eq!(slots.answered(&due, Err(failure()), at), logged);
            assert_eq!(slots.next_due(), Some(at + 4 * SECOND));
            at += 4 * SECOND;
        }
        assert_eq!(
            slots.get(A, at, || Answer::Pending).0,
            Answer::Found(json!(1))
        );
        assert!(slots.take_changed().is_empty());
    }

    #[test]
    fn a_manager_that_changes_or_goes_makes_lookups_under_way_worthless() {
        let now = Instant::now();
        let mut slots = slots(2, 2);
        let other = "$secret://vault/10/a/key";
        let used = [A, other].map(|text| slots.get(text, now, || Answer::Pending).1);
        while let Some(due) = slots.take_due(now) {
            slots.answered(&due, Ok(json!("old")), now);
        }
        slots.take_changed();

        slots.manager_changed("vault/1", now);
        let early = slots.take_due(now).expect("due");
        assert_eq!((&*early.reference, slots.take_due(now)), (A, None));
        slots.manager_removed("vault/1", now);
        let gone = Answer::Failed(LookupError::NoConf(A.into()));
        assert_eq!(slots.get(A, now, || Answer::Pending).0, gone);
        assert_eq!(slots.take_changed(), [used[0].reference().clone()]);
        slots.answered(&early, Ok(json!("late")), now);
        assert_eq!(slots.get(A, now, || Answer::Pending).0, gone);

        slots.manager_changed("vault/1", now);
        let due = slots.take_due(now).expect("due");
        slots.answered(&due, Ok(json!("new")), now);
        let found = slots.get(A, now, || Answer::Pending).0;
        assert_eq!(found, Answer::Found(json!("new")));
    }

    #[test]
    fn what_nothing_uses_is_kept_for_a_while_and_up_to_a_number() {
        let now = Instant::now();
        let mut slots = slots(2, 1);
        let name = |number: usize| format!("$secret://vault/1/{number}/key");
        let held = slots.get(&name(0), now, || Answer::Pending).1;
        for number in 1..6 {
            slots.get(&name(number), now + SECOND, || Answer::Found(json!(number)));
        }
        for number in 6..12 {
            slots.get(&name(number), now, || Answer::Failed(failure()));
        }
        let kept = |slots: &mut Slots, number: usize| {
            let mut is_new = false;
            slots.get(&name(number), now, || {
                is_new = true;
                Answer::Failed(failure())
            });
            !is_new
        };
        assert!(
            slots.known.len() <= 2 * (1 + 2 + 1),
            "{}",
            slots.known.len()
        );
        assert!(kept(&mut slots, 0) && !kept(&mut slots, 1) && kept(&mut slots, 11));

        drop(held);
        assert_eq!(slots.take_due(now), None, "nothing uses it");
        assert!(!slots.is_pending() && !kept(&mut slots, 0));
    }
}
