//! After the last byte: plugins that take note, then the access log line.

use crate::{exchange::Exchange, phases, scene::Scene, vars::Facts};

/// Ends an exchange: everything about it is known.
#[inline]
pub(crate) fn log(scene: &Scene<'_>, exchange: &mut Exchange) {
    let worker = scene.worker;
    if scene.logs() {
        exchange.ended = worker.clock.tick();
        phases::log(scene, exchange);
    }
    if let Some(log) = &worker.access_log {
        if exchange.ended == 0 {
            exchange.ended = worker.clock.tick();
        }
        log.write(&Facts::logging(scene, exchange));
    }
}
