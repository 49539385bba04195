//! The node set that a request would go to.

use std::time::Duration;

use lockgate_model::{health::Health, resource::PassHost};
use lockgate_snapshot::Route;
use lockgate_upstream::{Node, NodeSet, Timeouts, Upstream};
use serde_json::{Map, Value, json};

/// An upstream, and whether any of its nodes can be asked.
pub(crate) fn upstream(upstream: &Upstream) -> (Value, bool) {
    let about = upstream.about();
    let set = upstream.nodes();
    let mut shown = Map::new();
    shown.insert("from".into(), json!(&*about.key));
    shown.insert("scheme".into(), json!(about.scheme.name()));
    shown.insert("type".into(), json!(about.kind));
    if let Some((kind, service)) = &about.service {
        shown.insert("discovery_type".into(), json!(kind));
        shown.insert("service_name".into(), json!(service));
    }
    let pass_host = match upstream.pass_host() {
        PassHost::Pass => "pass",
        PassHost::Node => "node",
        PassHost::Rewrite => "rewrite",
    };
    shown.insert("pass_host".into(), json!(pass_host));
    if upstream.pass_host() == PassHost::Rewrite {
        shown.insert("upstream_host".into(), json!(upstream.upstream_host()));
    }
    shown.insert("retries".into(), json!(upstream.retries(&set)));
    shown.insert("nodes".into(), nodes(&set));
    (Value::Object(shown), !set.is_empty())
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is asked.
    Used,
    /// It is asked when those of a higher priority are not, or have been tried.
    Spare,
    /// Its weight is 0.
    Weightless,
    /// It is left out.
    Unhealthy,
}

impl Use {
    fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Spare => "spare: those of a higher priority come first",
            Self::Weightless => "not used: its weight is 0",
            Self::Unhealthy => "not used: it is unhealthy",
        }
    }
}

fn nodes(set: &NodeSet) -> Value {
    let all: Vec<(&Node, Option<bool>, Option<&'static str>)> = set
        .iter()
        .enumerate()
        .map(|(place, node)| {
            let checked = set.checked(place).map(|checked| checked.status);
            let is_good = checked.map(Health::is_good);
            (node, is_good, checked.map(Health::name))
        })
        .collect();
    let facts: Vec<(i64, bool)> = all
        .iter()
        .map(|(node, is_good, _)| (node.priority(), is_good.unwrap_or(true)))
        .collect();
    let uses = uses(&facts, set.len());
    all.into_iter()
        .zip(uses)
        .map(|((node, _, health), of_node)| {
            let mut shown = Map::new();
            let address = node.address;
            shown.insert("address".into(), json!(address.to_string()));
            if node.host() != address.ip().to_string() {
                shown.insert("host".into(), json!(node.host()));
            }
            shown.insert("weight".into(), json!(node.weight()));
            shown.insert("priority".into(), json!(node.priority()));
            // Null where nobody checks.
            shown.insert("health".into(), json!(health));
            shown.insert("use".into(), json!(of_node.name()));
            Value::Object(shown)
        })
        .collect()
}

/// What becomes of nodes, of which priority and health are known; the first so many have a weight. The rules are those of `Choice` in
/// `lockgate_upstream`: where none that has a weight is healthy, healthy ones of weight 0 are asked, and where none is, all that have one.
fn uses(nodes: &[(i64, bool)], weighted: usize) -> Vec<Use> {
    let is_lone = nodes.len() == 1;
    let has_weight = |place: usize| place < weighted;
    let any_good = |with_weight: bool| {
        let mut nodes = nodes.iter().enumerate();
        nodes.any(|(place, (_, is_good))| *is_good && has_weight(place) == with_weight)
    };
    let (good, good_weightless) = (any_good(true), any_good(false));
    let is_in_use = |place: usize, is_good: bool| {
        if is_lone {
            has_weight(place)
        } else if good {
            has_weight(place) && is_good
        } else if good_weightless {
            !has_weight(place) && is_good
        } else {
            has_weight(place)
        }
    };
    let in_use = nodes
        .iter()
        .enumerate()
        .filter(|(place, (_, is_good))| is_in_use(*place, *is_good));
    let first = in_use.map(|(_, (priority, _))| *priority).max();
    let has_groups = good || !good_weightless;
    nodes
        .iter()
        .enumerate()
        .map(|(place, (priority, is_good))| {
            if !is_in_use(place, *is_good) {
                if has_weight(place) {
                    Use::Unhealthy
                } else {
                    Use::Weightless
                }
            } else if has_groups && Some(*priority) < first {
                Use::Spare
            } else {
                Use::Used
            }
        })
        .collect()
}

/// The times of an attempt in seconds, and which object says so.
pub(crate) fn timeouts(route: &Route, upstream: &Upstream) -> Value {
    let (timeouts, from) = match &route.timeouts {
        Some(timeouts) => (timeouts, format!("routes/{}", route.id)),
        None => (upstream.timeouts(), upstream.about().key.to_string()),
    };
    let Timeouts {
        connect,
        send,
        read,
    } = timeouts;
    json!({"connect": seconds(*connect), "send": seconds(*send), "read": seconds(*read), "from": from})
}

fn seconds(time: Duration) -> Value {
    if time.subsec_nanos() == 0 {
        json!(time.as_secs())
    } else {
        json!(time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_of_every_node_whether_it_is_asked() {
        use Use::{Spare, Unhealthy, Used, Weightless};
        let (good, bad) = ((0, true), (0, false));
        for (nodes, weighted, expected) in [
            (vec![good, good], 2, vec![Used, Used]),
            (vec![good, bad], 2, vec![Used, Unhealthy]),
            (vec![bad, bad], 2, vec![Used, Used]),
            (vec![bad], 1, vec![Used]),
            (vec![good, good], 1, vec![Used, Weightless]),
            (vec![bad, good], 1, vec![Unhealthy, Used]),
            (vec![(1, true), (0, true)], 2, vec![Used, Spare]),
            (vec![(1, false), (0, true)], 2, vec![Unhealthy, Used]),
            (vec![(1, false), (0, false)], 2, vec![Used, Spare]),
            (vec![], 0, vec![]),
        ] {
            assert_eq!(uses(&nodes, weighted), expected, "{nodes:?}");
        }
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds(Duration::from_mins(1)), json!(60));
        assert_eq!(seconds(Duration::from_millis(500)), json!(0.5));
    }
}
