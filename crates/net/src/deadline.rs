//! Deadlines of a worker's connections, without a timer per wait.
//!
//! A wait sets a number; one task per worker sleeps until the earliest number that it knows of, wakes those that are due and
//! looks for the next. Moving a deadline later, which happens several times per request, costs a store. (A timer of the
//! runtime around each of four waits measured 0.6 µs of 2.5 µs user time per request.)

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::Notify;

use crate::clock::Clock;

/// Never due.
const NEVER: u64 = u64::MAX;

/// Least time between two sweeps, in microseconds: deadlines are late by this much at most.
const SWEEP_GAP_US: u64 = 5_000;

/// The deadlines of one worker.
#[derive(Debug, Clone)]
pub struct Deadlines {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Rc<Clock>,
    slots: RefCell<Vec<Rc<Slot>>>,
    /// When the sweeper wakes.
    next: Cell<u64>,
    earlier: Notify,
}

#[derive(Debug)]
struct Slot {
    at: Cell<u64>,
    is_due: Cell<bool>,
    is_idle: Cell<bool>,
    place: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

/// One deadline, owned by a task that waits for one thing at a time.
#[derive(Debug)]
pub struct Deadline {
    shared: Rc<Shared>,
    slot: Rc<Slot>,
}

impl Deadlines {
    /// No deadlines yet; [`Self::sweep`] must run for them to have an effect.
    pub fn new(clock: Rc<Clock>) -> Self {
        let shared = Shared {
            clock,
            slots: RefCell::default(),
            next: Cell::new(NEVER),
            earlier: Notify::new(),
        };
        Self {
            shared: Rc::new(shared),
        }
    }

    /// A new deadline, never due until it is set.
    pub fn add(&self) -> Deadline {
        let mut slots = self.shared.slots.borrow_mut();
        let slot = Rc::new(Slot {
            at: Cell::new(NEVER),
            is_due: Cell::new(false),
            is_idle: Cell::new(false),
            place: Cell::new(slots.len()),
            waker: RefCell::new(None),
        });
        slots.push(slot.clone());
        Deadline {
            shared: self.shared.clone(),
            slot,
        }
    }

    /// Makes due what waits for nothing in particular, as told by [`Deadline::set_idle`].
    pub fn expire_idle(&self) {
        for slot in self
            .shared
            .slots
            .borrow()
            .iter()
            .filter(|slot| slot.is_idle.get())
        {
            slot.expire();
        }
    }

    /// Wakes what is due, for ever. Ends only by being dropped.
    pub async fn sweep(self) {
        loop {
            let now = self.shared.clock.tick();
            let next = self.fire(now);
            self.shared.next.set(next);
            if next == NEVER {
                self.shared.earlier.notified().await;
                continue;
            }
            let pause = Duration::from_micros(next.saturating_sub(now).max(SWEEP_GAP_US));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.earlier.notified() => {}
            }
        }
    }

    /// Marks and wakes what is due at `now`; returns the earliest deadline that is left.
    fn fire(&self, now: u64) -> u64 {
        let mut next = NEVER;
        for slot in self.shared.slots.borrow().iter() {
            let at = slot.at.get();
            if at <= now {
                slot.expire();
            } else {
                next = next.min(at);
            }
        }
        next
    }
}

impl Slot {
    fn expire(&self) {
        self.at.set(NEVER);
        self.is_due.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Deadline {
    /// Due so long after this moment; replaces what was set before.
    ///
    /// Reads the clock: whoever sets a deadline is about to wait, and the last reading may be as old as the wait before.
    #[inline]
    pub fn set(&self, after: Duration) {
        let after = u64::try_from(after.as_micros()).unwrap_or(NEVER);
        let at = self.shared.clock.coarse().saturating_add(after);
        self.slot.is_due.set(false);
        self.slot.at.set(at);
        if at < self.shared.next.get() {
            self.shared.next.set(at);
            self.shared.earlier.notify_one();
        }
    }

    /// Time until it is due; zero when it is.
    pub fn left(&self) -> Duration {
        let at = if self.slot.is_due.get() {
            0
        } else {
            self.slot.at.get()
        };
        Duration::from_micros(at.saturating_sub(self.shared.clock.coarse()))
    }

    /// Says whether the wait is one that [`Deadlines::expire_idle`] may end.
    #[inline]
    pub fn set_idle(&self, is_idle: bool) {
        self.slot.is_idle.set(is_idle);
    }

    /// Never due until it is set again.
    #[inline]
    pub fn clear(&self) {
        self.slot.at.set(NEVER);
        self.slot.is_due.set(false);
    }

    /// Ready when due; else the task is woken then.
    #[inline]
    pub fn poll_due(&self, context: &Context<'_>) -> Poll<()> {
        if self.slot.is_due.get() {
            return Poll::Ready(());
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Polls `ready` until it is ready or the deadline is due: `None` then.
    #[inline]
    pub async fn guard<T>(&self, mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        poll_fn(|context| match ready(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => self.poll_due(context).map(|()| None),
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut slots = self.shared.slots.borrow_mut();
        let place = self.slot.place.get();
        slots.swap_remove(place);
        if let Some(moved) = slots.get(place) {
            moved.place.set(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_worker<F: Future>(test: impl FnOnce(Deadlines) -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let deadlines = Deadlines::new(Rc::new(Clock::new()));
            tokio::task::spawn_local(deadlines.clone().sweep());
            tokio::task::yield_now().await;
            test(deadlines).await
        })
    }

    #[test]
    fn wakes_the_earliest_first() {
        on_worker(|deadlines| async move {
            let (late, soon) = (deadlines.add(), deadlines.add());
            late.set(Duration::from_hours(1));
            soon.set(Duration::from_millis(1));
            assert_eq!(soon.guard(|_| Poll::<()>::Pending).await, None);
            let polled = poll_fn(|context| Poll::Ready(late.poll_due(context))).await;
            assert!(polled.is_pending());
        });
    }

    #[test]
    fn a_ready_value_wins_over_a_due_deadline() {
        on_worker(|deadlines| async move {
            let deadline = deadlines.add();
            deadline.set(Duration::ZERO);
            assert_eq!(deadline.guard(|_| Poll::Ready(7)).await, Some(7));
        });
    }

    #[test]
    fn forgets_a_dropped_deadline() {
        on_worker(|deadlines| async move {
            let (first, second) = (deadlines.add(), deadlines.add());
            drop(first);
            second.set(Duration::from_millis(1));
            assert_eq!(second.guard(|_| Poll::<()>::Pending).await, None);
            drop(second);
            assert!(deadlines.shared.slots.borrow().is_empty());
        });
    }
}
