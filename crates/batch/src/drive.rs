//! The life of a batch: the task of a processor, and the attempts to send.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    buffer::{Batch, Stage},
    limits, lines,
    processor::Core,
    sender::Failed,
};

/// Takes batches out of the buffer when they are due and has each sent, until nothing is left.
pub(crate) async fn drive<E: Send + Sync + 'static>(core: Arc<Core<E>>) {
    let mut driving = Driving {
        core: &core,
        is_over: false,
    };
    let permits = Arc::new(Semaphore::new(limits::SENDS));
    let mut sends = JoinSet::new();
    loop {
        let taken = core.buffer().take(&core.settings, Instant::now());
        for batch in taken.batches {
            let outstanding = Outstanding {
                core: core.clone(),
                batch,
            };
            sends.spawn(deliver(outstanding, permits.clone()));
        }
        if taken.stage == Stage::Cancelled {
            sends.shutdown().await;
        }
        while let Some(outcome) = sends.try_join_next() {
            core.joined(outcome);
        }
        if sends.is_empty() && driving.ends() {
            return;
        }
        let is_filling = taken.due.is_some();
        let due = taken.due.unwrap_or_else(Instant::now);
        tokio::select! {
            () = core.wake.notified() => {}
            () = sleep_until(due), if is_filling => {}
            Some(outcome) = sends.join_next(), if !sends.is_empty() => core.joined(outcome),
        }
    }
}

impl<E> Core<E> {
    /// Tells of a sender that panicked; its entries count as given up.
    fn joined(&self, outcome: Result<(), JoinError>) {
        if outcome.is_err_and(|error| error.is_panic())
            && let Some(withheld) = self.lines.take(Instant::now())
        {
            let name = &self.settings.name;
            tracing::error!(
                withheld,
                "Batch Processor[{name}] panicked, dropping the entries"
            );
        }
    }
}

/// Says that a task is at work; takes it back also where the runtime ends before the task does.
struct Driving<'a, E> {
    core: &'a Core<E>,
    is_over: bool,
}

impl<E> Driving<'_, E> {
    /// Whether the task may end. A push after that starts another.
    fn ends(&mut self) -> bool {
        let mut buffer = self.core.buffer();
        if !buffer.is_empty() {
            return false;
        }
        buffer.is_driven = false;
        drop(buffer);
        self.is_over = true;
        self.core.ended.notify_waiters();
        true
    }
}

impl<E> Drop for Driving<'_, E> {
    fn drop(&mut self) {
        if !self.is_over {
            self.core.buffer().is_driven = false;
            self.core.ended.notify_waiters();
        }
    }
}

/// Entries that left the buffer. Those that are still here when it is dropped are given up.
struct Outstanding<E> {
    core: Arc<Core<E>>,
    batch: Batch<E>,
}

impl<E> Outstanding<E> {
    fn sent(&mut self, count: usize) {
        let (count, bytes) = self.batch.cut(count);
        self.core.backlog.release(count, bytes);
        self.core.counts.sent.fetch_add(count as u64, Relaxed);
    }
}

impl<E> Drop for Outstanding<E> {
    fn drop(&mut self) {
        let (count, bytes) = (self.batch.entries.len(), self.batch.bytes);
        if count > 0 {
            self.core.backlog.release(count, bytes);
            self.core.counts.failed.fetch_add(count as u64, Relaxed);
        }
    }
}

/// Sends a batch, again where that fails and the settings allow it.
async fn deliver<E: Send + Sync + 'static>(
    mut outstanding: Outstanding<E>,
    permits: Arc<Semaphore>,
) {
    let core = outstanding.core.clone();
    let name = &core.settings.name;
    let mut attempts = 0;
    loop {
        let outcome = {
            // Waiting for a retry takes no permit, so that a batch nobody wants does not hold up the others. Never closed.
            let _permit = permits.acquire().await;
            attempt(&core, &outstanding.batch.entries).await
        };
        let count = outstanding.batch.entries.len();
        let failed = match outcome {
            Ok(()) => {
                outstanding.sent(count);
                tracing::trace!("Batch Processor[{name}] successfully processed the entries");
                return;
            }
            Err(failed) => failed,
        };
        let withheld = core.lines.take(Instant::now());
        if let Some(withheld) = withheld {
            tracing::error!(withheld, "{}", lines::failed(name, count, &failed));
        }
        outstanding.sent(failed.sent.unwrap_or(0));
        if outstanding.batch.entries.is_empty() {
            return;
        }
        attempts += 1;
        if attempts > core.settings.max_retry_count {
            // With the line above or not at all.
            if withheld.is_some() {
                tracing::error!("{}", lines::gave_up(name, attempts));
            }
            return;
        }
        sleep(core.settings.retry_delay).await;
    }
}

async fn attempt<E: 'static>(core: &Core<E>, entries: &[E]) -> Result<(), Failed> {
    match timeout(limits::SEND, core.sender.send(entries)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Failed::whole(format!(
            "no end within {} s",
            limits::SEND.as_secs()
        ))),
    }
}
