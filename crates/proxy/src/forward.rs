//! From a matched route to an answer: node, connection, attempt, another attempt.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use lockgate_http::{head::HeadError, pool::Connection};
use lockgate_net::stream::Stream;
use lockgate_plugin::host::Phase;
use lockgate_snapshot::Route;
use lockgate_upstream::{Node, PassHost, Retry, Tried, Upstream};
use thiserror::Error;

use crate::{
    beyond::{self, Freed, Refused},
    call::Call,
    client::{After, Client},
    exchange::{Attempt, Exchange},
    head,
    io::IoFailure,
    limits, phases,
    reason::Reason,
    reply,
    request::{self, Matched},
    scene::Scene,
    vars::Facts,
};

/// Why an attempt brought no response.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("connect failed: {0}")]
    Connect(io::Error),
    #[error("timed out while connecting")]
    ConnectTimeout,
    #[error("sending the request failed: {0}")]
    Send(IoFailure),
    #[error("closed the connection before it answered")]
    Closed,
    #[error("reading the response failed: {0}")]
    Receive(io::Error),
    #[error("timed out before it answered")]
    ReceiveTimeout,
    #[error("sent an invalid response: {0}")]
    BadHead(HeadError),
    #[error("sent too many interim responses")]
    Interim,
    #[error("sent a response body that is none")]
    BadResponseBody,
    #[error("answered with status {0}, for which another node is asked")]
    Status(u16),
    #[error("the client closed the connection")]
    ClientGone,
    #[error("the request body is malformed")]
    BadBody,
    #[error("the request body is too large")]
    BodyTooLarge,
    #[error("the client sent its body too slowly")]
    BodyTimeout,
}

impl Failure {
    /// The status it stands for, as nginx has it.
    fn status(&self) -> u16 {
        match self {
            Self::ConnectTimeout | Self::ReceiveTimeout | Self::Send(IoFailure::TimedOut) => 504,
            Self::Connect(_)
            | Self::Send(_)
            | Self::Closed
            | Self::Receive(_)
            | Self::BadHead(_)
            | Self::Interim
            | Self::BadResponseBody => 502,
            Self::Status(status) => *status,
            Self::ClientGone => 499,
            Self::BadBody => 400,
            Self::BodyTooLarge => 413,
            Self::BodyTimeout => 408,
        }
    }

    /// Whether the client is to blame: no other node would do better.
    fn is_clients(&self) -> bool {
        matches!(
            self,
            Self::ClientGone | Self::BadBody | Self::BodyTooLarge | Self::BodyTimeout
        )
    }

    /// Whether another node is asked: `proxy_next_upstream error timeout`, for which an invalid response is neither.
    fn is_retried(&self) -> bool {
        !self.is_clients()
            && !matches!(
                self,
                Self::BadHead(_) | Self::Interim | Self::BadResponseBody
            )
    }

    /// Whether nothing of the request can have reached a node.
    fn is_before_sending(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::ConnectTimeout)
    }

    /// Whether this is how a kept connection shows that it had been closed meanwhile.
    fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Closed | Self::Receive(_) | Self::Send(IoFailure::Broken(_))
        )
    }
}

/// Times of one attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) send: Duration,
    pub(crate) read: Duration,
}

