use std::{net::IpAddr, time::Duration};

use lockgate_model::resource::{self, Scheme};

use super::*;
use crate::{
    balancer::{Balancer, Plan},
    node::Common,
};

fn plan(balancer: Balancer) -> Plan {
    Plan {
        balancer,
        workers: 1,
        key: "upstreams/1".into(),
        ..Plan::default()
    }
}

/// A set of nodes by last octet, weight and priority.
fn set(plan: &Plan, nodes: &[(u8, i64, i64)], previous: Option<&NodeSet>) -> NodeSet {
    let common = Common {
        scheme: Scheme::Http,
        certificate: 0,
        plan: plan.clone(),
        checking: None,
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
    NodeSet::new(nodes.collect(), plan, previous)
}

fn last_octet(node: &Node) -> u8 {
    match node.address.ip() {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => panic!("v4"),
    }
}

/// Last octets of the nodes that one request tries until there is none left.
fn attempts(set: &NodeSet) -> Vec<u8> {
    let (clock, mut tried) = (Clock::new(), Tried::new(7));
    let mut order = Vec::new();
    while let Some(node) = set.pick(0, &clock, &mut tried) {
        order.push(last_octet(&node));
        if order.len() > 9 {
            break;
        }
    }
    order
}

const ALL: [Balancer; 4] = [
    Balancer::RoundRobin,
    Balancer::Chash,
    Balancer::Ewma,
    Balancer::LeastConn,
];

#[test]
fn tries_every_node_once_and_lower_priorities_last() {
    for balancer in ALL {
        let nodes = [(1, 1, 0), (2, 10_000, 1), (3, 1, 1), (5, 1, -1)];
        let set = set(&plan(balancer), &nodes, None);
        for _ in 0..20 {
            let order = attempts(&set);
            assert_eq!(order.len(), 4, "{balancer:?}: {order:?}");
            let mut first: Vec<u8> = order[..2].to_vec();
            first.sort_unstable();
            let found = (first, &order[2..]);
            assert_eq!(found, (vec![2, 3], &[1, 5][..]), "{balancer:?}");
        }
    }
}

#[test]
fn weight_zero_gets_nothing_but_under_ewma() {
    for balancer in ALL {
        let nodes = [(1, 1, 0), (2, 1, 0), (4, 0, 5)];
        let order = attempts(&set(&plan(balancer), &nodes, None));
        assert_eq!(
            order.contains(&4),
            balancer == Balancer::Ewma,
            "{balancer:?}"
        );
    }
}

#[test]
fn nodes_that_all_have_weight_zero_are_used_but_on_a_ring() {
    for balancer in ALL {
        let mut order = attempts(&set(&plan(balancer), &[(1, 0, 0), (2, 0, 0)], None));
        order.sort_unstable();
        let is_ring = balancer == Balancer::Chash;
        let expected: &[u8] = if is_ring { &[] } else { &[1, 2] };
        assert_eq!(order, expected, "{balancer:?}");
        let lone = attempts(&set(&plan(balancer), &[(1, 0, 0)], None));
        assert_eq!(lone, vec![1; 10], "{balancer:?}");
    }
}

#[test]
fn a_lone_node_is_tried_again() {
    for balancer in [Balancer::RoundRobin, Balancer::Chash, Balancer::LeastConn] {
        let plan = plan(balancer);
        assert_eq!(
            attempts(&set(&plan, &[(1, 1, 0), (2, 0, 0)], None)),
            vec![1; 10]
        );
    }
    for balancer in ALL {
        assert_eq!(
            attempts(&set(&plan(balancer), &[(1, 1, 0)], None)),
            vec![1; 10]
        );
        assert!(attempts(&set(&plan(balancer), &[], None)).is_empty());
    }
}

#[test]
fn a_hash_goes_to_the_owner_of_its_point_and_then_round_the_ring() {
    let plan = plan(Balancer::Chash);
    let nodes: Vec<_> = (1..=9).map(|last| (last, 1, 0)).collect();
    let whole = set(&plan, &nodes, None);
    let Method::Chash(ring) = &whole.groups()[0].method else {
        panic!("a ring")
    };
    let clock = Clock::new();
    for hash in (0..u32::MAX).step_by(1 << 24) {
        let mut tried = Tried::new(hash);
        // The owners of the points from there on, each once.
        let mut point = ring.find(hash).expect("points");
        let mut owners: Vec<u8> = Vec::new();
        while owners.len() < 9 {
            let owner = ring.member(point).expect("a point") as u8 + 1;
            if !owners.contains(&owner) {
                owners.push(owner);
            }
            point = ring.next(point);
        }
        let order: Vec<u8> = std::iter::from_fn(|| whole.pick(0, &clock, &mut tried))
            .map(|node| last_octet(&node))
            .collect();
        assert_eq!(order, owners);
        // Without the first owner, its keys go where a retry goes; the order of the nodes does not matter.
        let rest: Vec<_> = nodes
            .iter()
            .rev()
            .filter(|node| node.0 != owners[0])
            .copied()
            .collect();
        let less = set(&plan, &rest, None);
        let next = less.pick(0, &clock, &mut Tried::new(hash)).expect("a node");
        assert_eq!(last_octet(&next), owners[1]);
    }
    // The ring is built once for nodes that stay as they are.
    let again = set(&plan, &nodes, Some(&whole));
    assert!(
        matches!(&again.groups()[0].method, Method::Chash(other) if std::sync::Arc::ptr_eq(ring, other))
    );
}

#[test]
fn ewma_prefers_what_answered_quickly_and_looks_at_what_it_does_not_know() {
    let plan = plan(Balancer::Ewma);
    let before = set(&plan, &[(1, 1, 0), (2, 100, 0), (3, 1, 0)], None);
    let clock = Clock::new();
    let pick = |set: &NodeSet| {
        let node = set.pick(0, &clock, &mut Tried::default()).expect("a node");
        let last = last_octet(&node);
        node.answered(u64::from(last) * 1000, &clock);
        last
    };
    for _ in 0..100 {
        pick(&before);
    }
    // Known for the whole process: by an upstream of its own as well.
    let other = Plan {
        key: "upstreams/2".into(),
        ..plan.clone()
    };
    let counts = |set: &NodeSet| {
        let mut counts = [0; 10];
        for _ in 0..900 {
            counts[pick(set) as usize] += 1;
        }
        counts
    };
    for set in [
        &before,
        &set(&other, &[(1, 1, 0), (2, 1, 0), (3, 1, 0)], None),
    ] {
        let [_, quick, middle, slow, ..] = counts(set);
        // Of three, the quickest wins both of its pairs, the slowest none.
        assert_eq!(slow, 0);
        assert!(
            (500..700).contains(&quick) && quick + middle == 900,
            "{quick} {middle}"
        );
    }
    let after = set(&plan, &[(2, 1, 0), (3, 1, 0), (9, 1, 0)], Some(&before));
    let [_, _, second, third, .., unknown] = counts(&after);
    // The new one is tried, found slow, and left to the others.
    assert!(
        (1..50).contains(&unknown) && second > 400 && third > 200,
        "{unknown} {second} {third}"
    );
}

fn hold<'a>(set: &'a NodeSet, clock: &Clock) -> Picked<'a> {
    set.pick(0, clock, &mut Tried::default()).expect("a node")
}

