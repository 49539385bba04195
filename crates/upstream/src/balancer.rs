//! The ways to choose among nodes of equal priority.

use std::{sync::Arc, time::Duration};

use lockgate_keyring::Keyring;

use crate::{
    Node, Registry,
    chash::Ring,
    least_conn::{LeastConn, Load},
    round_robin::{Cycle, Positions},
};

/// `type` of an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Balancer {
    #[default]
    RoundRobin,
    Chash,
    Ewma,
    LeastConn,
}

impl Balancer {
    /// The balancer of this name; the default where none is named, `None` where none has it.
    pub(crate) fn of(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("roundrobin") => Some(Self::RoundRobin),
            Some("chash") => Some(Self::Chash),
            Some("ewma") => Some(Self::Ewma),
            Some("least_conn") => Some(Self::LeastConn),
            Some(_) => None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "roundrobin",
            Self::Chash => "chash",
            Self::Ewma => "ewma",
            Self::LeastConn => "least_conn",
        }
    }
}

/// Nodes of equal priority.
#[derive(Debug)]
pub(crate) struct Group {
    /// Place of the first in the set.
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) method: Method,
}

/// How one of a group is chosen, and what that needs.
#[derive(Debug)]
pub(crate) enum Method {
    RoundRobin(Cycle),
    Chash(Arc<Ring>),
    /// The numbers are each worker's source of chance.
    Ewma(Arc<Positions>),
    /// The numbers are where each worker goes on.
    LeastConn(LeastConn, Arc<Positions>),
}

impl Group {
    /// The group of these members, the first of which has place `start`. What `before`, a group of the same members, has
    /// goes on.
    pub(crate) fn new(
        balancer: Balancer,
        start: u32,
        members: &[Node],
        loads: &[Load],
        workers: usize,
        before: Option<&Self>,
    ) -> Self {
        let weights = || members.iter().map(|node| node.weight).collect::<Vec<_>>();
        let new_positions = || Arc::new(Positions::new(workers));
        let before = before.map(|group| &group.method);
        let method = match (balancer, before) {
            (Balancer::RoundRobin, before) => {
                let positions = match before {
                    Some(Method::RoundRobin(cycle)) => cycle.positions(),
                    _ => new_positions(),
                };
                Method::RoundRobin(Cycle::new(&weights(), positions))
            }
            (Balancer::Chash, Some(Method::Chash(ring))) => Method::Chash(ring.clone()),
            (Balancer::Chash, _) => {
                let members = members.iter().map(|node| (&*node.server, node.weight));
                Method::Chash(Arc::new(Ring::new(members)))
            }
            (Balancer::Ewma, Some(Method::Ewma(positions))) => Method::Ewma(positions.clone()),
            (Balancer::Ewma, _) => Method::Ewma(new_positions()),
            (Balancer::LeastConn, before) => {
                let positions = match before {
                    Some(Method::LeastConn(_, positions)) => positions.clone(),
                    _ => new_positions(),
                };
                Method::LeastConn(LeastConn::new(&weights(), loads), positions)
            }
        };
        Self {
            start,
            len: members.len() as u32,
            method,
        }
    }
}

/// What all sets of an upstream's nodes are built with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) balancer: Balancer,
    /// How many workers keep their own place.
    pub(crate) workers: usize,
    pub(crate) registry: Registry,
    /// Whose counts of requests in flight these are.
    pub(crate) key: Arc<str>,
    /// Whether requests in flight are counted though the balancer does not ask for it.
    pub(crate) counts_requests: bool,
    /// The key of the names that cookies have for nodes, where they have any.
    pub(crate) names_nodes: Option<Keyring>,
    /// How long the share of a new node grows.
    pub(crate) slow_start: Option<Duration>,
}
