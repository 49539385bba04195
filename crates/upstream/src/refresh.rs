//! Keeps nodes current that change without an edit: addresses of names, and what registries say.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use lockgate_discovery::Subscription;
use lockgate_model::resource::Node;
use lockgate_net::dns::Resolver;
use tokio::sync::watch;

use crate::{
    NodeSet, Origin, Source, Upstream,
    node::{Common, one_of},
};

/// Pause before a name that has no address is asked for again, and the longest pause for names that need no server.
const RETRY: Duration = Duration::from_secs(5);

/// How names are looked up.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) resolver: Resolver,
    /// Whether each address of a name is a node.
    pub(crate) all_addresses: bool,
}

/// Asks for the names of an upstream, again and again as answers grow old, and takes in what its registry says, until the
/// upstream is dropped.
pub(crate) fn start(
    upstream: &Arc<Upstream>,
    common: Common,
    lookup: Lookup,
    mut subscription: Option<Subscription>,
    done: watch::Sender<bool>,
) {
    let upstream = Arc::downgrade(upstream);
    tokio::spawn(async move {
        loop {
            let (nodes, is_settled) = match &mut subscription {
                Some(subscription) => (Some(subscription.nodes()), subscription.is_settled()),
                None => (None, true),
            };
            let Some(pause) = resolve(&upstream, nodes, &common, &lookup).await else {
                return;
            };
            if is_settled {
                done.send_replace(true);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = changed(&mut subscription) => {}
                // The upstream has the other end.
                () = done.closed() => return,
            }
        }
    });
}

/// Waits until the registry says something else; for ever where there is none, or none that is followed.
async fn changed(subscription: &mut Option<Subscription>) {
    if let Some(subscription) = subscription
        && subscription.changed().await
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Asks for every name once and puts the nodes in force; the pause until the first answer is too old, or `None` when the
/// upstream is gone.
async fn resolve(
    upstream: &Weak<Upstream>,
    named: Option<Arc<[Node]>>,
    common: &Common,
    lookup: &Lookup,
) -> Option<Duration> {
    let nodes = match named {
        Some(nodes) => nodes,
        None => match &upstream.upgrade()?.source {
            Source::Named(named) => match &named.origin {
                Origin::Written(nodes) => nodes.as_slice().into(),
                Origin::Registry(..) => return None,
            },
            Source::Fixed(_) => return None,
        },
    };
    let mut pause = Duration::MAX;
    let mut found = Vec::with_capacity(nodes.len());
    for node in nodes.iter() {
        match lookup.resolver.resolve(&node.host).await {
            Ok(answer) => {
                pause = pause.min(answer.ttl);
                match answer.addresses.as_slice() {
                    several if lookup.all_addresses || several.len() == 1 => {
                        found.extend(several.iter().map(|address| common.node(node, *address)));
                    }
                    several => {
                        // The address in use stays while the answer has it: connections are kept by address.
                        let current = upstream.upgrade()?.address_of(common, node);
                        let current = current.filter(|address| several.contains(address));
                        let address = current.or(one_of(several));
                        found.extend(address.map(|address| common.node(node, address)));
                    }
                }
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
        if !NodeSet::new(found.clone(), &common.plan, Some(&current)).is_same(&current) {
            let fresh = common.set(found, Some(&current));
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
