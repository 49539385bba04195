//! Bodies of answers.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::{
    connect::Connection,
    error::{Attempted, ClientError, Failure, chain},
    limits,
    pool::Pool,
    server::Server,
};

/// The body of an answer, as it comes. Its connection is used again once it was read to its end, and closed otherwise.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    connection: Option<(Connection, Server)>,
    pool: Arc<Pool>,
    attempted: Attempted,
    /// Longest for each piece where the whole body is read.
    silence: Duration,
}

impl Body {
    pub(crate) fn new(
        incoming: Incoming,
        connection: Connection,
        pool: Arc<Pool>,
        server: Server,
        attempted: Attempted,
        silence: Duration,
    ) -> Self {
        Self {
            incoming,
            connection: Some((connection, server)),
            pool,
            attempted,
            silence,
        }
    }

    /// The next piece, or `None` at the end. Waits for at most `silence`.
    ///
    /// # Errors
    /// [`Failure::BodyTime`] or [`Failure::Broken`].
    pub async fn chunk(&mut self, silence: Duration) -> Result<Option<Bytes>, ClientError> {
        self.chunk_until(Instant::now() + silence).await
    }

    /// Reads what is left.
    ///
    /// # Errors
    /// Those of [`Self::chunk`], and [`Failure::BodySize`] when there is more than `max_bytes`.
    pub async fn rest(&mut self, max_bytes: usize, limit: Duration) -> Result<Bytes, ClientError> {
        self.read_whole(max_bytes, Instant::now() + limit).await
    }

    /// The first `max_bytes` of what is left, or fewer where it ends, breaks off or takes longer than `limit`: what a server has
    /// to say, for a log line. Lets the connection be used again where that was all.
    pub async fn excerpt(&mut self, max_bytes: usize, limit: Duration) -> Bytes {
        let deadline = Instant::now() + limit.min(limits::LONGEST);
        let mut first = BytesMut::new();
        while first.len() < max_bytes
            && let Ok(Some(piece)) = self.piece(deadline).await
        {
            first.extend_from_slice(&piece);
        }
        first.truncate(max_bytes);
        first.freeze()
    }

    pub(crate) async fn read_whole(
        &mut self,
        max_bytes: usize,
        deadline: Instant,
    ) -> Result<Bytes, ClientError> {
        let too_large = |attempted: &Attempted| attempted.failed(Failure::BodySize(max_bytes));
        let announced = hyper::body::Body::size_hint(&self.incoming).lower();
        if announced > max_bytes as u64 {
            return Err(too_large(&self.attempted));
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece(deadline).await? {
            if whole.len() + piece.len() > max_bytes {
                return Err(too_large(&self.attempted));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    async fn piece(&mut self, deadline: Instant) -> Result<Option<Bytes>, ClientError> {
        let silent = Instant::now() + self.silence;
        self.chunk_until(deadline.min(silent)).await
    }

    async fn chunk_until(&mut self, deadline: Instant) -> Result<Option<Bytes>, ClientError> {
        loop {
            match timeout_at(deadline, self.incoming.frame()).await {
                Err(_elapsed) => return Err(self.attempted.failed(Failure::BodyTime)),
                Ok(Some(Err(error))) => {
                    return Err(self.attempted.failed(Failure::Broken(chain(&error))));
                }
                Ok(Some(Ok(frame))) => {
                    // Trailers are of no use here.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(None) => {
                    if let Some((connection, server)) = self.connection.take() {
                        self.pool.put(server, connection);
                    }
                    return Ok(None);
                }
            }
        }
    }
}
