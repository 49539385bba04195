//! The HTTP/1.1 client with which the gateway itself asks others: registries of services, secret managers, log sinks.
//!
//! Connections are kept and used again; every wait and every body has a bound; names resolve as the gateway's own do. What it
//! deliberately does not do: follow redirects, decompress, speak HTTP/2, or carry the traffic of clients (that is
//! `lockgate-http`).
//!
//! Start at [`Client::send`]; [`Client::stream`] is for answers that go on for long, such as watches, and for those of which
//! only the status matters. [`Endpoint`] reads addresses of configurations.
//!
//! A client works from any runtime, with the connections of that runtime. Workers have one each, so that they share no lock:
//! [`Clients`].

mod body;
mod clients;
mod connect;
mod endpoint;
mod error;
mod limits;
mod pool;
mod progress;
mod server;

pub use body::Body;
pub use clients::Clients;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ClientError, Failure};

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, Uri,
    header::{HOST, USER_AGENT},
};
use http_body_util::Full;
use lockgate_net::{
    dns::Resolver,
    tls::{ClientTls, TlsError},
};
use tokio::time::Instant;

use crate::{connect::Connector, pool::Pool, progress::Silence, server::Server};

/// Settings of a client. [`Options::new`] has defaults for all of them.
#[derive(Debug, Clone)]
pub struct Options {
    /// What resolves names of servers.
    pub resolver: Resolver,
    /// TLS towards `https` addresses; certificates are verified unless this says otherwise.
    pub tls: ClientTls,
    /// The name to ask for and to verify in a TLS handshake; `None` for the host of the address.
    pub sni: Option<String>,
    /// Longest for TCP and TLS together. 5 s.
    pub connect_timeout: Duration,
    /// Longest that the server may take no byte of a request that waits to be sent; `None` for the limit of the call alone. `None`.
    pub send_timeout: Option<Duration>,
    /// Longest that no byte of the answer may come; `None` for the limit of the call alone. `None`.
    pub read_timeout: Option<Duration>,
    /// Longest for a whole call; for [`Client::stream`], until the head of the answer. 15 s.
    pub timeout: Duration,
    /// Largest body of an answer that is read whole. 16 MiB.
    pub max_body_bytes: usize,
    /// Idle connections kept to one server. 8.
    pub idle_per_server: usize,
    /// How long an idle connection is kept. 45 s.
    pub idle_timeout: Duration,
}

impl Options {
    /// The defaults.
    pub fn new(resolver: Resolver) -> Self {
        Self {
            resolver,
            tls: ClientTls {
                verify: true,
                ..ClientTls::default()
            },
            sni: None,
            connect_timeout: limits::CONNECT,
            send_timeout: None,
            read_timeout: None,
            timeout: limits::CALL,
            max_body_bytes: limits::BODY_BYTES,
            idle_per_server: limits::IDLE_PER_SERVER,
            idle_timeout: limits::IDLE_TIME,
        }
    }
}

/// Sends requests. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
    times: Times,
    max_body_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    connect: Duration,
    silence: Silence,
    call: Duration,
}

impl Client {
    /// A client with these settings. Certificates and roots are read here.
    ///
    /// # Errors
    /// The settings of TLS cannot be used.
    pub fn new(options: Options) -> Result<Self, TlsError> {
        let bounded =
            |limit: Option<Duration>| limit.unwrap_or(limits::LONGEST).min(limits::LONGEST);
        let times = Times {
            connect: bounded(Some(options.connect_timeout)),
            silence: Silence {
                send: bounded(options.send_timeout),
                read: bounded(options.read_timeout),
            },
            call: bounded(Some(options.timeout)),
        };
        let max_body_bytes = options.max_body_bytes;
        let pool = Pool::new(options.idle_per_server, options.idle_timeout);
        Ok(Self {
            connector: Arc::new(Connector::new(options)?),
            pool: Arc::new(pool),
            times,
            max_body_bytes,
        })
    }

