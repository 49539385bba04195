//! From a matched route to an answer: node, connection, attempt, another attempt.

use std::{io, net::SocketAddr, pin::pin, task::Poll, time::Duration};

use lockgate_http::{head::HeadError, pool::Connection, request::Method, response::Asked};
use lockgate_net::{buffer::Buffer, stream::Stream};
use lockgate_snapshot::Route;
use lockgate_upstream::{Node, PassHost, Tried, Upstream};
use thiserror::Error;

use crate::{
    client::{After, Client},
    exchange::{Attempt, Exchange},
    head,
    io::{Bytes, IoFailure, Size, poll_read, write_all},
    limits, reply,
    request::Matched,
    respond::{self, Relayed},
    tunnel,
    upload::{Progress, pump},
    worker::Worker,
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
struct Timeouts {
    connect: Duration,
    send: Duration,
    read: Duration,
}

/// Sends the request to a node of `upstream` and the response to the client.
pub(crate) async fn forward(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    matched: Matched<'_>,
    upstream: &Upstream,
) -> After {
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
        return reply::page(worker, client, exchange, 503, After::Keep).await;
    }
    let mut tried = Tried::default();
    let mut retries = upstream.retries(&nodes).min(limits::RETRIES);
    loop {
        let Some(node) = nodes.pick(worker.id, &mut tried) else {
            tracing::error!(route = %route.id, "failed to pick server: no valid upstream node");
            return reply::page(worker, client, exchange, 502, After::Keep).await;
        };
        let began = worker.clock.recent();
        exchange.attempts.push(Attempt {
            address: node.address,
            began,
            status: 0,
            connect_us: None,
            header_us: None,
            response_us: None,
        });
        if upstream.pass_host() == PassHost::Node {
            // For the log: the node set may be another by then.
            exchange.node_host.clear();
            exchange
                .node_host
                .extend_from_slice(node.host_header.as_bytes());
        }
        let failure = match attempt(worker, client, exchange, route, upstream, node, times).await {
            Ok(after) => return after,
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
            return fail(worker, client, exchange, &failure).await;
        }
        tracing::error!(upstream = %node.address, route = %route.id, error = %failure, "upstream failed");
        let is_late = upstream
            .retry_timeout()
            .is_some_and(|limit| Duration::from_micros(now - exchange.began) >= limit);
        let is_repeatable = failure.is_before_sending()
            || (exchange.request.method().is_idempotent() && exchange.upload.is_replayable());
        if retries == 0 || !failure.is_retried() || !is_repeatable {
            return fail(worker, client, exchange, &failure).await;
        }
        if is_late {
            tracing::error!(route = %route.id, "proxy retry timeout");
            return reply::page(worker, client, exchange, 502, After::Keep).await;
        }
        retries -= 1;
    }
}

/// Answers for a failure, or closes where there is nobody to answer to.
async fn fail(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    failure: &Failure,
) -> After {
    if matches!(failure, Failure::ClientGone) {
        exchange.status = 499;
        return After::Drop;
    }
    let after = if failure.is_clients() {
        After::Linger
    } else {
        After::Keep
    };
    reply::page(worker, client, exchange, failure.status(), after).await
}

/// One attempt at one node, on a kept connection where there is one. An error leaves the client without any answer.
async fn attempt(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    route: &Route,
    upstream: &Upstream,
    node: &Node,
    times: Timeouts,
) -> Result<After, Failure> {
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
                connect(client, upstream, node.address, tls.as_ref(), times.connect).await?;
            let now = worker.clock.tick();
            if let Some(attempt) = exchange.attempts.last_mut() {
                attempt.connect_us = Some(now - attempt.began);
            }
            connection
        };
        let call = Call {
            worker,
            client,
            route,
            upstream,
            node,
            times,
            key,
        };
        match call.run(exchange, connection).await {
            Err(failure)
                if is_kept
                    && failure.is_stale()
                    && exchange.request.method().is_idempotent()
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

/// One request on one connection.
struct Call<'a> {
    worker: &'a Worker,
    client: &'a Client,
    route: &'a Route,
    upstream: &'a Upstream,
    node: &'a Node,
    times: Timeouts,
    key: u64,
}

