//! Plugins on the way of a request: which chains run when, and what plugins see of it.
//!
//! The order is that of the reference's `http_access_phase` and of the phases of nginx that follow it (`apisix/init.lua`).

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use lockgate_expr::{Lookup, Value as Kinded, Variable};
use lockgate_http::{request::RequestHead, response::ResponseHead};
use lockgate_plugin::{
    BodyError, BodyFilter, BodyStream, Chain, Filtered, Flow, LocalFuture, RouteFacts, Timing,
    host::{self, Host, Phase, State},
};

use crate::{
    exchange::{Answer, Exchange},
    forward::Failure,
    io::while_there,
    scene::Scene,
    upload::Upload,
    vars::Facts,
    worker::Held,
};

/// What a consumer makes of the chain of a route.
pub(crate) enum Brought {
    /// It stays.
    Nothing,
    /// There is another, whose `rewrite` has not run; `None` where nothing is left to run.
    Chain(Option<Rc<Chain>>),
}

/// The chain of the route together with what the consumer brings along.
///
/// # Errors
/// The group of the consumer does not exist.
pub(crate) fn brought(
    scene: &Scene<'_>,
    held: &Held,
    exchange: &Exchange,
) -> Result<Brought, NoGroup> {
    let (Some(consumer), Some(matched)) = (&exchange.plugins.consumer, scene.matched) else {
        return Ok(Brought::Nothing);
    };
    let group = match &consumer.group_id {
        None => None,
        Some(id) => {
            let group = held.groups.get(id);
            if group.is_none() {
                tracing::error!(%id, "failed to fetch consumer group config");
                return Err(NoGroup);
            }
            group
        }
    };
    if consumer.plugins.is_empty() && group.is_none_or(|group| group.is_empty()) {
        return Ok(Brought::Nothing);
    }
    Ok(Brought::Chain(held.chains.chain_for(
        matched.value(),
        consumer,
        group,
    )))
}

/// The consumer's group does not exist.
pub(crate) struct NoGroup;

/// Runs a phase of both chains, until a hook answers; `None` when the client left while one waited.
pub(crate) async fn run(scene: &Scene<'_>, exchange: &mut Exchange, phase: Phase) -> Option<Flow> {
    for (chain, beside) in scene.chains() {
        let flow = run_one(scene, exchange, chain, phase, beside).await?;
        if let Flow::Reply(_) = flow {
            return Some(flow);
        }
    }
    Some(Flow::Next)
}

/// Runs a phase of one chain, until a hook answers; `None` when the client left while one waited.
pub(crate) async fn run_one(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    chain: &Chain,
    phase: Phase,
    beside: Option<&Chain>,
) -> Option<Flow> {
    if !chain.runs(phase) {
        return Some(Flow::Next);
    }
    let mut hosted = Hosted::new(scene, exchange);
    while_there(&scene.client.stream, hosted.run(chain, phase, beside)).await
}

/// Shows plugins the head of a response.
pub(crate) fn filter_head(scene: &Scene<'_>, exchange: &mut Exchange) {
    let server = &scene.worker.options().server;
    exchange.response.headers.set(b"Server", server.as_bytes());
    exchange.is_filtered = true;
    for (chain, beside) in scene.chains() {
        if chain.filters_head() {
            let mut hosted = Hosted::new(scene, exchange);
            chain.filter_head(beside, &mut lockgate_plugin::Exchange::new(&mut hosted));
        }
    }
    if !exchange.plugins.filters.is_empty() {
        let mut hosted = Hosted::new(scene, exchange);
        host::begin_filters(&mut lockgate_plugin::Exchange::new(&mut hosted));
    }
    if exchange.plugins.is_traced {
        report(scene, exchange);
    }
}

/// Puts the plugins that ran, and those that will, into the response (`Apisix-Plugins`).
fn report(scene: &Scene<'_>, exchange: &mut Exchange) {
    let expected = scene.chain.into_iter().flat_map(Chain::expected);
    let mut names = Vec::new();
    for (name, phase) in exchange.plugins.trace.iter().copied().chain(expected) {
        let name = format!("{name}#{phase}");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let value = if names.is_empty() {
        "no plugin".to_owned()
    } else {
        names.join(", ")
    };
    exchange
        .response
        .headers
        .set(b"Apisix-Plugins", value.as_bytes());
}

/// Passes a piece of the response's body through the filters; what comes of it is appended to `out`.
pub(crate) fn filter_body(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    filters: &mut [Box<dyn BodyFilter>],
    piece: &[u8],
    is_last: bool,
    out: &mut Vec<u8>,
) -> Filtered {
    let mut between = std::mem::take(&mut exchange.plugins.between);
    let mut hosted = Hosted::new(scene, exchange);
    let mut ex = lockgate_plugin::Exchange::new(&mut hosted);
    let filtered = host::filter_body(filters, &mut ex, piece, is_last, &mut between, out);
    exchange.plugins.between = between;
    filtered
}

/// Tells the stream of an answer that nothing more is asked for.
pub(crate) fn ended(scene: &Scene<'_>, exchange: &mut Exchange, stream: &mut dyn BodyStream) {
    let mut hosted = Hosted::new(scene, exchange);
    stream.ended(&mut lockgate_plugin::Exchange::new(&mut hosted));
}

/// Tells plugins that an exchange has ended.
pub(crate) fn log(scene: &Scene<'_>, exchange: &mut Exchange) {
    for (chain, beside) in scene.chains() {
        if chain.logs() {
            let mut hosted = Hosted::new(scene, exchange);
            chain.log(beside, &mut lockgate_plugin::Exchange::new(&mut hosted));
        }
    }
}

/// A request as it is kept for plugins.
struct Hosted<'a> {
    scene: &'a Scene<'a>,
    exchange: &'a mut Exchange,
}

