//! One request on one connection to a node: the body goes up while the answer may come already.

use std::{cell::Cell, pin::pin, task::Poll, time::Duration};

use lockgate_http::{head::Version, pool::Connection, request::Method, response::Asked};
use lockgate_net::{buffer::Buffer, stream::Stream};
use lockgate_snapshot::Route;
use lockgate_upstream::{Node, Retry, Upstream};

use crate::{
    client::{After, Client},
    exchange::{Answer, Exchange},
    forward::{Failure, Timeouts},
    head,
    io::{Bytes, IoFailure, Size, poll_read, write_all},
    phases,
    respond::{self, Relayed},
    scene::Scene,
    tunnel,
    upload::{Progress, pump},
    worker::Worker,
};

/// One request on one connection.
pub(crate) struct Call<'a> {
    pub(crate) scene: &'a Scene<'a>,
    pub(crate) worker: &'a Worker,
    pub(crate) client: &'a Client,
    pub(crate) route: &'a Route,
    pub(crate) upstream: &'a Upstream,
    pub(crate) node: &'a Node,
    pub(crate) times: Timeouts,
    /// Of the pool that the connection goes to afterwards.
    pub(crate) key: u64,
    /// How long the attempt may take from its begin to the head of the response.
    pub(crate) head_within: Option<Duration>,
    /// For which responses another node is asked instead of passing them on.
    pub(crate) retry: Option<&'a Retry>,
}

impl Call<'_> {
    /// Sends the request and passes the response on; an error leaves the client without any answer.
    pub(crate) async fn run(
        &self,
        exchange: &mut Exchange,
        connection: Connection,
    ) -> Result<After, Failure> {
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
                if let Some(attempt) = exchange.attempts.last_mut() {
                    attempt.sent += parts.iter().map(|part| part.len() as u64).sum::<u64>();
                }
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
            is_head: exchange.sent_method() == Method::Head,
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
        if exchange.upload.is_replayable() {
            self.refuse(exchange)?;
        }
        let mut upload = std::mem::take(&mut exchange.upload);
        if worker.logs_request_body() {
            upload.keep_first(exchange.unread.as_ref());
        }
        upload.finish(exchange.unread.as_mut());
        exchange.upload = upload;
        let is_upgraded = exchange.response.status() == 101;
        self.filter_head(exchange);
        if is_upgraded {
            return Ok(Box::pin(tunnel::run(
                self.scene,
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
        let on_its_way = exchange.upload.on_its_way();
        let mut upload = std::mem::replace(&mut exchange.upload, on_its_way);
        // All of the first read is body: there is more to come.
        if let Some(emptied) = upload.begin_streaming(exchange.unread.take()) {
            worker.buffers.give_back(emptied);
        }
        let expects_continue = exchange.request.expects_continue();
        let asked = Asked {
            is_head: exchange.sent_method() == Method::Head,
            is_upgrade: false,
        };
        let send = self.times.send;
        let began = exchange.attempts.last().map_or(0, |attempt| attempt.began);
        let has_head = Cell::new(false);
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
                has_head.set(true);
                if progress.is_sent.get() && !progress.is_gone.get() {
                    self.refuse(exchange)?;
                }
                self.filter_head(exchange);
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
                    // The time to answer runs from the end of the request, that of the attempt from its begin.
                    client.deadline.set(if has_head.get() {
                        self.times.read
                    } else {
                        self.time_to_head(began)
                    });
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
        if let Some(attempt) = exchange.attempts.last_mut() {
            attempt.sent += progress.bytes.get();
        }
        match outcome {
            // The answer had begun; the client's fault ends it.
            Err(_) if exchange.has_answered => {
                if exchange.request.version() != Version::Http11 {
                    // The end of the connection may be the end of the body, and is not.
                    client.stream.reset_when_dropped();
                }
                Ok(After::Drop)
            }
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

    /// Shows plugins the head of the response.
    #[inline]
    fn filter_head(&self, exchange: &mut Exchange) {
        exchange.answer = Answer::Upstreams;
        respond::add_fields(exchange);
        if self.scene.filters_head() || exchange.plugins.is_traced {
            phases::filter_head(self.scene, exchange);
        }
    }

    /// Refuses a response that another node may do better than.
    fn refuse(&self, exchange: &Exchange) -> Result<(), Failure> {
        let clock = &self.worker.clock;
        let status = exchange.response.status();
        match self.retry {
            Some(retry)
                if retry.is_for(status) && retry.take(clock.monotonic_us(clock.recent())) =>
            {
                Err(Failure::Status(status))
            }
            _ => Ok(()),
        }
    }

    /// How long the head of the response may still take in an attempt that began at `began`.
    fn time_to_head(&self, began: u64) -> Duration {
        self.head_within.map_or(self.times.read, |within| {
            let spent = self.worker.clock.tick().saturating_sub(began);
            let left = within.saturating_sub(Duration::from_micros(spent));
            self.times.read.min(left)
        })
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
            let began = exchange.attempts.last().map_or(0, |attempt| attempt.began);
            let within = self.time_to_head(began);
            let bytes = self.wait(stream, within, &mut watches_client).await?;
            let Bytes::Some(mut buffer) = bytes else {
                return Err(Failure::Closed);
            };
            if let Some(attempt) = exchange.attempts.last_mut() {
                attempt.received += buffer.len() as u64;
            }
            let now = if asked.is_upgrade {
                // What a tunnel's node is measured by.
                worker.clock.tick()
            } else {
                worker.lap()
            };
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
                if !exchange.set_cookie.is_empty() {
                    let headers = &mut exchange.response.headers;
                    headers.append(b"Set-Cookie", &exchange.set_cookie);
                }
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
        respond::relay(self.scene, exchange, &side, rest, keeps_alive).await
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
            Relayed::UpstreamBroke | Relayed::ClientGone | Relayed::Cut => return After::Drop,
        }
        if keeps_alive {
            After::Keep
        } else {
            After::Close
        }
    }

    /// Waits for the upstream to say something, and notices when the client goes away meanwhile.
    async fn wait(
        &self,
        stream: &Stream,
        within: Duration,
        watches_client: &mut bool,
    ) -> Result<Bytes, Failure> {
        let deadline = &self.client.deadline;
        let mut is_armed = false;
        let read = deadline
            .guard(|context| {
                // The request has just been sent: no buffer is taken to find that there is no answer yet.
                if (is_armed || stream.poll_readable(context).is_ready())
                    && let Poll::Ready(read) =
                        poll_read(stream, context, &self.worker.buffers, Size::Large)
                {
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
                    deadline.set(within);
                    is_armed = true;
                }
                Poll::Pending
            })
            .await;
        read.unwrap_or(Err(Failure::ReceiveTimeout))
    }
}