impl Call<'_> {
    async fn run(&self, exchange: &mut Exchange, connection: Connection) -> Result<After, Failure> {
        let (worker, client) = (self.worker, self.client);
        // A tunnel has room for one thing behind the head: its bytes.
        let is_upgrade = self.route.allows_websocket
            && exchange.request.wants_upgrade()
            && exchange.upload.is_read();
        let mut out = std::mem::take(&mut exchange.out);
        out.clear();
        head::write_request(
            worker,
            client,
            exchange,
            self.upstream,
            self.node,
            is_upgrade,
            &mut out,
        );
        let mut tail = Vec::new();
        let framed = exchange.upload.frame(&mut out, &mut tail);
        let (first, later) = exchange.upload.parts(exchange.unread.as_ref());
        let sent = match framed {
            Ok(()) => {
                let parts = [&out, first, later, &tail];
                write_all(
                    &connection.stream,
                    &client.deadline,
                    self.times.send,
                    &parts,
                )
                .await
                .map_err(Failure::Send)
            }
            Err(failure) => Err(failure),
        };
        exchange.out = out;
        sent?;
        if !exchange.upload.is_read() {
            // Rare and large: its state need not lie in every request's.
            return Box::pin(self.stream(exchange, connection)).await;
        }
        let asked = Asked {
            is_head: exchange.request.method() == Method::Head,
            is_upgrade,
        };
        let rest = self
            .receive_head(
                exchange,
                &connection.stream,
                asked,
                exchange.unread.is_none(),
            )
            .await?;
        let mut upload = std::mem::take(&mut exchange.upload);
        upload.finish(exchange.unread.as_mut());
        exchange.upload = upload;
        if exchange.response.status() == 101 {
            return Ok(Box::pin(tunnel::run(
                worker,
                client,
                exchange,
                connection,
                rest,
                self.times.read,
            ))
            .await);
        }
        let keeps_alive = self.keeps_alive(exchange, true);
        let relayed = self
            .relay(exchange, &connection.stream, rest, keeps_alive)
            .await;
        if relayed == Relayed::UpstreamBroke && !exchange.has_answered {
            return Err(Failure::BadResponseBody);
        }
        Ok(self.conclude(exchange, connection, relayed, keeps_alive))
    }

    /// Sends a long body while the answer may come already.
    async fn stream(
        &self,
        exchange: &mut Exchange,
        connection: Connection,
    ) -> Result<After, Failure> {
        let (worker, client) = (self.worker, self.client);
        let deadline = worker.deadlines.add();
        let progress = Progress::default();
        let mut upload = std::mem::take(&mut exchange.upload);
        // All of the first read is body: there is more to come.
        if let Some(emptied) = upload.begin_streaming(exchange.unread.take()) {
            worker.buffers.give_back(emptied);
        }
        let expects_continue = exchange.request.expects_continue();
        let asked = Asked {
            is_head: exchange.request.method() == Method::Head,
            is_upgrade: false,
        };
        let send = self.times.send;
        let (outcome, keeps_alive) = {
            let mut sending = pin!(pump(
                worker,
                client,
                &mut upload,
                &connection.stream,
                &deadline,
                expects_continue,
                send,
                &progress
            ));
            let mut answering = pin!(async {
                let rest = self
                    .receive_head(exchange, &connection.stream, asked, false)
                    .await?;
                let keeps_alive = self.keeps_alive(exchange, progress.is_sent.get());
                Ok((
                    self.relay(exchange, &connection.stream, rest, keeps_alive)
                        .await,
                    keeps_alive,
                ))
            });
            let mut is_sending = true;
            let outcome: Result<_, Failure> = std::future::poll_fn(|context| {
                if is_sending && let Poll::Ready(sent) = sending.as_mut().poll(context) {
                    is_sending = false;
                    match sent {
                        // The node may have answered and closed: what it said counts.
                        Ok(()) | Err(Failure::Send(IoFailure::Broken(_))) => {}
                        Err(failure) => return Poll::Ready(Err(failure)),
                    }
                }
                if is_sending {
                    // The time to answer runs from the end of the request.
                    client.deadline.set(self.times.read);
                }
                answering.as_mut().poll(context)
            })
            .await;
            match outcome {
                Ok((relayed, keeps_alive)) => (Ok(relayed), keeps_alive),
                Err(failure) => (Err(failure), false),
            }
        };
        exchange.upload = upload;
        exchange.unread = progress.rest.take();
        match outcome {
            // The answer had begun; the client's fault ends it.
            Err(_) if exchange.has_answered => Ok(After::Drop),
            Err(failure) => Err(failure),
            Ok(Relayed::UpstreamBroke) if !exchange.has_answered => Err(Failure::BadResponseBody),
            Ok(relayed) => {
                let is_sent = progress.is_sent.get();
                let relayed = if relayed == Relayed::Whole && !is_sent {
                    Relayed::WholeLast
                } else {
                    relayed
                };
                let after = self.conclude(exchange, connection, relayed, keeps_alive);
                Ok(if after == After::Close && !is_sent {
                    After::Linger
                } else {
                    after
                })
            }
        }
    }

    /// Waits for the head of the final response; returns what was read behind it.
    async fn receive_head(
        &self,
        exchange: &mut Exchange,
        stream: &Stream,
        asked: Asked,
        watches_client: bool,
    ) -> Result<Option<Buffer>, Failure> {
        let worker = self.worker;
        let mut interim = 0;
        let mut watches_client = watches_client;
        exchange.response.clear();
        loop {
            let bytes = self.wait(stream, &mut watches_client).await?;
            let Bytes::Some(mut buffer) = bytes else {
                return Err(Failure::Closed);
            };
            let now = worker.clock.tick();
            let is_complete = loop {
                match exchange.response.feed(&mut buffer, asked) {
                    Ok(true) if exchange.response.is_interim() => {
                        interim += 1;
                        if interim > lockgate_http::limits::INTERIM_RESPONSES {
                            return Err(Failure::Interim);
                        }
                        exchange.response.clear();
                        if buffer.is_empty() {
                            break false;
                        }
                    }
                    Ok(is_complete) => break is_complete,
                    Err(error) => return Err(Failure::BadHead(error)),
                }
            };
            let rest = if buffer.is_empty() {
                worker.buffers.give_back(buffer);
                None
            } else {
                Some(buffer)
            };
            if is_complete {
                if let Some(attempt) = exchange.attempts.last_mut() {
                    attempt.header_us = Some(now - attempt.began);
                    attempt.status = exchange.response.status();
                }
                return Ok(rest);
            }
        }
    }

    async fn relay(
        &self,
        exchange: &mut Exchange,
        stream: &Stream,
        rest: Option<Buffer>,
        keeps_alive: bool,
    ) -> Relayed {
        let side = respond::Upstream {
            stream,
            deadline: &self.client.deadline,
            read_timeout: self.times.read,
            name: &self.node.address,
        };
        respond::relay(self.worker, self.client, exchange, &side, rest, keeps_alive).await
    }

    /// Whether the client's connection can carry another request after this response.
    fn keeps_alive(&self, exchange: &Exchange, is_body_read: bool) -> bool {
        is_body_read
            && exchange.request.keeps_alive()
            && !self.worker.is_draining()
            && !self.worker.options().keepalive_timeout.is_zero()
            && respond::has_end(exchange)
    }

    /// Puts the connection where it belongs and says what becomes of the client's.
    fn conclude(
        &self,
        exchange: &mut Exchange,
        connection: Connection,
        relayed: Relayed,
        keeps_alive: bool,
    ) -> After {
        let now = self.worker.clock.tick();
        if let Some(attempt) = exchange.attempts.last_mut() {
            attempt.response_us = Some(now - attempt.began);
        }
        match relayed {
            Relayed::Whole => {
                self.worker
                    .pool
                    .keep(self.key, connection, self.upstream.keep(), now);
            }
            Relayed::WholeLast => {}
            Relayed::UpstreamBroke | Relayed::ClientGone => return After::Drop,
        }
        if keeps_alive {
            After::Keep
        } else {
            After::Close
        }
    }

    /// Waits for the upstream to say something, and notices when the client goes away meanwhile.
    async fn wait(&self, stream: &Stream, watches_client: &mut bool) -> Result<Bytes, Failure> {
        let deadline = &self.client.deadline;
        let mut is_armed = false;
        let read = deadline
            .guard(|context| {
                let polled = poll_read(stream, context, &self.worker.buffers, Size::Large);
                if let Poll::Ready(read) = polled {
                    return Poll::Ready(read.map_err(Failure::Receive));
                }
                if *watches_client
                    && let Poll::Ready(is_gone) = self.client.stream.poll_ended(context)
                {
                    if is_gone {
                        return Poll::Ready(Err(Failure::ClientGone));
                    }
                    // The next request is on its way already; what comes behind it cannot be seen.
                    *watches_client = false;
                }
                if !is_armed {
                    deadline.set(self.times.read);
                    is_armed = true;
                }
                Poll::Pending
            })
            .await;
        read.unwrap_or(Err(Failure::ReceiveTimeout))
    }
}
