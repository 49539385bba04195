//! The life of a request, from its head to the end of its response.

use std::sync::Arc;

use lockgate_http::head::{Framing, HeadError};
use lockgate_plugin::{Chain, Destination, Flow, host::Phase};
use lockgate_router::{Match, Routes};
use lockgate_snapshot::{Route, Target};

use crate::{
    client::{After, Client},
    exchange::Exchange,
    finish,
    forward::{self, Failure},
    forwarded,
    phases::{self, Brought, NoGroup},
    reason::Reason,
    reply::{self, Reply},
    scene::Scene,
    upload::Upload,
    vars::Facts,
    worker::Worker,
};

/// The route that a request takes.
pub(crate) type Matched<'a> = Match<'a, Arc<Route>>;

/// The reference's answer where no route matches (`apisix/init.lua`).
const NOT_FOUND: Reply<'static> = Reply {
    status: 404,
    content_type: "text/plain; charset=utf-8",
    body: b"{\"error_msg\":\"404 Route Not Found\"}\n",
};

/// Answers one request.
///
/// | step | where |
/// |---|---|
/// | path and host in normal form, the real client | `normalize.rs`, `real_ip.rs` |
/// | route; the body, where a route asks for it | `lockgate_router`, `upload.rs` |
/// | plugins | `phases.rs` |
/// | upstream, node, connection, response | `forward.rs`, `call.rs`, `respond.rs` |
/// | log | `finish.rs` |
pub(crate) async fn handle(worker: &Worker, client: &Client, exchange: &mut Exchange) -> After {
    exchange.began = worker.clock.tick();
    worker.stats.requested();
    let bare = Scene::bare(worker, client);
    // From the start: whoever answers must know where the request ends and the next begins.
    let begun = Upload::begin(exchange).map(|upload| exchange.upload = upload);
    let normalized = exchange.normalize(worker.options());
    if begun.is_err() || normalized.is_err() {
        let fault = if begun.is_err() {
            "the chunked body is malformed"
        } else {
            "the path has no normal form"
        };
        let reason = Reason::Malformed(HeadError::Malformed(fault));
        let after = reply::page(&bare, exchange, 400, reason, After::Linger).await;
        finish::log(&bare, exchange);
        return after;
    }
    #[cfg(test)]
    assert_ne!(exchange.uri(), b"/panic", "what the test asks for");
    crate::real_ip::find(worker.options(), client, exchange);
    exchange.plugins.is_traced = worker.options().debug.is_on();
    let snapshot = worker.snapshot();
    let (mut found, wanted) = find(worker, client, exchange, &snapshot.routes);
    if wanted > 0 {
        // Rare and large: its state need not lie in every request's.
        let looked = Box::pin(find_by_body(
            worker,
            client,
            exchange,
            &snapshot.routes,
            wanted,
        ));
        match looked.await {
            Ok(route) => found = route,
            Err(failure) => {
                let after = forward::fail(&bare, exchange, &failure).await;
                finish::log(&bare, exchange);
                return after;
            }
        }
    }
    let brought;
    let mut scene = Scene::new(worker, client, &snapshot, found);
    let mut after = if snapshot.is_waiting {
        let reason = Reason::Waiting;
        Some(reply::page(&bare, exchange, 503, reason, After::Keep).await)
    } else {
        refuse(&scene, exchange).await
    };
    if after.is_none() && scene.has_plugins() {
        forwarded::clean(worker.options(), client, exchange);
        after = rewrite(&mut scene, exchange).await;
        if after.is_none() {
            match phases::brought(&scene, &snapshot, exchange) {
                Ok(Brought::Nothing) => after = access(&scene, exchange, None).await,
                Ok(Brought::Chain(chain)) => {
                    brought = chain;
                    scene.chain = brought.as_deref();
                    after = access(&scene, exchange, scene.chain).await;
                }
                Err(NoGroup) => {
                    let reason = Reason::NoConsumerGroup;
                    after = Some(reply::page(&scene, exchange, 503, reason, After::Keep).await);
                }
            }
        }
    }
    let after = match after {
        Some(after) => after,
        None => serve(&scene, exchange).await,
    };
    finish::log(&scene, exchange);
    after
}

/// Runs `rewrite` of the global rules and of the route, which may find out who asks; says what becomes of the connection where one
/// answers. Where that is a global rule, the route's plugins have no part in the answer.
async fn rewrite(scene: &mut Scene<'_>, exchange: &mut Exchange) -> Option<After> {
    for (chain, beside) in scene.chains() {
        let flow = phases::run_one(scene, exchange, chain, Phase::Rewrite, beside).await;
        if let Some(Flow::Next) = flow {
            continue;
        }
        if beside.is_some() {
            scene.chain = None;
        }
        return answered(scene, exchange, flow).await;
    }
    None
}