/// Sends the request to a node of `upstream` and the response to the client.
pub(crate) async fn forward(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    matched: Matched<'_>,
    upstream: &Upstream,
) -> After {
    let Scene { worker, client, .. } = *scene;
    let route: &Route = matched.value();
    let times = route.timeouts.as_ref().unwrap_or(upstream.timeouts());
    let times = Timeouts {
        connect: times.connect,
        send: times.send,
        read: times.read,
    };
    let mut nodes = upstream.nodes();
    if nodes.is_empty() {
        // Names that are being asked for the first time are worth waiting for.
        upstream.resolved(limits::RESOLVE_WAIT).await;
        nodes = upstream.nodes();
    }
    if nodes.is_empty() {
        tracing::error!(route = %route.id, "no valid upstream node");
        let reason = Reason::NoNodes;
        return reply::page(scene, exchange, 503, reason, After::Keep).await;
    }
    let mut tried = match upstream.hash_key() {
        Some(key) if nodes.len() > 1 => Tried::new(key.hash(&Facts::plugins(scene, exchange))),
        _ => Tried::default(),
    };
    let mut retries = upstream.retries(&nodes).min(limits::RETRIES);
    let beyond = upstream.beyond();
    let turn = match beyond {
        None => None,
        Some(beyond) => match Box::pin(beyond::turn(beyond, client)).await {
            Ok(turn) => turn,
            Err(refused) => return refuse(scene, exchange, route, &refused).await,
        },
    };
    let retry = beyond.and_then(|beyond| beyond.retry.as_ref());
    if let Some(retry) = retry {
        retry.began(worker.clock.monotonic_us(exchange.began));
    }
    let mut repeated = 0;
    loop {
        let _freed = Freed(turn.as_ref());
        let picked = match beyond {
            None => nodes.pick(worker.id, &worker.clock, &mut tried),
            Some(beyond) => {
                let turn = turn.as_ref();
                let picking =
                    beyond::pick(worker, client, exchange, beyond, turn, &nodes, &mut tried);
                match Box::pin(picking).await {
                    Ok(picked) => picked,
                    Err(refused) => return refuse(scene, exchange, route, &refused).await,
                }
            }
        };
        let Some(node) = picked else {
            tracing::error!(route = %route.id, "failed to pick server: no valid upstream node");
            let reason = Reason::AllTried;
            return reply::page(scene, exchange, 502, reason, After::Keep).await;
        };
        exchange.node = Some(node.address);
        // For each attempt, as the reference does it.
        if scene.runs(Phase::BeforeProxy) {
            let flow = phases::run(scene, exchange, Phase::BeforeProxy).await;
            if let Some(after) = request::answered(scene, exchange, flow).await {
                return after;
            }
        }
        let began = worker.clock.recent();
        exchange.attempts.push(Attempt {
            address: node.address,
            began,
            status: 0,
            connect_us: None,
            header_us: None,
            response_us: None,
            sent: 0,
            received: 0,
            body: 0,
        });
        if upstream.pass_host() == PassHost::Node {
            // For the log: the node set may be another by then.
            exchange.node_host.clear();
            exchange
                .node_host
                .extend_from_slice(node.host_header.as_bytes());
        }
        if worker.logs_node_name() || scene.logs() {
            exchange.node_name.clear();
            exchange.node_name.extend_from_slice(node.host().as_bytes());
        }
        let is_method_repeatable = exchange.sent_method().is_idempotent()
            || retry.is_some_and(Retry::repeats_unsafe_methods);
        let to = To {
            route,
            upstream,
            node: &node,
            times,
            head_within: retry.and_then(Retry::per_try_timeout),
            retry: retry.filter(|_| retries > 0 && is_method_repeatable && nodes.has_other(&tried)),
        };
        let failure = match attempt(scene, exchange, to).await {
            Ok(after) => {
                node.answered(took_us(exchange), &worker.clock);
                node.ended(exchange.status);
                return after;
            }
            Err(failure) => failure,
        };
        let now = worker.clock.tick();
        if let Some(attempt) = exchange.attempts.last_mut() {
            attempt.status = if failure.is_clients() {
                0
            } else {
                failure.status()
            };
            attempt.response_us = Some(now - attempt.began);
        }
        if failure.is_clients() {
            let after = fail(scene, exchange, &failure).await;
            node.ended(exchange.status);
            return after;
        }
        tracing::error!(upstream = %node.address, route = %route.id, error = %failure, "upstream failed");
        let is_late = upstream
            .retry_timeout()
            .is_some_and(|limit| Duration::from_micros(now - exchange.began) >= limit);
        let is_repeatable = failure.is_before_sending()
            || (is_method_repeatable && exchange.upload.is_replayable());
        let is_within_budget = match (retry, &failure) {
            (None, _) | (_, Failure::Status(_)) => true,
            (Some(retry), _) => retry.take(worker.clock.monotonic_us(now)),
        };
        if retries == 0 || !failure.is_retried() || !is_repeatable || !is_within_budget {
            let after = fail(scene, exchange, &failure).await;
            node.ended(exchange.status);
            return after;
        }
        if is_late {
            tracing::error!(route = %route.id, "proxy retry timeout");
            let reason = Reason::RetryTimeout;
            let after = reply::page(scene, exchange, 502, reason, After::Keep).await;
            node.ended(exchange.status);
            return after;
        }
        match failure {
            Failure::Status(status) => node.ended(status),
            failure => node.failed(failure.status() == 504),
        }
        retries -= 1;
        if let Some(retry) = retry {
            // The node is not held meanwhile.
            drop(node);
            Box::pin(beyond::pause(retry, repeated)).await;
            repeated += 1;
        }
    }
}

