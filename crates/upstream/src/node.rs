//! Nodes, and sets of them.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, SocketAddr},
    ops::Deref,
    sync::{Arc, OnceLock},
};

use lockgate_model::resource::{self, Scheme};
use lockgate_net::dns::Resolver;

use crate::round_robin::{Cycle, Positions};

/// A node that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is.
    pub address: SocketAddr,
    /// The Host header for [`PassHost::Node`](crate::PassHost::Node): its name, with the port where that is not the scheme's.
    pub host_header: Box<str>,
    /// Key of kept connections: the same for the same address, scheme and client certificate, else different.
    pub pool_key: u64,
    /// Share of the traffic, above 0.
    pub(crate) weight: u32,
    pub(crate) priority: i64,
}

/// The nodes of an upstream at one moment.
#[derive(Debug, Default)]
pub struct NodeSet {
    /// By priority, higher first; those that get no traffic are left out.
    nodes: Box<[Node]>,
    groups: Box<[Group]>,
}

/// Nodes of equal priority.
#[derive(Debug)]
pub(crate) struct Group {
    /// Place of the first in the set.
    pub(crate) start: u32,
    pub(crate) cycle: Cycle,
}

/// Nodes to hold for a request.
#[derive(Debug)]
pub enum Nodes<'a> {
    /// A set that lives as long as its upstream.
    Fixed(&'a NodeSet),
    /// A set that may have been replaced meanwhile.
    Swapped(Arc<NodeSet>),
}

impl Deref for Nodes<'_> {
    type Target = NodeSet;

    #[inline]
    fn deref(&self) -> &NodeSet {
        match self {
            Self::Fixed(nodes) => nodes,
            Self::Swapped(nodes) => nodes,
        }
    }
}

impl NodeSet {
    /// A set of these nodes. Where each group's round stands is taken over from `previous` for groups that are the same.
    pub(crate) fn new(mut nodes: Vec<Node>, workers: usize, previous: Option<&NodeSet>) -> Self {
        nodes.retain(|node| node.weight > 0);
        nodes.sort_by_key(|node| std::cmp::Reverse(node.priority));
        let mut groups: Vec<Group> = Vec::new();
        if nodes.len() > 1 {
            let mut start = 0;
            for members in nodes.chunk_by(|a, b| a.priority == b.priority) {
                let weights: Vec<u32> = members.iter().map(|node| node.weight).collect();
                let positions = previous.and_then(|previous| previous.positions_of(members));
                let positions = positions.unwrap_or_else(|| Arc::new(Positions::new(workers)));
                groups.push(Group {
                    start,
                    cycle: Cycle::new(&weights, positions),
                });
                start += members.len() as u32;
            }
        }
        Self {
            nodes: nodes.into(),
            groups: groups.into(),
        }
    }

    /// Where the round of a group stands that had the same members, by name, port and weight.
    fn positions_of(&self, members: &[Node]) -> Option<Arc<Positions>> {
        self.groups.iter().find_map(|group| {
            let start = group.start as usize;
            let own = self.nodes.get(start..start + members.len())?;
            let is_same = group.cycle.len() == members.len()
                && own.iter().zip(members).all(|(a, b)| {
                    (a.weight, a.priority, a.address.port(), &a.host_header)
                        == (b.weight, b.priority, b.address.port(), &b.host_header)
                });
            is_same.then(|| group.cycle.positions())
        })
    }

    /// How many nodes get traffic.
    #[inline]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node gets traffic.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes, higher priorities first.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<&Node> {
        self.nodes.get(place as usize)
    }

    #[inline]
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether both have the same nodes at the same addresses.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.nodes == other.nodes
    }
}

/// What all nodes of an upstream share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) scheme: Scheme,
    /// Distinguishes client certificates in pool keys; 0 for none.
    pub(crate) certificate: u64,
}

impl Common {
    /// The node at `address` that is written as `stored`.
    pub(crate) fn node(&self, stored: &resource::Node, address: IpAddr) -> Node {
        let default_port = self.scheme.default_port();
        let port = stored.port.unwrap_or(default_port);
        let address = SocketAddr::new(address, port);
        let host_header =
            if port == default_port && stored.port.is_none_or(|port| port == default_port) {
                stored.host.clone()
            } else {
                format!("{}:{port}", stored.host)
            };
        Node {
            address,
            host_header: bracketed(host_header, &stored.host).into(),
            pool_key: hash_of(&(address, self.scheme, self.certificate)),
            weight: u32::try_from(stored.weight.max(0)).unwrap_or(u32::MAX),
            priority: stored.priority,
        }
    }

    /// The node where its address is known without asking.
    pub(crate) fn local_node(&self, stored: &resource::Node, resolver: &Resolver) -> Option<Node> {
        // One of several addresses, as the reference takes one.
        let answer = resolver.local(&stored.host)?;
        Some(self.node(stored, one_of(&answer.addresses)?))
    }
}

/// An IPv6 literal stands in brackets in a Host header.
fn bracketed(header: String, host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        header.replacen(host, &format!("[{host}]"), 1)
    } else {
        header
    }
}

/// One of the addresses, by chance.
pub(crate) fn one_of(addresses: &[IpAddr]) -> Option<IpAddr> {
    let chance = RandomState::new().hash_one(0) as usize;
    addresses.get(chance % addresses.len().max(1)).copied()
}

/// A hash that cannot be aimed at: its seed is the process's own.
pub fn hash_of<T: std::hash::Hash + ?Sized>(value: &T) -> u64 {
    static SEED: OnceLock<RandomState> = OnceLock::new();
    SEED.get_or_init(RandomState::new).hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_host_header() {
        let stored = |host: &str, port| resource::Node {
            host: host.into(),
            port,
            weight: 1,
            priority: 0,
            metadata: None,
        };
        for (scheme, host, port, header) in [
            (Scheme::Http, "a.com", None, "a.com"),
            (Scheme::Http, "a.com", Some(80), "a.com"),
            (Scheme::Http, "a.com", Some(443), "a.com:443"),
            (Scheme::Https, "a.com", Some(443), "a.com"),
            (Scheme::Https, "a.com", Some(80), "a.com:80"),
            (Scheme::Http, "::1", Some(81), "[::1]:81"),
            (Scheme::Http, "[::1]", Some(81), "[::1]:81"),
        ] {
            let common = Common {
                scheme,
                certificate: 0,
            };
            let node = common.node(&stored(host, port), [127, 0, 0, 1].into());
            assert_eq!(&*node.host_header, header);
        }
    }
}
