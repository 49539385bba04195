//! Entries on their way from the workers to the task that sends them. Nothing here waits or knows of threads.

use std::mem;

use tokio::time::Instant;

use crate::{limits, settings::Settings};

/// Entries that are sent together, and the bytes of each.
#[derive(Debug)]
pub(crate) struct Batch<E> {
    pub(crate) entries: Vec<E>,
    sizes: Vec<usize>,
    pub(crate) bytes: usize,
}

impl<E> Default for Batch<E> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            sizes: Vec::new(),
            bytes: 0,
        }
    }
}

impl<E> Batch<E> {
    fn push(&mut self, entry: E, bytes: usize) {
        self.entries.push(entry);
        self.sizes.push(bytes);
        self.bytes += bytes;
    }

    /// Takes the first `count` entries out; how many there were, and their bytes.
    pub(crate) fn cut(&mut self, count: usize) -> (usize, usize) {
        let count = count.min(self.entries.len());
        self.entries.drain(..count);
        let bytes = self.sizes.drain(..count).sum();
        self.bytes -= bytes;
        (count, bytes)
    }
}

/// What becomes of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Batches are filled.
    Filling,
    /// Nothing is accepted; what is there is sent without delay.
    Draining,
    /// Nothing is accepted, and what is there is given up.
    Cancelled,
}

/// The batch that is being filled, and those that are full.
#[derive(Debug)]
pub(crate) struct Buffer<E> {
    open: Batch<E>,
    full: Vec<Batch<E>>,
    /// When the first and the last entry of the open batch came; of no meaning while it is empty.
    first: Instant,
    last: Instant,
    pub(crate) stage: Stage,
    /// Whether a task looks after this.
    pub(crate) is_driven: bool,
}

/// What has to happen after a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: the task looks by itself in time.
    Nothing,
    /// The task has to look.
    Wake,
    /// There is no task.
    Start,
}

/// What the task takes.
#[derive(Debug)]
pub(crate) struct Taken<E> {
    pub(crate) batches: Vec<Batch<E>>,
    /// When to look again at the latest; `None` while nothing waits.
    pub(crate) due: Option<Instant>,
    pub(crate) stage: Stage,
}

impl<E> Buffer<E> {
    pub(crate) fn new(stage: Stage) -> Self {
        let now = Instant::now();
        Self {
            open: Batch::default(),
            full: Vec::new(),
            first: now,
            last: now,
            stage,
            is_driven: false,
        }
    }

    pub(crate) fn push(
        &mut self,
        entry: E,
        bytes: usize,
        now: Instant,
        batch_max_size: usize,
    ) -> Then {
        let is_first = self.open.entries.is_empty();
        if is_first {
            self.first = now;
        }
        self.last = now;
        self.open.push(entry, bytes);
        let is_full =
            self.open.entries.len() >= batch_max_size || self.open.bytes >= limits::BATCH_BYTES;
        if is_full {
            self.full.push(mem::take(&mut self.open));
        }
        if !mem::replace(&mut self.is_driven, true) {
            Then::Start
        } else if is_first || is_full {
            Then::Wake
        } else {
            Then::Nothing
        }
    }

    /// The batches that are to be sent.
    pub(crate) fn take(&mut self, settings: &Settings, now: Instant) -> Taken<E> {
        let mut batches = mem::take(&mut self.full);
        let mut due = None;
        if !self.open.entries.is_empty() {
            let silent = self.last + settings.inactive_timeout;
            let at = silent.min(self.first + settings.buffer_duration);
            if self.stage == Stage::Filling && at > now {
                due = Some(at);
            } else {
                batches.push(mem::take(&mut self.open));
            }
        }
        Taken {
            batches,
            due,
            stage: self.stage,
        }
    }

    /// Entries of the batch that is being filled.
    pub(crate) fn waiting(&self) -> usize {
        self.open.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.entries.is_empty() && self.full.is_empty()
    }
}
