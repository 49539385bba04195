//! What does one choice of a node cost, by balancer and number of nodes?
//!
//! `cargo run --release -p lockgate-upstream --example pick_bench`; each figure is the median of nine runs in time on a CPU, so
//! that other work on the machine counts as little as it can.

use std::hint::black_box;

use lockgate_keyring::Keyring;
use lockgate_net::{
    clock::Clock,
    dns::{DnsOptions, Resolver},
};
use lockgate_upstream::{Compile, Defaults, Registry, Tried, Upstream};
use serde_json::json;

const PICKS: u32 = 200_000;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "its figures are for a person")]
async fn main() {
    let with = Compile {
        resolver: Resolver::new(DnsOptions::default()),
        defaults: Defaults::default(),
        workers: 1,
        trusted: None,
        registry: Registry::default(),
        keyring: Keyring::default(),
        discovery: lockgate_discovery::Discovery::default(),
        all_addresses: false,
    };
    println!(
        "nanoseconds per pick\n{:<28}{:>8}{:>8}{:>8}",
        "", 2, 10, 1000
    );
    for (balancer, weights) in [
        ("roundrobin", "equal"),
        ("roundrobin", "one heavy"),
        ("roundrobin", "uneven"),
        ("chash", "equal"),
        ("chash", "uneven"),
        ("ewma", "equal"),
        ("least_conn", "equal"),
        ("least_conn", "uneven"),
        ("least_conn", "all busy"),
    ] {
        print!("{:<28}", format!("{balancer}, {weights}"));
        for count in [2_u32, 10, 1000] {
            let nodes: Vec<_> = (0..count)
                .map(|node| {
                    let weight = match weights {
                        "one heavy" if node == count / 2 => 100,
                        "uneven" => 1 + node % 7,
                        _ => 1,
                    };
                    let host = format!("10.0.{}.{}", node / 250, node % 250);
                    json!({"host": host, "port": 80, "weight": weight})
                })
                .collect();
            let stored = json!({"type": balancer, "key": "uri", "nodes": nodes});
            let stored = serde_json::from_value(stored).expect("an upstream");
            let key = "upstreams/1".into();
            let upstream = Upstream::compile(&stored, &with, &key, None)
                .expect("compiles")
                .upstream;
            let nodes = upstream.nodes();
            let clock = Clock::new();
            let held: Vec<_> = if weights == "all busy" {
                (0..count * 3)
                    .map(|_| nodes.pick(0, &clock, &mut Tried::default()))
                    .collect()
            } else {
                Vec::new()
            };
            let mut runs: Vec<f64> = (0..9).map(|_| run(&nodes, &clock)).collect();
            runs.sort_by(f64::total_cmp);
            drop(held);
            print!("{:>8.1}", runs.get(4).copied().unwrap_or_default());
        }
        println!();
    }
}

fn run(nodes: &lockgate_upstream::NodeSet, clock: &Clock) -> f64 {
    let began = cpu_ns();
    for pick in 0..PICKS {
        let hash = pick.wrapping_mul(0x9E37_79B9);
        let node = black_box(nodes).pick(0, clock, &mut Tried::new(black_box(hash)));
        if let Some(node) = &node {
            node.answered(1000, clock);
        }
        black_box(node.map(|node| node.address));
    }
    (cpu_ns() - began) / f64::from(PICKS)
}

/// Nanoseconds this thread has run for, as Linux counts them.
fn cpu_ns() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = counts.split(' ').next().and_then(|text| text.parse().ok());
    ns.unwrap_or_default()
}
