//! After the last byte: the access log line.

use lockgate_snapshot::Route;

use crate::{client::Client, exchange::Exchange, vars::Facts, worker::Worker};

/// Ends an exchange: everything about it is known.
#[inline]
pub(crate) fn log(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    route: Option<&Route>,
) {
    exchange.ended = worker.clock.tick();
    if let Some(log) = &worker.access_log {
        log.write(&Facts::new(worker, client, exchange, route));
    }
}