/// Runs what follows once it is known who asks: `rewrite` of what the consumer brought along, then `access` of the global rules and
/// of the route.
async fn access(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    brought: Option<&Chain>,
) -> Option<After> {
    if let Some(brought) = brought {
        let flow = phases::run_one(scene, exchange, brought, Phase::Rewrite, None).await;
        let after = answered(scene, exchange, flow).await;
        if after.is_some() {
            return after;
        }
    }
    let flow = phases::run(scene, exchange, Phase::Access).await;
    answered(scene, exchange, flow).await
}

/// What becomes of the connection behind a phase that ended the request: a hook answered, or the client left while one waited.
#[inline]
pub(crate) async fn answered(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    flow: Option<Flow>,
) -> Option<After> {
    match flow {
        Some(Flow::Next) => None,
        Some(Flow::Reply(reply)) => Some(reply::plugins(scene, exchange, *reply).await),
        None => Some(forward::fail(scene, exchange, &Failure::ClientGone).await),
    }
}

/// The route that a request takes as far as is known, and how much of its body would have to be read to know better.
#[inline]
fn find<'s>(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    routes: &'s Routes<Arc<Route>>,
) -> (Option<Matched<'s>>, u64) {
    let mut params = std::mem::take(&mut exchange.params);
    let facts = Facts::routing(worker, client, exchange);
    let found = routes.find(&facts, &mut params);
    let wanted = facts.wanted();
    exchange.params = params;
    (found, wanted)
}

/// Reads so much of the body as candidates ask for, until none asks for more.
async fn find_by_body<'s>(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    routes: &'s Routes<Arc<Route>>,
    mut wanted: u64,
) -> Result<Option<Matched<'s>>, Failure> {
    loop {
        exchange.looked_at = wanted;
        Upload::read_ahead(worker, client, exchange, wanted).await?;
        let is_whole = exchange.upload.is_read() && exchange.upload.received() <= wanted;
        if !is_whole && let Some(silent) = worker.large_bodies.lets_through(worker.clock.tick()) {
            tracing::warn!(
                client = %client.peer,
                max_bytes = wanted,
                silent,
                "a route asks for the body, whose size is greater than the maximum size allowed"
            );
        }
        let (found, more) = find(worker, client, exchange, routes);
        if more <= exchange.looked_at {
            return Ok(found);
        }
        wanted = more;
    }
}

/// Answers a request that no plugin is to see: its body is too long, or its route refers to what is not there.
#[inline]
async fn refuse(scene: &Scene<'_>, exchange: &mut Exchange) -> Option<After> {
    let matched = scene.matched?;
    let limit = scene.worker.options().max_body_bytes;
    let body_bytes = match exchange.request.framing() {
        Framing::Length(length) => length,
        _ => exchange.upload.received(),
    };
    if limit > 0 && body_bytes > limit {
        let reason = Reason::BodyTooLarge;
        return Some(reply::page(scene, exchange, 413, reason, After::Linger).await);
    }
    let target = &matched.value().target;
    if !matches!(target, Target::NoService | Target::NoPluginConfig) {
        return None;
    }
    let (status, reason) = Reason::of_target(target)?;
    Some(dead_end(scene, exchange, matched, status, reason).await)
}

/// Serves a request by its route.
async fn serve(scene: &Scene<'_>, exchange: &mut Exchange) -> After {
    let Some(matched) = scene.matched else {
        let reason = Reason::NoRoute;
        return reply::send(scene, exchange, &NOT_FOUND, reason, After::Keep).await;
    };
    let (status, reason) = match &exchange.plugins.outgoing.destination {
        Destination::Upstream(upstream) => {
            let upstream = upstream.clone();
            return forward::forward(scene, exchange, matched, &upstream).await;
        }
        Destination::Missing => (502, Reason::NoSuchUpstream),
        Destination::Plugin => {
            let flow = phases::run(scene, exchange, Phase::BeforeProxy).await;
            return match answered(scene, exchange, flow).await {
                Some(after) => after,
                None => dead_end(scene, exchange, matched, 500, Reason::NoAnswer).await,
            };
        }
        _ => match &matched.value().target {
            Target::Upstream(upstream) => {
                return forward::forward(scene, exchange, matched, upstream).await;
            }
            target => Reason::of_target(target).unwrap_or((503, Reason::NoUpstream)),
        },
    };
    dead_end(scene, exchange, matched, status, reason).await
}

/// Answers for a route that leads nowhere.
async fn dead_end(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    matched: Matched<'_>,
    status: u16,
    reason: Reason,
) -> After {
    tracing::error!(route = %matched.value().id, %reason, "the route leads nowhere");
    reply::page(scene, exchange, status, reason, After::Keep).await
}
