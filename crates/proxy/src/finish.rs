//! After the last byte: the access log line.

use crate::{client::Client, exchange::Exchange, request::Matched, vars::Facts, worker::Worker};

/// Ends an exchange: everything about it is known.
#[inline]
pub(crate) fn log(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    matched: Option<Matched<'_>>,
) {
    if let Some(log) = &worker.access_log {
        exchange.ended = worker.clock.tick();
        log.write(&Facts::logging(worker, client, exchange, matched));
    }
}
