//! Which node is next.

use smallvec::SmallVec;

use crate::{Node, NodeSet};

/// The nodes that a request has tried.
#[derive(Debug, Default)]
pub struct Tried {
    places: SmallVec<[u32; 8]>,
}

impl NodeSet {
    /// The node to try next, or `None` when all have been tried.
    ///
    /// Groups of lower priority have their turn when every node of the higher ones was tried. A lone node is tried again, as
    /// in the reference.
    #[inline]
    pub fn pick(&self, worker: usize, tried: &mut Tried) -> Option<&Node> {
        if self.len() <= 1 {
            return self.get(0);
        }
        for group in self.groups() {
            let count = group.cycle.len();
            let is_tried = |place: u32| tried.places.contains(&place);
            let places = group.start..group.start + count as u32;
            if tried.places.len() >= count && places.clone().all(is_tried) {
                continue;
            }
            // The round goes on past nodes that were tried; somewhere in a whole one is a node that was not.
            for _ in 0..count.saturating_mul(64) {
                let place = group.start + group.cycle.next(worker)?;
                if tried.places.is_empty() || !is_tried(place) {
                    tried.places.push(place);
                    return self.get(place);
                }
            }
            // Very uneven weights: the heavy nodes were tried and the light ones are far off in the round.
            if let Some(place) = places.clone().find(|place| !is_tried(*place)) {
                tried.places.push(place);
                return self.get(place);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use lockgate_model::resource::{self, Scheme};

    use super::*;
    use crate::node::Common;

    fn set(nodes: &[(u8, i64, i64)]) -> NodeSet {
        let common = Common {
            scheme: Scheme::Http,
            certificate: 0,
        };
        let nodes = nodes.iter().map(|(last, weight, priority)| {
            let address = IpAddr::from([127, 0, 0, *last]);
            let (host, weight, priority) = (address.to_string(), *weight, *priority);
            common.node(
                &resource::Node {
                    host,
                    port: Some(80),
                    weight,
                    priority,
                    metadata: None,
                },
                address,
            )
        });
        NodeSet::new(nodes.collect(), 1, None)
    }

    /// Last octets of the nodes that one request tries until there is none left.
    fn attempts(set: &NodeSet) -> Vec<u8> {
        let mut tried = Tried::default();
        let mut order = Vec::new();
        while let Some(node) = set.pick(0, &mut tried) {
            let IpAddr::V4(address) = node.address.ip() else {
                panic!("v4")
            };
            order.push(address.octets()[3]);
            if order.len() > 9 {
                break;
            }
        }
        order
    }

    #[test]
    fn tries_every_node_once_and_lower_priorities_last() {
        let set = set(&[(1, 1, 0), (2, 100_000, 1), (3, 1, 1), (4, 0, 5), (5, 1, -1)]);
        for _ in 0..20 {
            let order = attempts(&set);
            assert_eq!(order.len(), 4, "weight 0 gets nothing: {order:?}");
            let mut first: Vec<u8> = order[..2].to_vec();
            first.sort_unstable();
            assert_eq!((first, &order[2..]), (vec![2, 3], &[1, 5][..]));
        }
    }

    #[test]
    fn a_lone_node_is_tried_again() {
        assert_eq!(attempts(&set(&[(1, 1, 0), (2, 0, 0)])), vec![1; 10]);
        assert!(attempts(&set(&[(1, 0, 0)])).is_empty());
    }
}
