//! The life of a request, from its head to the end of its response.

use std::sync::Arc;

use lockgate_http::head::{Framing, HeadError};
use lockgate_router::{Match, Routes};
use lockgate_snapshot::{Route, Target};

use crate::{
    client::{After, Client},
    exchange::Exchange,
    finish,
    forward::{self, Failure},
    reason::Reason,
    reply::{self, Reply},
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
/// | upstream, node, connection, response | `forward.rs`, `call.rs`, `respond.rs` |
/// | log | `finish.rs` |
pub(crate) async fn handle(worker: &Worker, client: &Client, exchange: &mut Exchange) -> After {
    exchange.began = worker.clock.tick();
    worker.stats.requested();
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
        let after = reply::page(worker, client, exchange, 400, reason, After::Linger).await;
        finish::log(worker, client, exchange, None);
        return after;
    }
    #[cfg(test)]
    assert_ne!(exchange.uri(), b"/panic", "what the test asks for");
    crate::real_ip::find(worker.options(), client, exchange);
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
                let after = forward::fail(worker, client, exchange, &failure).await;
                finish::log(worker, client, exchange, None);
                return after;
            }
        }
    }
    let Some(found) = found else {
        let after = reply::send(
            worker,
            client,
            exchange,
            &NOT_FOUND,
            Reason::NoRoute,
            After::Keep,
        )
        .await;
        finish::log(worker, client, exchange, None);
        return after;
    };
    let after = serve(worker, client, exchange, found).await;
    finish::log(worker, client, exchange, Some(found));
    after
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

/// Serves a request by its route.
async fn serve(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    matched: Matched<'_>,
) -> After {
    let limit = worker.options().max_body_bytes;
    let body_bytes = match exchange.request.framing() {
        Framing::Length(length) => length,
        _ => exchange.upload.received(),
    };
    if limit > 0 && body_bytes > limit {
        let reason = Reason::BodyTooLarge;
        return reply::page(worker, client, exchange, 413, reason, After::Linger).await;
    }
    let (status, reason) = match &matched.value().target {
        Target::Upstream(upstream) => {
            return forward::forward(worker, client, exchange, matched, upstream).await;
        }
        Target::NoService => (404, Reason::NoService),
        Target::NoUpstream => (502, Reason::NoSuchUpstream),
        Target::NoPluginConfig => (503, Reason::NoPluginConfig),
        Target::Missing => (503, Reason::NoUpstream),
    };
    tracing::error!(route = %matched.value().id, %reason, "the route leads nowhere");
    reply::page(worker, client, exchange, status, reason, After::Keep).await
}
