//! The way to the writer: what waits for it, bounded by count and size.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redb::ReadTransaction;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::disk::Reason;
use crate::{Delete, Put, StoreError, Written, limits};

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Operation {
    Put(Put),
    Delete(Delete),
}

impl Operation {
    /// For errors.
    pub(super) fn action(&self) -> String {
        match self {
            Self::Put(put) => format!("writing {}", put.key),
            Self::Delete(delete) => format!("removing {}", delete.key),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Put(put) => put.value.len(),
            Self::Delete(_) => 0,
        }
    }
}

/// A write and who waits for it.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) operation: Operation,
    pub(super) answer: oneshot::Sender<Result<Written, StoreError>>,
    _room: OwnedSemaphorePermit,
}

/// Work on a picture of the disk; it runs on a thread of its own.
pub(super) type Reader = Box<dyn FnOnce(Result<ReadTransaction, Reason>) + Send>;

/// What the writer does next.
#[derive(Default)]
pub(super) struct Round {
    pub(super) writes: Vec<Write>,
    pub(super) readers: Vec<Reader>,
    /// Nothing comes after this.
    pub(super) is_last: bool,
}

#[derive(Default)]
struct Pending {
    writes: VecDeque<Write>,
    readers: Vec<Reader>,
    is_woken: bool,
    is_closed: bool,
}

/// Writes and readers that wait.
pub(super) struct Queue {
    pending: Mutex<Pending>,
    arrived: Condvar,
    room: Arc<Semaphore>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            pending: Mutex::default(),
            arrived: Condvar::new(),
            room: Arc::new(Semaphore::new(limits::QUEUE_KIB as usize)),
        }
    }

    /// Has a write done; waits while the queue is full. Once queued it happens, whether or not the caller still waits.
    pub(super) async fn write(&self, operation: Operation) -> Result<Written, StoreError> {
        let action = operation.action();
        let closed = || StoreError::Unavailable {
            action: action.clone(),
            reason: "the store is closed".to_owned(),
        };
        let kib = u32::try_from(operation.bytes() / 1024 + 1).unwrap_or(u32::MAX);
        let room = self
            .room
            .clone()
            .acquire_many_owned(kib.min(limits::QUEUE_KIB))
            .await
            .map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let write = Write {
            operation,
            answer,
            _room: room,
        };
        if !self.add(|pending| pending.writes.push_back(write)) {
            return Err(closed());
        }
        answered.await.map_err(|_| closed())?
    }

    /// Has a picture of the disk read. A reader that is never called was refused.
    pub(super) fn read(&self, reader: Reader) {
        self.add(|pending| pending.readers.push(reader));
    }

    /// Has the writer look at the clock.
    pub(super) fn wake(&self) {
        self.add(|pending| pending.is_woken = true);
    }

    /// Takes nothing more; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// Refuses what waits: the writer is gone.
    pub(super) fn abandon(&self) {
        let closed = Pending {
            is_closed: true,
            ..Pending::default()
        };
        let left = mem::replace(&mut *self.lock(), closed);
        // Not under the lock: it wakes those who wait.
        drop(left);
        self.room.close();
    }

    /// Everything there is to do, at once if there is anything, else when something arrives or the time is up. The writer
    /// calls this; concurrent writes are found here together after the previous round, which is how they share a transaction.
    pub(super) fn next(&self, timeout: Option<Duration>) -> Round {
        let mut pending = self.lock();
        let is_idle = pending.writes.is_empty()
            && pending.readers.is_empty()
            && !pending.is_woken
            && !pending.is_closed;
        if is_idle {
            // A spurious return makes an empty round, which does no harm.
            pending = match timeout {
                None => self
                    .arrived
                    .wait(pending)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(timeout) => {
                    let waited = self.arrived.wait_timeout(pending, timeout);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        pending.is_woken = false;
        let mut bytes = 0;
        let mut count = 0;
        for write in pending.writes.iter().take(limits::BATCH_WRITES) {
            bytes += write.operation.bytes();
            if count > 0 && bytes > limits::BATCH_BYTES {
                break;
            }
            count += 1;
        }
        Round {
            writes: pending.writes.drain(..count).collect(),
            readers: mem::take(&mut pending.readers),
            is_last: pending.is_closed && pending.writes.is_empty(),
        }
    }

    fn add(&self, what: impl FnOnce(&mut Pending)) -> bool {
        let mut pending = self.lock();
        if pending.is_closed {
            return false;
        }
        what(&mut pending);
        drop(pending);
        self.arrived.notify_one();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Queue").finish_non_exhaustive()
    }
}