    /// The same client with a pool of its own. Settings of TLS, its sessions and the resolver are
    /// shared: no certificate is read again.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            pool: Arc::new(self.pool.empty()),
            ..self.clone()
        }
    }

    /// The same client, with the same connections, where connecting, each wait to send and each wait for more of the answer may
    /// take this long: lua-resty-http's `set_timeout`. The whole call ends after four times that, and not before 5 minutes.
    #[must_use]
    pub fn within_each(&self, limit: Duration) -> Self {
        let limit = limit.min(limits::LONGEST);
        Self {
            times: Times {
                connect: limit,
                silence: Silence {
                    send: limit,
                    read: limit,
                },
                call: (limit * limits::WAITS).max(limits::CALL_OF_WAITS),
            },
            ..self.clone()
        }
    }

    /// Sends a request to the absolute address that it names, and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        self.send_within(request, self.times.call).await
    }

    /// Like [`Self::send`], with a time limit of its own: long polls wait longer.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send_within(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let deadline = Instant::now() + limit.min(limits::LONGEST);
        let (head, mut body) = self.open(request, deadline).await?.into_parts();
        let whole = body.read_whole(self.max_body_bytes, deadline).await?;
        Ok(Response::from_parts(head, whole))
    }

    /// Sends a request and gives the answer as soon as its head is there; the body comes in pieces.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn stream(&self, request: Request<Bytes>) -> Result<Response<Body>, ClientError> {
        self.stream_within(request, self.times.call).await
    }

    /// Like [`Self::stream`], with a time limit of its own for the head of the answer.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn stream_within(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Body>, ClientError> {
        let deadline = Instant::now() + limit.min(limits::LONGEST);
        self.open(request, deadline).await
    }

    async fn open(
        &self,
        request: Request<Bytes>,
        deadline: Instant,
    ) -> Result<Response<Body>, ClientError> {
        let (mut head, body) = request.into_parts();
        let attempted = error::Attempted::new(&head.method, &head.uri);
        let Some(server) = Server::of(&head.uri) else {
            return Err(attempted.failed(Failure::Address));
        };
        let headers = &mut head.headers;
        if !headers.contains_key(HOST) {
            let host = HeaderValue::from_str(&server.host_header());
            let host = host.map_err(|_no_header| attempted.failed(Failure::Address))?;
            headers.insert(HOST, host);
        }
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static("lockgate"));
        head.uri = origin_form(&head.uri);
        let times = self.times;
        let is_repeatable = is_idempotent(&head.method);
        let request = Request::from_parts(head, Full::new(body));

        let mut kept = self.pool.take(&server).await;
        loop {
            let (mut connection, is_kept) = if let Some(connection) = kept.take() {
                (connection, true)
            } else {
                let connected = deadline.min(Instant::now() + times.connect);
                let connection = self.connector.connect(&server, connected).await;
                let connection = connection.map_err(|failure| attempted.failed(failure))?;
                (connection, false)
            };
            let calling = connection.call(request.clone(), times.silence, deadline);
            match calling.await {
                Err(failure) => return Err(attempted.failed(failure)),
                Ok(Ok(answer)) => {
                    let (pool, silence) = (self.pool.clone(), times.silence.read);
                    return Ok(answer.map(|incoming| {
                        Body::new(incoming, connection, pool, server, attempted, silence)
                    }));
                }
                // The server closed what was idle, as it may at any time, just when the request was on its way.
                Ok(Err(ended)) if is_kept && (is_repeatable || ended.is_unsent) => {}
                Ok(Err(ended)) => return Err(attempted.failed(Failure::Broken(ended.reason))),
            }
        }
    }
}

/// `Authorization: Basic` for a user; never shown in logs.
pub fn basic(user: &str, password: &str) -> HeaderValue {
    secret(&format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
    .unwrap_or(HeaderValue::from_static("Basic"))
}

/// `Authorization: Bearer`; never shown in logs. `None` where the token cannot stand in a header.
pub fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

/// The value of a header that is never shown in logs. `None` where it cannot stand in one.
pub fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What stands in the request line of a request to the server itself (RFC 9112 §3.2.1).
fn origin_form(uri: &Uri) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = uri
        .path_and_query()
        .filter(|path| path.path().starts_with('/'))
        .cloned()
        .or(Some(http::uri::PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_default()
}

/// Whether a request may be sent again when its connection broke (RFC 9110 §9.2.2).
fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ]
    .contains(method)
}
