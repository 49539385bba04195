//! Connections: name, TCP, TLS, and the task that moves the bytes.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use lockgate_net::{
    dns::Resolver,
    stream::Stream,
    tls::{self, TlsError},
};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{self, Handle},
    task::AbortHandle,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use crate::{
    Options,
    error::{Failure, chain},
    progress::{Noting, Progress, Silence},
    server::Server,
};

/// Opens connections.
#[derive(Debug)]
pub(crate) struct Connector {
    resolver: Resolver,
    tls: Arc<ClientConfig>,
    sni: Option<String>,
}

impl Connector {
    pub(crate) fn new(options: Options) -> Result<Self, TlsError> {
        Ok(Self {
            tls: tls::client_config(&options.tls)?,
            resolver: options.resolver,
            sni: options.sni,
        })
    }

    /// Tries each address of the server in turn, each with an equal share of the time that is left. Must run within the runtime
    /// that is to move the bytes.
    pub(crate) async fn connect(
        &self,
        server: &Server,
        deadline: Instant,
    ) -> Result<Connection, Failure> {
        let answer = timeout_at(deadline, self.resolver.resolve(&server.host))
            .await
            .map_err(|_elapsed| Failure::ConnectTime)?
            .map_err(Failure::Resolve)?;
        let mut failure = Failure::ConnectTime;
        let count = answer.addresses.len() as u32;
        for (tried, ip) in (0..count).zip(answer.addresses) {
            let address = SocketAddr::new(ip, server.port);
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / (count - tried);
            match timeout_at(now + share, self.reach(server, address)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => failure = error,
                Err(_elapsed) => failure = Failure::ConnectTime,
            }
        }
        Err(failure)
    }

    async fn reach(&self, server: &Server, address: SocketAddr) -> Result<Connection, Failure> {
        let tcp = Stream::connect(address)
            .await
            .map_err(|error| Failure::Connect(address, error))?;
        if !server.is_tls {
            return Connection::over(tcp).await;
        }
        let name = tls::server_name(self.sni.as_deref().unwrap_or(&server.host))
            .ok_or(Failure::Address)?;
        let secured = TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await
            .map_err(|error| Failure::Tls(address, error))?;
        Connection::over(secured).await
    }
}

/// A connection. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    progress: Arc<Progress>,
    /// The runtime of the driver.
    pub(crate) runtime: runtime::Id,
}

/// A connection that ended without an answer.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) reason: String,
    /// Whether not a byte of the request was sent.
    pub(crate) is_unsent: bool,
}

impl Connection {
    async fn over<T>(io: T) -> Result<Self, Failure>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let progress = Arc::new(Progress::new());
        let io = TokioIo::new(Noting::new(io, progress.clone()));
        let (sender, driver) = http1::handshake(io)
            .await
            .map_err(|error| Failure::Broken(chain(&error)))?;
        let task = tokio::spawn(async {
            // The call on the connection hears of it.
            let _ended = driver.await;
        });
        Ok(Self {
            sender,
            driver: task.abort_handle(),
            progress,
            runtime: Handle::current().id(),
        })
    }

    /// Waits until another request may be sent; false where the connection has ended. The wait is for the task that moves the
    /// bytes alone, once the body of the answer before was read.
    pub(crate) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether the connection is known to have ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer, until `deadline` and for as long as the silence allows.
    pub(crate) async fn call(
        &mut self,
        request: Request<Full<Bytes>>,
        silence: Silence,
        deadline: Instant,
    ) -> Result<Result<Response<Incoming>, Ended>, Failure> {
        let progress = self.progress.clone();
        progress.touch();
        let mut sending = pin!(self.send(request));
        loop {
            let until = progress.look_at(silence).min(deadline);
            if let Ok(outcome) = timeout_at(until, sending.as_mut()).await {
                return Ok(outcome);
            }
            if let Some(failure) = progress.stalled(silence) {
                return Err(failure);
            }
            if deadline <= Instant::now() {
                return Err(Failure::NoAnswer);
            }
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Ended> {
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut error| Ended {
                is_unsent: error.take_message().is_some(),
                reason: chain(error.error()),
            })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
