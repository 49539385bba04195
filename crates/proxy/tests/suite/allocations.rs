//! What a plain proxied request costs in allocations.

use std::{
    alloc::System,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use lockgate_testkit::{Origin, Setup};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::{GET, OK, alone::alone, route};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: usize = 1000;

/// Most allocations for all of them. The aim was two for each; it is none, but for what the runtime does now and then
/// (measured 2026-11-28: 5).
const BUDGET: usize = REQUESTS / 20;

/// Sends requests and reads their responses without allocating: whatever is counted is the gateway's.
fn ask(stream: &mut TcpStream, request: &[u8], response_bytes: usize, count: usize) {
    let mut room = [0; 4096];
    let room = room.get_mut(..response_bytes).expect("room");
    for _ in 0..count {
        stream.write_all(request).expect("sent");
        stream.read_exact(room).expect("a response");
    }
}

#[test]
fn a_plain_request_allocates_next_to_nothing() {
    let shell = "exec \"$0\" \"$@\"";
    alone(
        "allocations::a_plain_request_allocates_next_to_nothing",
        shell,
        || {
            let origin = Origin::start_quiet(OK);
            let gateway = Setup::new()
                .put("routes/1", &route("/*", &origin))
                .start_silent();
            let post = "POST /some/where?with=query HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
            for request in [GET, post] {
                let answer = gateway.ask(request);
                let response_bytes = answer.head.len() + answer.body.len();
                let mut stream = TcpStream::connect(gateway.address).expect("connected");
                ask(&mut stream, request.as_bytes(), response_bytes, 100);
                let region = Region::new(ALLOCATOR);
                ask(&mut stream, request.as_bytes(), response_bytes, REQUESTS);
                let allocations = region.change().allocations + region.change().reallocations;
                assert!(
                    allocations <= BUDGET,
                    "{allocations} allocations for {REQUESTS} requests"
                );
            }
        },
    );
}
