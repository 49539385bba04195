//! The data plane end to end: real sockets, scripted origins, exact bytes.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that looks in the wrong place fails, as it should"
)]

mod aborts;
mod allocations;
mod alone;
mod balancers;
mod balancing;
mod beyond;
mod bodies;
mod connection;
mod debug;
mod descriptors;
mod forwarding;
mod framing;
mod health;
mod interim;
mod large;
mod logs;
mod objects;
mod pages;
mod plugins;
mod probes;
mod proxied;
mod reasons;
mod responses;
mod routing;
mod secrets;
mod smuggling;
mod smuggling_cases;
mod streamed;
mod timeouts;
mod tls;
mod upgrade;
mod uris;
mod variables;

use std::sync::{Mutex, mpsc};

use lockgate_testkit::{Origin, PATIENCE};
use serde_json::{Value, json};

/// The plainest request.
const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// The plainest response.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A route of this path to one origin.
fn route(uri: &str, origin: &Origin) -> Value {
    json!({"uri": uri, "upstream": upstream(&[origin])})
}

/// An upstream of these origins, in this order, with equal weights.
fn upstream(origins: &[&Origin]) -> Value {
    let node = |origin: &&Origin| {
        let address = origin.address();
        json!({"host": address.ip().to_string(), "port": address.port(), "weight": 1})
    };
    json!({"nodes": origins.iter().map(node).collect::<Vec<_>>()})
}

/// A gate: the first function lets one caller of the second through, which waits for that.
fn gate() -> (impl Fn(), impl Fn()) {
    let (open, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let release = move || open.send(()).expect("the origin lives");
    let wait = move || {
        let opened = opened.lock().expect("no waiter panics");
        let _late = opened.recv_timeout(PATIENCE);
    };
    (release, wait)
}
