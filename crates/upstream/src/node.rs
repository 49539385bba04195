//! Nodes, and sets of them.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, SocketAddr},
    ops::Deref,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lockgate_model::{
    health::CheckedNode,
    resource::{self, Scheme},
};
use lockgate_net::dns::Resolver;

use crate::{
    Registry,
    balancer::{Balancer, Group, Plan},
    ewma::Latency,
    health::{Checking, SetHealth},
    least_conn::Load,
    slow_start::Start,
    sticky::Names,
};

/// A node that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is.
    pub address: SocketAddr,
    /// The Host header for [`PassHost::Node`](crate::PassHost::Node): its name, with the port where that is not the scheme's.
    pub host_header: Box<str>,
    /// Key of kept connections: the same for the same address, scheme and client certificate, else different.
    pub pool_key: u64,
    /// `host:port` as the reference names a node: the host as configured, or the address of a name; IPv6 in brackets.
    pub(crate) server: Box<str>,
    /// The name that was looked up; `None` where the upstream has the address itself.
    pub(crate) name: Option<Box<str>>,
    /// Share of the traffic.
    pub(crate) weight: u32,
    pub(crate) priority: i64,
}

impl Node {
    /// Share of the traffic, among nodes of the same priority.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Nodes of a higher priority are used first.
    pub fn priority(&self) -> i64 {
        self.priority
    }

    /// Its host as the upstream has it: the name before it was looked up, or the address.
    pub fn host(&self) -> &str {
        let address = || {
            let host = self.server.rsplit_once(':').map_or("", |(host, _)| host);
            host.trim_matches(['[', ']'])
        };
        self.name.as_deref().unwrap_or_else(address)
    }
}

/// The nodes of an upstream at one moment.
#[derive(Debug, Default)]
pub struct NodeSet {
    /// By priority, higher first; behind them those that get no traffic.
    nodes: Box<[Node]>,
    /// How many get traffic.
    weighted: usize,
    groups: Box<[Group]>,
    /// Requests in flight at each node, where the balancer asks for them.
    pub(crate) loads: Box<[Load]>,
    /// How long each node takes to answer, where the balancer asks for it.
    pub(crate) latencies: Box<[Arc<Latency>]>,
    pub(crate) registry: Registry,
    /// Set when the nodes begin to be checked.
    pub(crate) health: OnceLock<SetHealth>,
    /// Whether a lone node is balanced, too: `least_conn` only.
    pub(crate) balances_lone: bool,
    /// What goes beyond the reference; `None` for nearly every set.
    pub(crate) beyond: Option<Box<SetBeyond>>,
}

/// What a set needs for what goes beyond the reference.
#[derive(Debug)]
pub(crate) struct SetBeyond {
    /// When each node began to be used.
    pub(crate) starts: Box<[Arc<Start>]>,
    /// How long its share grows from then on.
    pub(crate) window: Duration,
    /// Which nodes cookies mean.
    pub(crate) names: Names,
}

impl SetBeyond {
    fn new(nodes: &[Node], plan: &Plan) -> Option<Box<Self>> {
        // A ring has no shares that could grow.
        let window = plan.slow_start.filter(|_| plan.balancer != Balancer::Chash);
        if window.is_none() && plan.names_nodes.is_none() {
            return None;
        }
        let addresses = nodes.iter().map(|node| node.address);
        let names = plan
            .names_nodes
            .as_ref()
            .map(|keyring| Names::of(nodes, keyring))
            .unwrap_or_default();
        Some(Box::new(Self {
            starts: window
                .map(|_| plan.registry.starts().of(&plan.key, addresses))
                .unwrap_or_default(),
            window: window.unwrap_or_default(),
            names,
        }))
    }
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
    /// A set of these nodes. Where each group's round stands, and its ring, is taken over from `previous` for groups that are
    /// the same.
    pub(crate) fn new(mut nodes: Vec<Node>, plan: &Plan, previous: Option<&NodeSet>) -> Self {
        let Plan {
            balancer, registry, ..
        } = plan;
        // As in the reference: `ewma` ignores weights, and where all are 0, each is as good as the other but on a ring.
        let is_weightless = nodes.iter().all(|node| node.weight == 0);
        if is_weightless && *balancer != Balancer::Chash {
            for node in &mut nodes {
                node.weight = 1;
            }
        }
        let is_idle =
            |node: &Node| node.weight == 0 && !is_weightless && *balancer != Balancer::Ewma;
        nodes.sort_by_key(|node| (is_idle(node), std::cmp::Reverse(node.priority)));
        let weighted = nodes.partition_point(|node| !is_idle(node));
        let addresses = || nodes.iter().map(|node| node.address);
        let counts = match balancer {
            Balancer::LeastConn => true,
            _ => plan.counts_requests,
        };
        let loads = if counts {
            registry
                .loads()
                .of(&plan.key, &addresses().collect::<Vec<_>>())
        } else {
            Box::default()
        };
        let beyond = SetBeyond::new(&nodes, plan);
        let latencies = match balancer {
            Balancer::Ewma => addresses()
                .map(|address| registry.latencies().of(address))
                .collect(),
            _ => Box::default(),
        };
        let mut groups = Vec::new();
        let mut start = 0;
        if let Some(weighted) = nodes.get(..weighted).filter(|_| nodes.len() > 1) {
            for members in weighted.chunk_by(|a, b| a.priority == b.priority) {
                let end = start + members.len();
                groups.push(Group::new(
                    *balancer,
                    start as u32,
                    members,
                    loads.get(start..end).unwrap_or_default(),
                    plan.workers,
                    previous.and_then(|previous| previous.group_of(members, *balancer)),
                ));
                start = end;
            }
        }
        Self {
            nodes: nodes.into(),
            weighted,
            groups: groups.into(),
            loads,
            latencies,
            registry: registry.clone(),
            health: OnceLock::new(),
            balances_lone: *balancer == Balancer::LeastConn,
            beyond,
        }
    }

