//! A lane: one connection to one server, used by one runtime, from the attempt to open it to its end.
//!
//! Its task opens the connection, moves its bytes and closes it when it was not used for long. Calls go through
//! [`Use`]s, which are what keeps it from being closed. A lane that has ended is never used again.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{Cmd, Pipeline, aio::MultiplexedConnection};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    connect::{Driver, Opened, of_library},
    error::Error,
    value::{self, Value},
};

/// Set in the count of uses when nobody may use the lane again.
const RETIRED: usize = 1 << (usize::BITS - 1);

/// One connection. Its task ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Lane {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    connection: OnceLock<MultiplexedConnection>,
    ended: OnceLock<Ended>,
    changed: watch::Sender<()>,
    uses: AtomicUsize,
    born: Instant,
    /// Milliseconds from `born` to the end of the last use.
    used_ms: AtomicU64,
}

/// How a lane ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// Why.
    pub(crate) error: Error,
    /// When.
    pub(crate) at: Instant,
}

impl Lane {
    /// Opens a connection on the runtime of the caller.
    pub(crate) fn open(
        opening: impl Future<Output = Result<Opened, Error>> + Send + 'static,
        keepalive: Duration,
    ) -> Self {
        let shared = Arc::new(Shared {
            connection: OnceLock::new(),
            ended: OnceLock::new(),
            changed: watch::Sender::new(()),
            uses: AtomicUsize::new(0),
            born: Instant::now(),
            used_ms: AtomicU64::new(0),
        });
        let last = Last(shared.clone());
        let task = tokio::spawn(async move {
            let shared = &last.0;
            // What opens it holds the client: it is gone before the connection is used.
            let opened = opening.await;
            let ended = match opened {
                Err(error) => error,
                Ok(opened) => {
                    // Set once, here.
                    let _ = shared.connection.set(opened.connection);
                    shared.changed.send_replace(());
                    shared.drive(opened.driver, keepalive).await;
                    Error::CLOSED
                }
            };
            shared.end(ended);
        });
        Self {
            shared,
            task: task.abort_handle(),
        }
    }

    /// Whether a connection was made.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.connection.get().is_some()
    }

    /// How it ended, where it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        if let Some(ended) = self.shared.ended.get() {
            return Some(ended.clone());
        }
        // The runtime has gone before the task could say so.
        self.task.is_finished().then(|| self.shared.closed())
    }

    /// A use; `None` where the lane has just been retired.
    pub(crate) fn acquire(self: &Arc<Self>) -> Option<Use> {
        self.shared
            .uses
            .try_update(Relaxed, Relaxed, |uses| {
                (uses & RETIRED == 0).then_some(uses + 1)
            })
            .ok()?;
        Some(Use { lane: self.clone() })
    }

    /// Ends it, for a reason that all who wait on it are given.
    fn end(&self, error: Error) {
        self.shared.end(error);
        self.task.abort();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells those who wait that the task has gone, however it went.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.end(Error::CLOSED);
    }
}

impl Shared {
    fn end(&self, error: Error) {
        // The first reason counts.
        let _ = self.ended.set(Ended {
            error,
            at: Instant::now(),
        });
        self.changed.send_replace(());
    }

    fn closed(&self) -> Ended {
        Ended {
            error: Error::CLOSED,
            at: self.born,
        }
    }

    /// Moves bytes until the connection ends or was not used for `keepalive`.
    async fn drive(&self, mut driver: Driver, keepalive: Duration) {
        let mut wake = Instant::now() + keepalive;
        loop {
            tokio::select! {
                biased;
                () = &mut driver => return,
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            let idle_until =
                self.born + Duration::from_millis(self.used_ms.load(Relaxed)) + keepalive;
            if now < idle_until {
                wake = idle_until;
                continue;
            }
            let retiring = self.uses.compare_exchange(0, RETIRED, Relaxed, Relaxed);
            if retiring.is_ok() {
                return;
            }
            wake = now + keepalive;
        }
    }

    /// The connection, once it is there. The task that opens it does so within a timeout, and says when it ends.
    async fn ready(&self) -> Result<&MultiplexedConnection, Error> {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(ended) = self.ended.get() {
                return Err(ended.error.clone());
            }
            if let Some(connection) = self.connection.get() {
                return Ok(connection);
            }
            changed.changed().await.map_err(|_gone| Error::CLOSED)?;
        }
    }
}

/// A call that a lane did not carry out.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The connection had ended before the command was handed to it.
    Unsent,
    /// As the caller should see it.
    Failed(Error),
}

/// Keeps a lane from being retired.
#[derive(Debug)]
pub(crate) struct Use {
    lane: Arc<Lane>,
}

impl Use {
    /// Lets nobody use the lane again, for a reason. What is under way goes on.
    pub(crate) fn retire(&self, error: Error) {
        self.lane.shared.end(error);
    }

    /// Sends a command and waits for its answer, `limit` at most once the connection is there. `asking` is for a slot that is
    /// on its way to this server.
    pub(crate) async fn call(
        &self,
        command: &Cmd,
        asking: bool,
        limit: Duration,
    ) -> Result<Value, CallError> {
        let shared = &self.lane.shared;
        let was_open = self.lane.is_open();
        let ready = match shared.connection.get() {
            Some(connection) => connection,
            None => shared.ready().await.map_err(CallError::Failed)?,
        };
        // The task may have found the connection closed since the lane was picked.
        if self.lane.ended().is_some() {
            return Err(if was_open {
                CallError::Unsent
            } else {
                CallError::Failed(self.cause(Error::CLOSED))
            });
        }
        let mut connection = ready.clone();
        let sending = async {
            if !asking {
                return connection.send_packed_command(command).await;
            }
            let mut both = Pipeline::with_capacity(2);
            both.cmd("ASKING").add_command(command.clone());
            let answers = connection.send_packed_commands(&both, 1, 1).await?;
            Ok(answers.into_iter().next().unwrap_or(redis::Value::Nil))
        };
        match timeout(limit, sending).await {
            Ok(Ok(value)) => value::read(value).map_err(CallError::Failed),
            Ok(Err(error)) => Err(CallError::Failed(self.cause(of_library(&error)))),
            // Answers come in order: what was sent after this would wait as long.
            Err(_elapsed) => {
                self.lane.end(Error::Timeout);
                Err(CallError::Failed(Error::Timeout))
            }
        }
    }

    /// Why the lane ended, where that is why the call failed.
    fn cause(&self, error: Error) -> Error {
        match (&error, self.lane.shared.ended.get()) {
            (Error::Broken(_), Some(ended)) if ended.error == Error::Timeout => Error::Timeout,
            _ => error,
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let shared = &self.lane.shared;
        let used_ms = shared.born.elapsed().as_millis() as u64;
        shared.used_ms.store(used_ms, Relaxed);
        shared.uses.fetch_sub(1, Relaxed);
    }
}
