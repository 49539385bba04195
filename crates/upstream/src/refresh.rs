//! Keeps the addresses of named nodes current.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    Compile, NodeSet, Source, Upstream,
    node::{Common, one_of},
};

/// Pause before a name that has no address is asked for again, and the longest pause for names that need no server.
const RETRY: Duration = Duration::from_secs(5);

/// Asks for the names of an upstream, again and again as answers grow old, until the upstream is dropped.
pub(crate) fn start(
    upstream: &Arc<Upstream>,
    common: Common,
    with: Compile,
    done: watch::Sender<bool>,
) {
    let upstream = Arc::downgrade(upstream);
    tokio::spawn(async move {
        while let Some(pause) = resolve(&upstream, &common, &with).await {
            done.send_replace(true);
            tokio::time::sleep(pause).await;
        }
    });
}

/// Asks for every name once; the pause until the first answer is too old, or `None` when the upstream is gone.
async fn resolve(upstream: &Weak<Upstream>, common: &Common, with: &Compile) -> Option<Duration> {
    let stored = match &upstream.upgrade()?.source {
        Source::Named(named) => named.stored.clone(),
        Source::Fixed(_) => return None,
    };
    let mut pause = Duration::MAX;
    let mut nodes = Vec::with_capacity(stored.len());
    for node in &stored {
        match with.resolver.resolve(&node.host).await {
            Ok(answer) => {
                pause = pause.min(answer.ttl);
                // The address in use stays while the answer has it: connections are kept by address.
                let current = upstream.upgrade()?.address_of(common, node);
                let address = current
                    .filter(|address| answer.addresses.contains(address))
                    .or(one_of(&answer.addresses));
                nodes.extend(address.map(|address| common.node(node, address)));
            }
            Err(error) => {
                pause = pause.min(RETRY);
                tracing::error!(%error, "a node has no address");
            }
        }
    }
    let upstream = upstream.upgrade()?;
    if let Source::Named(named) = &upstream.source {
        let current = named.current.load_full();
        // What is put in force is what is checked: the same nodes need not be.
        if !NodeSet::new(nodes.clone(), &common.plan, Some(&current)).is_same(&current) {
            let fresh = common.set(nodes, Some(&current));
            named.current.store(Arc::new(fresh));
        }
    }
    Some(pause.min(Duration::from_hours(1)))
}

impl Upstream {
    /// The address that a stored node has at present.
    fn address_of(
        &self,
        common: &Common,
        stored: &lockgate_model::resource::Node,
    ) -> Option<std::net::IpAddr> {
        let header = common.node(stored, [0, 0, 0, 0].into()).host_header;
        self.nodes()
            .iter()
            .find(|node| node.host_header == header)
            .map(|node| node.address.ip())
    }
}
