//! What a counted request costs in allocations.

use std::{
    alloc::System,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use lockgate_testkit::Origin;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::{route, setup};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Set in the process that does the work, where what is counted is this test's alone.
const MARK: &str = "LOCKGATE_TEST_ALONE";

const TEST: &str = "allocations::a_counted_request_allocates_next_to_nothing";

const REQUESTS: usize = 1000;

/// Most allocations for all of them: what the runtime does now and then.
const BUDGET: usize = REQUESTS / 20;

/// Sends requests and reads their responses without allocating: whatever is counted is the gateway's.
fn ask(stream: &mut TcpStream, count: usize) {
    let mut room = [0; 4096];
    for _ in 0..count {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            .expect("sent");
        let mut filled = 0;
        while !room[..filled].ends_with(b"\r\n\r\nok") {
            let read = stream.read(&mut room[filled..]).expect("a response");
            assert!(read > 0, "the gateway closed the connection");
            filled += read;
        }
    }
}

/// Allocations of requests to a route with these plugins.
fn allocations(plugins: &Value) -> usize {
    let origin = Origin::start_quiet("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = setup()
        .put("routes/1", &route(&origin, plugins))
        .start_silent();
    let mut stream = TcpStream::connect(gateway.address).expect("connected");
    ask(&mut stream, 100);
    let region = Region::new(ALLOCATOR);
    ask(&mut stream, REQUESTS);
    region.change().allocations + region.change().reallocations
}

#[test]
fn a_counted_request_allocates_next_to_nothing() {
    if std::env::var_os(MARK).is_none() {
        let binary = std::env::current_exe().expect("this binary");
        let output = Command::new(binary)
            .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
            .env(MARK, "1")
            .output()
            .expect("a process");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    }
    let count = |key: &str, sort: &str| json!({"limit-count": {"count": 1_000_000, "time_window": 60, "key": key, "key_type": sort}});
    let rate =
        json!({"limit-req": {"rate": 1e9, "burst": 1e9, "nodelay": true, "key": "remote_addr"}});
    for (plugins, budget) in [
        (count("remote_addr", "var"), BUDGET),
        (count("http_host", "var"), BUDGET),
        (count("a", "constant"), BUDGET),
        (count("$remote_addr $http_host", "var_combination"), BUDGET),
        (rate, BUDGET),
        // Its place is kept from hook to hook.
        (
            json!({"limit-conn": {"conn": 5, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr"}}),
            REQUESTS + BUDGET,
        ),
    ] {
        let allocations = allocations(&plugins);
        assert!(
            allocations <= budget,
            "{allocations} allocations for {REQUESTS} requests: {plugins}"
        );
    }
}
