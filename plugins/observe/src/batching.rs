//! The batch processors of all loggers of this process.

use std::sync::Arc;

use lockgate_batch::{Bounds, Place, Processor, Processors};
use lockgate_expr::{Lookup as _, Variable};
use lockgate_plugin::{Exchange, Node};
use tokio::time::Instant;

use crate::{entry::Entries, limits};

/// The processors. What waits in them is sent before the process ends.
pub fn processors(node: &Node) -> Arc<Processors> {
    node.shared(|node| {
        let processors = Processors::new(node.runtime().clone());
        let flushed = processors.clone();
        node.at_shutdown(move |within| async move {
            let within = within.saturating_sub(limits::FLUSH_RESERVE);
            flushed.flush(Instant::now() + within).await;
        });
        processors
    })
}

/// Queues the entry of an exchange, within the bounds that metadata have.
pub(crate) fn push(
    processor: &Processor<Vec<u8>>,
    entries: &Entries,
    workers: usize,
    entry: Vec<u8>,
    ex: &Exchange<'_>,
) {
    let max = entries.metadata(|metadata| metadata.and_then(|it| it.max_pending_entries));
    let max = max.unwrap_or_else(|| Bounds::default().entries);
    processor.bound(Bounds::by_worker(max, workers));
    // Entries that no route was taken for say nothing about where those of the processor come from.
    if let Some(route) = ex.route() {
        processor.place(|| place(route.id, ex));
    }
    let bytes = entry.len();
    // What does not fit is counted and logged there.
    let _is_queued = processor.push(entry, bytes);
}

fn place(route_id: &str, ex: &Exchange<'_>) -> Place {
    let mut address = Vec::new();
    if !ex.append(&Variable::ServerAddr, &mut address)
        && let Some(value) = ex.lookup(&Variable::ServerAddr)
    {
        address.extend_from_slice(&value);
    }
    Place {
        route_id: route_id.into(),
        server_addr: String::from_utf8_lossy(&address).into(),
    }
}
