//! What may wait, over all processors of one plugin.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::time::Instant;

use crate::limits;

/// How much of one plugin may wait, in all its processors and on the whole node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries that are not yet sent or given up. 8192, the reference's `max_pending_entries`.
    pub entries: usize,
    /// Their bytes, as those who push say. 256 MiB.
    pub bytes: usize,
}

impl Bounds {
    /// The reference's `max_pending_entries`, which is by worker, for so many of them.
    pub fn by_worker(max_pending_entries: usize, workers: usize) -> Self {
        Self {
            entries: max_pending_entries.saturating_mul(workers.max(1)),
            ..Self::default()
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entries: limits::PENDING_ENTRIES,
            bytes: limits::PENDING_BYTES,
        }
    }
}

/// Entries of one plugin that were accepted and neither sent nor given up.
#[derive(Debug)]
pub(crate) struct Backlog {
    plugin: &'static str,
    max_entries: AtomicUsize,
    max_bytes: AtomicUsize,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    accepted: AtomicU64,
    /// Since the line before.
    discarded: AtomicU64,
    began: Instant,
    /// When the last line was written, in milliseconds after `began`, and one interval; 0 before the first.
    last_line_ms: AtomicU64,
}

/// Which bound an entry would have exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Entries,
    Bytes,
}

impl Backlog {
    pub(crate) fn new(plugin: &'static str) -> Self {
        let Bounds { entries, bytes } = Bounds::default();
        Self {
            plugin,
            max_entries: entries.into(),
            max_bytes: bytes.into(),
            entries: 0.into(),
            bytes: 0.into(),
            accepted: 0.into(),
            discarded: 0.into(),
            began: Instant::now(),
            last_line_ms: 0.into(),
        }
    }

    /// Writes only what differs: it may be called for each entry, by every worker.
    pub(crate) fn bound(&self, bounds: Bounds) {
        for (bound, wanted) in [
            (&self.max_entries, bounds.entries),
            (&self.max_bytes, bounds.bytes),
        ] {
            if bound.load(Relaxed) != wanted {
                bound.store(wanted, Relaxed);
            }
        }
    }

    /// Makes room for an entry. The bounds are exact: no number of threads gets beyond them.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), Full> {
        let max = self.max_entries.load(Relaxed);
        self.entries
            .fetch_update(Relaxed, Relaxed, |count| (count < max).then_some(count + 1))
            .map_err(|_count| Full::Entries)?;
        let max = self.max_bytes.load(Relaxed);
        self.bytes
            .fetch_update(Relaxed, Relaxed, |total| {
                total.checked_add(bytes).filter(|sum| *sum <= max)
            })
            .map_err(|_total| {
                self.entries.fetch_sub(1, Relaxed);
                Full::Bytes
            })?;
        self.accepted.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Gives back the room of entries that were sent or given up.
    pub(crate) fn release(&self, entries: usize, bytes: usize) {
        self.entries.fetch_sub(entries, Relaxed);
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    /// Counts an entry for which there was no room, and says so once in a while, as the reference does.
    pub(crate) fn discard(&self, full: Full) {
        self.discarded.fetch_add(1, Relaxed);
        let interval = limits::DISCARD_INTERVAL.as_millis() as u64;
        let now = self.began.elapsed().as_millis() as u64 + interval;
        let last = self.last_line_ms.load(Relaxed);
        let is_due = now.saturating_sub(last) >= interval;
        // Of several threads one writes.
        if !is_due
            || self
                .last_line_ms
                .compare_exchange(last, now, Relaxed, Relaxed)
                .is_err()
        {
            return;
        }
        let discarded_entries = self.discarded.swap(0, Relaxed);
        let pending = self.entries.load(Relaxed) as u64;
        let total_pushed_entries = self.accepted.load(Relaxed);
        let total_processed_entries = total_pushed_entries.saturating_sub(pending);
        let plugin = self.plugin;
        match full {
            Full::Entries => tracing::error!(
                plugin,
                total_pushed_entries,
                total_processed_entries,
                max_pending_entries = self.max_entries.load(Relaxed),
                discarded_entries,
                "max pending entries limit exceeded. discarding entry"
            ),
            Full::Bytes => tracing::error!(
                plugin,
                total_pushed_entries,
                total_processed_entries,
                max_pending_bytes = self.max_bytes.load(Relaxed),
                discarded_entries,
                "max pending bytes limit exceeded. discarding entry"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn has_room_up_to_its_bounds() {
        let backlog = Backlog::new("x");
        backlog.bound(Bounds {
            entries: 2,
            bytes: 10,
        });
        assert_eq!(backlog.reserve(11), Err(Full::Bytes));
        assert_eq!(backlog.reserve(usize::MAX), Err(Full::Bytes));
        assert_eq!(backlog.reserve(10), Ok(()));
        assert_eq!(backlog.reserve(1), Err(Full::Bytes));
        assert_eq!(backlog.reserve(0), Ok(()));
        assert_eq!(backlog.reserve(0), Err(Full::Entries));
        backlog.release(1, 10);
        assert_eq!(backlog.reserve(10), Ok(()));
        backlog.bound(Bounds {
            entries: 3,
            bytes: 11,
        });
        assert_eq!(backlog.reserve(1), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn tells_of_what_it_discards_once_a_second() {
        let backlog = Backlog::new("x");
        let left = |times: u64| {
            (0..times).for_each(|_| backlog.discard(Full::Entries));
            backlog.discarded.load(Relaxed)
        };
        // The first is told at once, the others wait for the next line.
        assert_eq!(left(99), 98);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(left(1), 99);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(left(1), 0);
        assert_eq!(left(1), 1);
    }
}
