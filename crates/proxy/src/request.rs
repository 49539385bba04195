//! The life of a request, from its head to the end of its response.

use std::sync::Arc;

use lockgate_http::head::Framing;
use lockgate_router::Match;
use lockgate_snapshot::{Route, Target};

use crate::{
    client::{After, Client},
    exchange::Exchange,
    finish, forward,
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
/// | route | `lockgate_router` |
/// | upstream, node, connection, response | `forward.rs`, `call.rs`, `respond.rs` |
/// | log | `finish.rs` |
pub(crate) async fn handle(worker: &Worker, client: &Client, exchange: &mut Exchange) -> After {
    exchange.began = worker.clock.tick();
    worker.stats.requested();
    // From the start: whoever answers must know where the request ends and the next begins.
    let begun = Upload::begin(exchange).map(|upload| exchange.upload = upload);
    let normalized = exchange.normalize(worker.options().delete_uri_tail_slash);
    if begun.is_err() || normalized.is_err() {
        let after = reply::page(worker, client, exchange, 400, After::Linger).await;
        finish::log(worker, client, exchange, None);
        return after;
    }
    #[cfg(test)]
    assert_ne!(exchange.uri(), b"/panic", "what the test asks for");
    crate::real_ip::find(worker.options(), client, exchange);
    let snapshot = worker.snapshot();
    let mut params = std::mem::take(&mut exchange.params);
    let found = snapshot
        .routes
        .find(&Facts::new(worker, client, exchange, None), &mut params);
    exchange.params = params;
    let Some(found) = found else {
        let after = reply::send(worker, client, exchange, &NOT_FOUND, After::Keep).await;
        finish::log(worker, client, exchange, None);
        return after;
    };
    let after = serve(worker, client, exchange, found).await;
    finish::log(worker, client, exchange, Some(found));
    after
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
        return reply::page(worker, client, exchange, 413, After::Linger).await;
    }
    match &matched.value().target {
        Target::Upstream(upstream) => {
            forward::forward(worker, client, exchange, matched, upstream).await
        }
        Target::NoService => reply::send(worker, client, exchange, &NOT_FOUND, After::Keep).await,
        Target::NoUpstream => reply::page(worker, client, exchange, 502, After::Keep).await,
        Target::NoPluginConfig | Target::Missing => {
            reply::page(worker, client, exchange, 503, After::Keep).await
        }
    }
}
