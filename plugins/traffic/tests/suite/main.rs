//! The family over real sockets: exact counts, other upstreams, real Redis servers.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

mod allocations;
mod counting;
mod redis;
mod splitting;

use lockgate_plugins_traffic::ALL;
use lockgate_testkit::{Client, Gateway, Message, Origin, Setup};
use serde_json::{Value, json};

/// A gateway with this family, of several workers.
fn setup() -> Setup {
    Setup::new().with(|setup| {
        setup.options.workers = 4;
        setup.plugins = ALL.iter().collect();
    })
}

/// A route to an origin with these plugins.
fn route(origin: &Origin, plugins: &Value) -> Value {
    json!({"uri": "/*", "plugins": plugins, "upstream": {"nodes": {origin.node(): 1}}})
}

/// The answer to a request with these fields, on a connection of its own.
fn get(gateway: &Gateway, path: &str, fields: &str) -> Message {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    Client::connect(gateway.address).ask(request)
}