#[test]
fn requests_in_flight_are_counted_until_they_end_and_over_edits() {
    let plan = plan(Balancer::LeastConn);
    let clock = Clock::new();
    let before = set(&plan, &[(1, 1, 0), (2, 1, 0)], None);
    let mut held: Vec<_> = (0..4).map(|_| hold(&before, &clock)).collect();
    let mut lasts: Vec<_> = held.iter().map(|node| last_octet(node)).collect();
    lasts.sort_unstable();
    assert_eq!(lasts, [1, 1, 2, 2]);
    // The new node is the only idle one.
    let after = set(&plan, &[(1, 1, 0), (2, 1, 0), (3, 1, 0)], Some(&before));
    let more = [hold(&after, &clock), hold(&after, &clock)];
    assert_eq!(more.each_ref().map(|node| last_octet(node)), [3, 3]);
    // Requests end at the set they began with.
    held.retain(|node| last_octet(node) != 2);
    let next = hold(&after, &clock);
    assert_eq!(last_octet(&next), 2);
    drop(next);
    // A node that was left out comes back as busy as it is.
    let less = set(&plan, &[(2, 1, 0)], Some(&after));
    assert_eq!(last_octet(&hold(&less, &clock)), 2);
    let back = set(&plan, &[(1, 1, 0), (2, 1, 0)], Some(&less));
    for _ in 0..3 {
        assert_eq!(last_octet(&hold(&back, &clock)), 2);
    }
    drop((held, more));
    let loads = || back.loads.iter().map(crate::least_conn::Load::get);
    assert!(loads().all(|load| load == 0));
    // Another upstream counts for itself.
    let other = Plan {
        key: "routes/1".into(),
        ..plan
    };
    let other = set(&other, &[(1, 1, 0)], None);
    let _held = hold(&other, &clock);
    assert!(loads().all(|load| load == 0));
}

#[test]
fn a_lone_node_counts_its_requests_for_the_time_when_it_has_company() {
    let plan = plan(Balancer::LeastConn);
    let clock = Clock::new();
    let lone = set(&plan, &[(1, 1, 0)], None);
    let _held = [(); 3].map(|()| lone.pick(0, &clock, &mut Tried::default()));
    let two = set(&plan, &[(1, 10, 0), (2, 2, 0)], Some(&lone));
    // 4/10 and 1/2, then 5/10 and 1/2: the order goes on behind the first.
    let picked = [(); 3].map(|()| two.pick(0, &clock, &mut Tried::default()).expect("a node"));
    assert_eq!(picked.each_ref().map(|node| last_octet(node)), [1, 2, 1]);
}

#[test]
fn what_slowed_down_long_ago_is_forgotten() {
    let plan = plan(Balancer::Ewma);
    let set = set(&plan, &[(1, 1, 0), (2, 1, 0)], None);
    let now = 1000;
    set.latencies[0].observe(1.0, now);
    set.latencies[1].observe(0.1, now + 1);
    assert!(set.latencies[0].at(now) > set.latencies[1].at(now + 1));
    let minute = Duration::from_mins(1).as_millis() as u32;
    assert!(set.latencies[0].at(now + minute) < 0.01);
}