impl<'a> Hosted<'a> {
    fn new(scene: &'a Scene<'a>, exchange: &'a mut Exchange) -> Self {
        Self { scene, exchange }
    }

    async fn run(&mut self, chain: &Chain, phase: Phase, beside: Option<&Chain>) -> Flow {
        let mut ex = lockgate_plugin::Exchange::new(self);
        host::run(chain, phase, beside, &mut ex).await
    }

    fn facts(&self) -> Facts<'_> {
        Facts::plugins(self.scene, self.exchange)
    }
}

impl Lookup for Hosted<'_> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        self.facts().find(variable)
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Kinded<'a>> {
        self.facts().find_kinded(variable)
    }

    fn append(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.facts().append(variable, out)
    }
}

impl Host for Hosted<'_> {
    fn request(&self) -> &RequestHead {
        &self.exchange.request
    }

    fn request_mut(&mut self) -> &mut RequestHead {
        &mut self.exchange.request
    }

    fn response(&self) -> &ResponseHead {
        &self.exchange.response
    }

    fn response_mut(&mut self) -> &mut ResponseHead {
        &mut self.exchange.response
    }

    fn is_responding(&self) -> bool {
        self.exchange.answer != Answer::None
    }

    fn is_upstreams(&self) -> bool {
        self.exchange.answer == Answer::Upstreams
    }

    fn state(&self) -> &State {
        &self.exchange.plugins
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.exchange.plugins
    }

    fn route(&self) -> Option<RouteFacts<'_>> {
        let matched = self.scene.matched?;
        let route = matched.value();
        let service = route.service.as_ref();
        Some(RouteFacts {
            id: &route.id,
            name: route.name.as_deref(),
            matched_uri: matched.path(),
            matched_host: matched.host(),
            service_id: service.map(|service| &*service.id),
            service_name: service.and_then(|service| service.name.as_deref()),
        })
    }

    fn uri(&self) -> &[u8] {
        self.exchange.uri()
    }

    fn query(&self) -> &[u8] {
        self.exchange.query()
    }

    fn remote_addr(&self) -> IpAddr {
        self.exchange.remote.unwrap_or(self.scene.client.peer.ip())
    }

    fn worker(&self) -> usize {
        self.scene.worker.id
    }

    fn now(&self) -> Duration {
        let clock = &self.scene.worker.clock;
        clock.unix(clock.recent())
    }

    fn timing(&self) -> Timing {
        let exchange = &*self.exchange;
        let now = if exchange.ended > 0 {
            exchange.ended
        } else {
            self.scene.worker.clock.tick()
        };
        let attempts = &exchange.attempts;
        let upstream: u64 = attempts
            .iter()
            .map(|attempt| {
                attempt
                    .response_us
                    .unwrap_or(now.saturating_sub(attempt.began))
            })
            .sum();
        Timing {
            total: Duration::from_micros(now.saturating_sub(exchange.began)),
            upstream: (!attempts.is_empty()).then(|| Duration::from_micros(upstream)),
            received: exchange.request.len() as u64 + exchange.upload.received(),
            sent: exchange.bytes_sent,
            body_sent: exchange.body_bytes_sent,
        }
    }

    fn node(&self) -> Option<SocketAddr> {
        self.exchange.node
    }

    fn read_body(&mut self, limit: u64) -> LocalFuture<'_, Result<(), BodyError>> {
        Box::pin(async move {
            let Scene { worker, client, .. } = *self.scene;
            let read = Upload::read_ahead(worker, client, self.exchange, limit).await;
            read.map_err(|failure| match failure {
                Failure::BodyTooLarge => BodyError::TooLarge,
                _ => BodyError::Broken,
            })?;
            if self.exchange.upload.is_read() {
                Ok(())
            } else {
                Err(BodyError::TooLarge)
            }
        })
    }

    fn body(&self) -> Option<Cow<'_, [u8]>> {
        let unread = self.exchange.unread.as_ref();
        self.exchange.upload.whole(unread).map(Cow::Borrowed)
    }

    fn set_body(&mut self, body: Vec<u8>) -> bool {
        let is_replaced = self.exchange.upload.replace(body);
        self.exchange.told.take();
        is_replaced
    }

    fn keep_body(&mut self, limit: usize) {
        self.exchange.upload.keep(limit);
    }

    fn kept_body(&self) -> Cow<'_, [u8]> {
        self.exchange.upload.kept(self.exchange.unread.as_ref())
    }
}