    /// Has the nodes checked from now on.
    fn check(&self, checking: &Checking, plan: &Plan) {
        let starts = self.beyond.as_ref().map(|beyond| &*beyond.starts);
        self.health
            .get_or_init(|| SetHealth::new(checking, self, plan, starts));
    }

    /// The group that has the same members, by name, port and weight; a ring stands for addresses as well.
    fn group_of(&self, members: &[Node], balancer: Balancer) -> Option<&Group> {
        self.groups.iter().find(|group| {
            let start = group.start as usize;
            self.nodes
                .get(start..start + members.len())
                .is_some_and(|own| {
                    group.len as usize == members.len()
                        && own.iter().zip(members).all(|(a, b)| {
                            (a.weight, a.priority, a.address.port(), &a.host_header)
                                == (b.weight, b.priority, b.address.port(), &b.host_header)
                                && (balancer != Balancer::Chash || a.server == b.server)
                        })
                })
        })
    }

    /// How many nodes get traffic.
    #[inline]
    pub fn len(&self) -> usize {
        self.weighted
    }

    /// Whether no node gets traffic.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.weighted == 0
    }

    /// What health checks have found out about the node at a place of [`Self::iter`]; `None` where there are no checks.
    pub fn checked(&self, place: usize) -> Option<CheckedNode> {
        self.health.get()?.checked(place)
    }

    /// The nodes, higher priorities first; those that get no traffic last.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<&Node> {
        self.nodes.get(place as usize)
    }

    /// Whether there is but one node, with traffic or without.
    #[inline]
    pub(crate) fn is_lone(&self) -> bool {
        self.nodes.len() == 1
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
    pub(crate) plan: Plan,
    /// The health checks of the upstream, once it is in force.
    pub(crate) checking: Option<Checking>,
}

impl Common {
    /// A set of these nodes that is put in force: from now on they are what is checked.
    pub(crate) fn set(&self, nodes: Vec<Node>, previous: Option<&NodeSet>) -> NodeSet {
        let set = NodeSet::new(nodes, &self.plan, previous);
        self.check(&set);
        set
    }

    /// Has the nodes of a set checked from now on, where the upstream has checks.
    pub(crate) fn check(&self, set: &NodeSet) {
        let checks_health = self.plan.registry.checks_health();
        if let Some(checking) = self.checking.as_ref().filter(|_| checks_health) {
            set.check(checking, &self.plan);
        }
    }

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
        let server = if is_literal(&stored.host) {
            bracketed(format!("{}:{port}", stored.host), &stored.host)
        } else {
            address.to_string()
        };
        Node {
            address,
            server: server.into(),
            name: (!is_literal(&stored.host)).then(|| stored.host.as_str().into()),
            host_header: bracketed(host_header, &stored.host).into(),
            pool_key: hash_of(&(address, self.scheme, self.certificate)),
            weight: u32::try_from(stored.weight.max(0)).unwrap_or(u32::MAX),
            priority: stored.priority,
        }
    }

    /// The nodes of a stored one where its addresses are known without asking: all, or one as the reference takes one.
    pub(crate) fn local_nodes(
        &self,
        stored: &resource::Node,
        resolver: &Resolver,
        takes_all: bool,
    ) -> Vec<Node> {
        let addresses = resolver
            .local(&stored.host)
            .map_or_else(Vec::new, |answer| answer.addresses);
        let one = one_of(&addresses);
        addresses
            .into_iter()
            .filter(|address| takes_all || Some(*address) == one)
            .map(|address| self.node(stored, address))
            .collect()
    }
}

/// Whether a host is an address and not a name.
pub(crate) fn is_literal(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
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
                plan: Plan::default(),
                checking: None,
            };
            let node = common.node(&stored(host, port), [127, 0, 0, 1].into());
            assert_eq!(&*node.host_header, header);
            assert_eq!(node.host(), host.trim_matches(['[', ']']));
        }
    }

    #[test]
    fn names_nodes_by_their_addresses() {
        let common = Common {
            scheme: Scheme::Http,
            certificate: 0,
            plan: Plan::default(),
            checking: None,
        };
        for (host, address, server) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.1:80"),
            ("::1", "::1", "[::1]:80"),
            ("[0:0::1]", "::1", "[0:0::1]:80"),
            ("a.com", "10.0.0.2", "10.0.0.2:80"),
            ("a.com", "::2", "[::2]:80"),
        ] {
            let stored = serde_json::json!({"host": host, "weight": 1});
            let stored = serde_json::from_value(stored).expect("a node");
            let node = common.node(&stored, address.parse().expect("an address"));
            assert_eq!(&*node.server, server);
        }
    }
}
