//! Connections: accepts them, bounds them, and turns their requests into calls of an API.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    limits::{ACCEPT_PAUSE, DRAIN_TIME, HEAD_TIME, WRITE_TIME},
    response::Answer,
    tls::{self, AdminTls, Begun, Refusal},
    write_deadline::WriteDeadline,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What answers requests.
pub(crate) trait Api: Send + Sync + 'static {
    /// What answers have for a body; answers made here have a text that is whole.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + From<Full<Bytes>> + Send + 'static;

    /// Answers one request.
    fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Value of the `Server` field, for answers made here.
    fn server(&self) -> &HeaderValue;
}

/// Serves connections, some at a time, until `stop` resolves, then lets the requests begun by then end.
///
/// # Errors
/// The listener cannot be used.
pub(crate) async fn serve<A: Api>(
    api: Arc<A>,
    listener: TcpListener,
    tls: Option<AdminTls>,
    connections_max: usize,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    listener.local_addr()?;
    let mut stop = pin!(stop);
    let tls = tls.map(Arc::new);
    let places = Arc::new(Semaphore::new(connections_max));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // Invariant: the semaphore is never closed.
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut stop => break,
            Some(_ended) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let served = Served {
                    api: api.clone(),
                    peer,
                    refusal: None,
                    stopped: stopped.clone(),
                };
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        Some(tls) => served.begin_tls(&tls, stream).await,
                        None => served.begin(stream).await,
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let drained = timeout(DRAIN_TIME, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

/// One connection and what its requests meet.
struct Served<A> {
    api: Arc<A>,
    peer: SocketAddr,
    /// Why every request on it is refused.
    refusal: Option<Refusal>,
    stopped: watch::Receiver<bool>,
}

impl<A: Api> Served<A> {
    async fn begin(self, stream: TcpStream) {
        set_nodelay(&stream);
        self.serve(stream).await;
    }

    /// Shakes hands first. A client that speaks plain HTTP is told so.
    async fn begin_tls(mut self, tls: &AdminTls, stream: TcpStream) {
        set_nodelay(&stream);
        let begun = tokio::select! {
            begun = timeout(HEAD_TIME, tls.begin(stream)) => begun,
            // No request was begun.
            _stopped = self.stopped.wait_for(|is_stopped| *is_stopped) => return,
        };
        match begun {
            Ok(Ok(Begun::Tls(stream, refusal))) => {
                self.refusal = refusal;
                self.serve(stream).await;
            }
            Ok(Ok(Begun::Plain(stream))) => {
                self.refusal = Some(tls::PLAIN);
                self.serve(stream).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, peer = %self.peer, "a TLS handshake failed");
            }
            Err(_elapsed) => tracing::debug!(peer = %self.peer, "a TLS handshake took too long"),
        }
    }

    async fn serve(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let stream = TokioIo::new(WriteDeadline::new(stream, WRITE_TIME));
        let (api, peer, refusal) = (&*self.api, self.peer, self.refusal);
        let service = service_fn(|request| async move {
            Ok::<_, Infallible>(match refusal {
                None => respond(api, request, peer).await,
                Some(Refusal(words)) => Answer::bad_request_page(words)
                    .closing()
                    .into_response(api.server(), "text/html")
                    .map(A::Body::from),
            })
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(stream, service)
        );
        let stopped = &mut self.stopped;
        let stop = async { drop(stopped.wait_for(|is_stopped| *is_stopped).await) };
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = stop => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, %peer, "a connection ended early");
        }
    }
}

fn set_nodelay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off Nagle's algorithm");
    }
}

/// Answers one request; a panic costs that request and nothing else.
async fn respond<A: Api>(
    api: &A,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<A::Body> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let answer = CatchPanic(Box::pin(api.respond(request, peer)));
    answer.await.unwrap_or_else(|Panicked| {
        tracing::error!(%method, path, "a request made the API panic");
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            .closing()
            .into_response(api.server(), "application/json")
            .map(A::Body::from)
    })
}

struct CatchPanic<F>(Pin<Box<F>>);

struct Panicked;

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Unwind safety: the future is not polled again, and shares with others only what is behind locks.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_panic) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Empty(HeaderValue);

    impl Api for Empty {
        type Body = Full<Bytes>;

        async fn respond(
            &self,
            _request: Request<Incoming>,
            _peer: SocketAddr,
        ) -> Response<Full<Bytes>> {
            Answer::empty(StatusCode::OK).into_response(&self.0, "text/plain")
        }

        fn server(&self) -> &HeaderValue {
            &self.0
        }
    }

    async fn answered(stream: &mut TcpStream) -> bool {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut bytes = [0; 15];
        let read = stream.read_exact(&mut bytes);
        let read = timeout(Duration::from_secs(1), read).await;
        read.is_ok() && bytes == *b"HTTP/1.1 200 OK"
    }

    #[tokio::test]
    async fn serves_so_many_connections_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Arc::new(Empty(HeaderValue::from_static("a")));
        tokio::spawn(serve(api, listener, None, 2, std::future::pending()));
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        assert!(answered(&mut first).await);
        assert!(answered(&mut second).await);
        tokio::time::pause();
        assert!(!answered(&mut third).await, "there is no place for it");
        tokio::time::resume();
        drop(first);
        assert!(answered(&mut third).await, "it has the place of the first");
    }
}
