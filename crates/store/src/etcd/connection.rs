//! One HTTP/2 connection to one member, and gRPC calls on it.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::{Uri, uri::PathAndQuery};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client::Grpc,
    metadata::{AsciiMetadataValue, MetadataValue},
};
use tonic_prost::ProstCodec;
use tower_service::Service;

use super::{failure::chain, limits, options::Endpoint, tls_failure};

/// What a user shows with each call.
pub(super) type Token = AsciiMetadataValue;

/// A connection; clones share it, and it is closed with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    sender: SendRequest<Body>,
    origin: Uri,
    driver: Arc<Driver>,
}

/// The task that moves the bytes.
#[derive(Debug)]
struct Driver {
    task: AbortHandle,
    is_retired: AtomicBool,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Connects. The caller sets the time limit.
    ///
    /// # Errors
    /// Why it failed, for people.
    pub(super) async fn open(
        endpoint: &Endpoint,
        tls: Option<&TlsConnector>,
    ) -> Result<Self, String> {
        let unreachable = |error: io::Error| chain(&error);
        let tcp = TcpStream::connect((&*endpoint.host, endpoint.port))
            .await
            .map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let origin = endpoint.origin.clone();
        match (tls, &endpoint.tls_name) {
            (Some(tls), Some(name)) => {
                let secured = tls
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(|error| tls_failure::of_handshake(&error))?;
                Self::shake_hands(secured, origin).await
            }
            _ => Self::shake_hands(tcp, origin).await,
        }
    }

    async fn shake_hands<T>(io: T, origin: Uri) -> Result<Self, String>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(limits::PING)
            .keep_alive_timeout(limits::PING_ANSWER)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| chain(&error))?;
        let task = tokio::spawn(async {
            // Calls on the connection hear of it.
            let _ended = driver.await;
        });
        Ok(Self {
            sender,
            origin,
            driver: Arc::new(Driver {
                task: task.abort_handle(),
                is_retired: AtomicBool::new(false),
            }),
        })
    }

    /// Whether a new call may be made on it.
    pub(super) fn is_usable(&self) -> bool {
        !self.sender.is_closed() && !self.driver.is_retired.load(Ordering::Relaxed)
    }

    /// Keeps new calls off it; the ones under way go on.
    pub(super) fn retire(&self) {
        self.driver.is_retired.store(true, Ordering::Relaxed);
    }

    /// One question, one answer.
    pub(super) async fn unary<Q, A>(
        &self,
        method: &'static str,
        question: Q,
        token: Option<&Token>,
    ) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let request = signed(question, token);
        let path = PathAndQuery::from_static(method);
        self.grpc()
            .unary(request, path, ProstCodec::<Q, A>::default())
            .await
            .map(Response::into_inner)
    }

    /// Questions and answers at any time. etcd ends it when the member has no leader.
    pub(super) async fn streaming<Q, A>(
        &self,
        method: &'static str,
        questions: ReceiverStream<Q>,
        token: Option<&Token>,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut request = signed(questions, token);
        request
            .metadata_mut()
            .insert("hasleader", MetadataValue::from_static("true"));
        let path = PathAndQuery::from_static(method);
        self.grpc()
            .streaming(request, path, ProstCodec::<Q, A>::default())
            .await
            .map(Response::into_inner)
    }

    fn grpc(&self) -> Grpc<Sender> {
        Grpc::with_origin(Sender(self.sender.clone()), self.origin.clone())
            .max_decoding_message_size(limits::MESSAGE_BYTES)
    }
}

fn signed<T>(message: T, token: Option<&Token>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("token", token.clone());
    }
    request
}

/// What tonic sends requests with.
struct Sender(SendRequest<Body>);

impl Service<http::Request<Body>> for Sender {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
