//! Idle connections.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{self, Handle},
    time::Instant,
};

use crate::{connect::Connection, limits, server::Server};

/// Connections that wait for their next request, by the runtime that moves their bytes and by server: one of another runtime
/// would end with that. What is too old or was closed goes when the pool is next used.
#[derive(Debug)]
pub(crate) struct Pool {
    per_server: usize,
    idle_timeout: Duration,
    idle: Mutex<Kept>,
}

type Kept = HashMap<(runtime::Id, Server), Vec<Idle>>;

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(per_server: usize, idle_timeout: Duration) -> Self {
        Self {
            per_server,
            idle_timeout,
            idle: Mutex::default(),
        }
    }

    /// One with the same bounds and no connection.
    pub(crate) fn empty(&self) -> Self {
        Self::new(self.per_server, self.idle_timeout)
    }

    /// The connection of this runtime to a server that was used last, if one is left.
    pub(crate) async fn take(&self, server: &Server) -> Option<Connection> {
        loop {
            let mut connection = self.pop(server)?;
            let ready = tokio::time::timeout(limits::READY, connection.ready());
            if ready.await.unwrap_or(false) {
                return Some(connection);
            }
        }
    }

    fn pop(&self, server: &Server) -> Option<Connection> {
        let mut idle = self.lock();
        self.sweep(&mut idle);
        let place = (Handle::current().id(), server.clone());
        idle.get_mut(&place)?.pop().map(|found| found.connection)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn put(&self, server: Server, connection: Connection) {
        let mut idle = self.lock();
        self.sweep(&mut idle);
        let total: usize = idle.values().map(Vec::len).sum();
        if total >= limits::IDLE || connection.is_closed() {
            return;
        }
        let kept = idle.entry((connection.runtime, server)).or_default();
        if kept.len() < self.per_server {
            let since = Instant::now();
            kept.push(Idle { connection, since });
        }
    }

    fn sweep(&self, idle: &mut Kept) {
        idle.retain(|_, kept| {
            kept.retain(|it| !it.connection.is_closed() && it.since.elapsed() < self.idle_timeout);
            !kept.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