/// How long the last attempt took, as the reference counts it: the time to connect comes on top of the whole. Of a tunnel the
/// way to its begin, for its length says nothing of the node.
fn took_us(exchange: &Exchange) -> u64 {
    exchange.attempts.last().map_or(0, |attempt| {
        let whole = match attempt.status {
            101 => attempt.header_us,
            _ => attempt.response_us,
        };
        attempt.connect_us.unwrap_or(0) + whole.unwrap_or(0)
    })
}

/// Answers a request that found no room.
async fn refuse(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    route: &Route,
    refused: &Refused,
) -> After {
    match refused {
        Refused::ClientGone => fail(scene, exchange, &Failure::ClientGone).await,
        Refused::Full(full) => {
            tracing::error!(route = %route.id, error = %full, "no room at the upstream");
            let reason = Reason::Full(*full);
            reply::page(scene, exchange, 503, reason, After::Keep).await
        }
    }
}

/// Answers for a failure, or closes where there is nobody to answer to.
pub(crate) async fn fail(scene: &Scene<'_>, exchange: &mut Exchange, failure: &Failure) -> After {
    let reason = Reason::of(failure, exchange);
    if matches!(failure, Failure::ClientGone) {
        reply::note(scene.client, exchange, reason, 499);
        return After::Drop;
    }
    let after = if failure.is_clients() {
        After::Linger
    } else {
        After::Keep
    };
    reply::page(scene, exchange, failure.status(), reason, after).await
}

/// Where an attempt goes, and how.
#[derive(Clone, Copy)]
struct To<'a> {
    route: &'a Route,
    upstream: &'a Upstream,
    node: &'a Node,
    times: Timeouts,
    /// How long it may take to the head of the response.
    head_within: Option<Duration>,
    /// For which responses another node is asked.
    retry: Option<&'a Retry>,
}

/// One attempt at one node, on a kept connection where there is one. An error leaves the client without any answer.
async fn attempt(scene: &Scene<'_>, exchange: &mut Exchange, to: To<'_>) -> Result<After, Failure> {
    let Scene { worker, client, .. } = *scene;
    let To {
        route,
        upstream,
        node,
        times,
        head_within,
        retry,
    } = to;
    let connect_within = times.connect.min(head_within.unwrap_or(Duration::MAX));
    let tls = head::tls_identity(exchange, upstream, node);
    let key = node.pool_key ^ tls.as_ref().map_or(0, |tls| tls.key);
    let mut may_reuse = true;
    loop {
        let kept = if may_reuse {
            worker.pool.take(key, worker.clock.recent())
        } else {
            None
        };
        let is_kept = kept.is_some();
        let connection = if let Some(connection) = kept {
            connection
        } else {
            let connection =
                connect(client, upstream, node.address, tls.as_ref(), connect_within).await?;
            let now = worker.clock.tick();
            if let Some(attempt) = exchange.attempts.last_mut() {
                attempt.connect_us = Some(now - attempt.began);
            }
            connection
        };
        let call = Call {
            scene,
            worker,
            client,
            route,
            upstream,
            node,
            times,
            key,
            head_within,
            retry,
        };
        match call.run(exchange, connection).await {
            Err(failure)
                if is_kept
                    && failure.is_stale()
                    && exchange.sent_method().is_idempotent()
                    && exchange.upload.is_replayable() =>
            {
                may_reuse = false;
            }
            other => return other,
        }
    }
}

/// Opens a connection to a node, with TLS where the scheme asks for it.
async fn connect(
    client: &Client,
    upstream: &Upstream,
    address: SocketAddr,
    tls: Option<&head::TlsIdentity>,
    limit: Duration,
) -> Result<Connection, Failure> {
    let mut opening = pin!(async {
        let tcp = Stream::connect(address).await?;
        match (upstream.tls(), tls) {
            (Some(config), Some(identity)) => {
                let connector = tokio_rustls::TlsConnector::from(config.clone());
                Ok::<_, io::Error>(Stream::from(
                    connector.connect(identity.name.clone(), tcp).await?,
                ))
            }
            _ => Ok(Stream::from(tcp)),
        }
    });
    client.deadline.set(limit);
    match client
        .deadline
        .guard(|context| opening.as_mut().poll(context))
        .await
    {
        None => Err(Failure::ConnectTimeout),
        Some(Err(error)) => Err(Failure::Connect(error)),
        Some(Ok(stream)) => Ok(Connection {
            stream,
            requests: 1,
        }),
    }
}
