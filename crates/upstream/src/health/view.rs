//! The part of a node set that is healthy.

use crate::{
    NodeSet,
    balancer::{Group, Method, Plan},
    round_robin::{Cycle, Positions},
};

/// What a set looks like while some of its nodes are unhealthy. Built anew when a verdict changes.
#[derive(Debug)]
pub(crate) struct View {
    /// What the checker said when this was built.
    pub(crate) summary: u64,
    pub(crate) choice: Choice,
}

/// Among which nodes a request has the choice.
#[derive(Debug)]
pub(crate) enum Choice {
    /// None is healthy: all are used.
    All,
    /// Some are.
    Healthy {
        /// By place in the set.
        is_good: Box<[bool]>,
        /// By group.
        parts: Box<[Part]>,
    },
    /// Of those with a weight none is, but of those with weight 0 some are: they go round.
    Weightless(Part),
}

/// Members of a group.
#[derive(Debug)]
pub(crate) struct Part {
    /// Their places in the set.
    pub(crate) places: Box<[u32]>,
    /// Their round, for a balancer that goes round.
    pub(crate) cycle: Option<Cycle>,
}

impl View {
    /// The view of a set in which `is_good` are healthy, by place.
    pub(crate) fn new(set: &NodeSet, plan: &Plan, summary: u64, is_good: Box<[bool]>) -> Self {
        let good = |place: &u32| is_good.get(*place as usize).copied().unwrap_or(true);
        let weighted = set.len() as u32;
        let all = is_good.len() as u32;
        let choice = if (0..weighted).any(|place| good(&place)) {
            let parts = set
                .groups()
                .iter()
                .map(|group| part(set, plan, group, good));
            Choice::Healthy {
                parts: parts.collect(),
                is_good,
            }
        } else {
            let places: Box<[u32]> = (weighted..all).filter(good).collect();
            if places.is_empty() {
                Choice::All
            } else {
                let cycle = Some(cycle(&vec![1; places.len()], plan));
                Choice::Weightless(Part { places, cycle })
            }
        };
        Self { summary, choice }
    }
}

fn part(set: &NodeSet, plan: &Plan, group: &Group, good: impl Fn(&u32) -> bool) -> Part {
    let places: Box<[u32]> = (group.start..group.start + group.len)
        .filter(good)
        .collect();
    let cycle = match &group.method {
        Method::RoundRobin(_) if !places.is_empty() => {
            let weights = places.iter().filter_map(|place| set.get(*place));
            Some(cycle(
                &weights.map(|node| node.weight).collect::<Vec<_>>(),
                plan,
            ))
        }
        _ => None,
    };
    Part { places, cycle }
}

fn cycle(weights: &[u32], plan: &Plan) -> Cycle {
    Cycle::new(weights, Positions::new(plan.workers).into())
}
