//! Connections to upstreams that a worker keeps for the next request.
//!
//! Last in, first out: the socket used last is warm, and those that are not needed age and go. Whether a kept connection is
//! still open is known without a system call from what the runtime has seen; what it has not seen yet shows when the
//! connection is used, and the caller tries once more with a new one.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use lockgate_net::stream::Stream;

use crate::limits;

/// A connection to an upstream.
#[derive(Debug)]
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    /// Requests it has carried, the present one included.
    pub requests: u64,
}

/// How long and how many connections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Idle connections per pool key.
    pub size: usize,
    /// Microseconds an idle connection is kept.
    pub idle_us: u64,
    /// Requests after which a connection is closed.
    pub requests: u64,
}

/// The idle connections of one worker.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>, foldhash::fast::FixedState>>,
    count: Cell<usize>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    /// Clock reading after which it is closed.
    until: u64,
}

impl Pool {
    /// Takes the connection of `key` used last that is still open at clock reading `now`.
    #[inline]
    pub fn take(&self, key: u64, now: u64) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.get_mut(&key)?;
        while let Some(Idle {
            mut connection,
            until,
        }) = kept.pop()
        {
            self.count.set(self.count.get() - 1);
            if until > now && connection.stream.is_quiet() {
                connection.requests += 1;
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection on which the last exchange ended cleanly.
    #[inline]
    pub fn keep(&self, key: u64, connection: Connection, keep: Keep, now: u64) {
        // Whether it is still quiet shows when it is taken, or in the next sweep.
        if connection.requests >= keep.requests || keep.size == 0 {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let kept = idle.entry(key).or_default();
        if kept.len() >= keep.size {
            kept.remove(0);
        } else if self.count.get() < limits::IDLE_CONNECTIONS {
            self.count.set(self.count.get() + 1);
        } else {
            return;
        }
        kept.push(Idle {
            connection,
            until: now.saturating_add(keep.idle_us),
        });
    }

    /// Closes what is too old or was closed by the other side.
    pub fn sweep(&self, now: u64) {
        let mut count = 0;
        self.idle.borrow_mut().retain(|_, kept| {
            kept.retain(|idle| idle.until > now && idle.connection.stream.is_quiet());
            count += kept.len();
            !kept.is_empty()
        });
        self.count.set(count);
    }

    /// Idle connections in all.
    pub fn len(&self) -> usize {
        self.count.get()
    }

    /// Whether no connection is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    const KEEP: Keep = Keep {
        size: 2,
        idle_us: 100,
        requests: 3,
    };

    async fn connected(listener: &TcpListener) -> (Connection, tokio::net::TcpStream) {
        let address = listener.local_addr().expect("bound");
        let (near, far) = tokio::join!(Stream::connect(address), listener.accept());
        let (near, far) = (near.expect("connected"), far.expect("accepted").0);
        // What the socket has to say is known once the runtime has looked at it.
        near.writable().await.expect("open");
        (
            Connection {
                stream: near.into(),
                requests: 1,
            },
            far,
        )
    }

    #[tokio::test]
    async fn hands_out_the_newest_and_keeps_limits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let pool = Pool::default();
        let mut far = Vec::new();
        for requests in 1..=3 {
            let (mut connection, other) = connected(&listener).await;
            connection.requests = requests;
            pool.keep(1, connection, KEEP, 0);
            far.push(other);
        }
        assert_eq!(pool.len(), 2, "the third has carried its last request");
        assert!(pool.take(2, 0).is_none());
        assert_eq!(pool.take(1, 0).expect("kept").requests, 3);
        assert!(pool.take(1, 100).is_none(), "too old");
        assert!(pool.is_empty());
    }

    #[tokio::test]
    async fn keeps_no_more_in_all_than_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let pool = Pool::default();
        pool.count.set(limits::IDLE_CONNECTIONS);
        let (connection, _far) = connected(&listener).await;
        pool.keep(1, connection, KEEP, 0);
        assert!(pool.take(1, 0).is_none());
        pool.sweep(0);
        let (connection, _far) = connected(&listener).await;
        pool.keep(1, connection, KEEP, 0);
        assert!(pool.take(1, 0).is_some() && pool.is_empty());
    }

    #[tokio::test]
    async fn drops_what_the_other_side_ended_or_spoke_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let pool = Pool::default();
        let (first, far) = connected(&listener).await;
        let (second, mut chatty) = connected(&listener).await;
        let (third, _open) = connected(&listener).await;
        pool.keep(1, first, KEEP, 0);
        pool.keep(2, second, KEEP, 0);
        pool.keep(3, third, KEEP, 0);
        drop(far);
        chatty.write_all(b"x").await.expect("open");
        for _ in 0..1000 {
            pool.sweep(1);
            if pool.len() == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(pool.take(3, 1).is_some() && pool.is_empty());
    }
}
