//! What a lookup, an edit and a route cost. Run it with
//! `cargo run --release -p lockgate-router --example router_bench`.
//!
//! Prints nanoseconds per lookup (best and median of several rounds), microseconds per edit when a view is taken after each one, and
//! bytes per route by the resident memory of the process (Linux).

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program that prints a table"
)]

use std::borrow::Cow;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use lockgate_expr::{Lookup, Variable};
use lockgate_router::{Methods, Mode, Params, Request, RouteSpec, Routes, Table};

const ROUNDS: usize = 15;
const LOOKUPS: usize = 200_000;

struct Get {
    path: String,
    host: &'static str,
}

impl Lookup for Get {
    fn lookup<'a>(&'a self, _: &Variable) -> Option<Cow<'a, [u8]>> {
        None
    }
}

impl Request for Get {
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn host(&self) -> Option<&[u8]> {
        Some(self.host.as_bytes())
    }

    fn host_with_port(&self) -> Option<&[u8]> {
        self.host()
    }

    fn method(&self) -> Methods {
        Methods::of(b"GET")
    }

    fn remote_addr(&self) -> Option<IpAddr> {
        None
    }
}

fn main() {
    for count in [1, 10_000, 100_000] {
        measure(
            "exact, no host",
            count,
            |n| format!("/r/{n}"),
            "127.0.0.1",
            &[],
        );
    }
    measure(
        "exact, host",
        10_000,
        |n| format!("/r/{n}"),
        "a.example.com",
        &["a.example.com"],
    );
    measure(
        "exact, wildcard host",
        10_000,
        |n| format!("/r/{n}"),
        "a.example.com",
        &["*.example.com"],
    );
    measure("prefix", 10_000, |n| format!("/r/{n}/*"), "127.0.0.1", &[]);
}

fn measure(
    name: &str,
    count: usize,
    path: impl Fn(usize) -> String,
    host: &'static str,
    hosts: &[&str],
) {
    let before = resident_bytes();
    let start = Instant::now();
    let mut table = Table::new(Mode::HostUri);
    for n in 0..count {
        insert(&mut table, n, path(n), hosts);
    }
    let build = start.elapsed();
    // What stays with the values themselves is not the router's.
    let bytes = resident_bytes().saturating_sub(before) / count.max(1);
    let routes = table.routes();

    let requests = requests(count, &path, host);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| time_lookups(&routes, &requests))
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (best, median) = (rounds[0], rounds[ROUNDS / 2]);

    let mut reads: Vec<f64> = (0..ROUNDS).map(|_| time_reads(&requests)).collect();
    reads.sort_by(f64::total_cmp);
    let read = reads[ROUNDS / 2];

    let edits = 20_000;
    let start = Instant::now();
    let mut view = table.routes();
    for edit in 0..edits {
        let n = edit * 7919 % count;
        insert(&mut table, n, path(n), hosts);
        view = black_box(table.routes());
    }
    let edit = start.elapsed().as_secs_f64() * 1e6 / edits as f64;
    assert_eq!(view.len(), count);
    println!(
        "{name:22} {count:7} routes: {best:6.1} ns best, {median:6.1} ns median ({read:4.1} of it to fetch the request); {edit:5.2} us/edit; built in {build:8.2?}; {bytes} B/route"
    );
}

fn insert(table: &mut Table<Arc<usize>>, n: usize, path: String, hosts: &[&str]) {
    let mut spec = RouteSpec::new(n.to_string(), path, Arc::new(n));
    spec.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    table.insert(spec).expect("the route is well-formed");
}

/// Hits in an order the processor cannot guess.
fn requests(count: usize, path: &impl Fn(usize) -> String, host: &'static str) -> Vec<Get> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count.max(1000))
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            Get {
                path: path(state as usize % count).replace('*', "x/y"),
                host,
            }
        })
        .collect()
}

fn time_lookups(routes: &Routes<Arc<usize>>, requests: &[Get]) -> f64 {
    let mut params = Params::new();
    let start = Instant::now();
    for request in requests.iter().cycle().take(LOOKUPS) {
        let found = black_box(routes).find(black_box(request), &mut params);
        assert!(black_box(found).is_some());
    }
    start.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64
}

/// What the loop costs without the router: a request of the benchmark is not in the cache, that of a gateway is.
fn time_reads(requests: &[Get]) -> f64 {
    let start = Instant::now();
    for request in requests.iter().cycle().take(LOOKUPS) {
        let sum: u32 = black_box(request)
            .path()
            .iter()
            .map(|byte| u32::from(*byte))
            .sum();
        black_box(sum);
    }
    start.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = status
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * 4096
}
