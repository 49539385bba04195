//! Scripted origins, byte-level clients and an in-process gateway, for tests.
//!
//! Everything here blocks and runs on plain threads and sockets, so that what stands on the wire is what a test wrote.
//! Nothing sleeps: a test waits for bytes, for a connection's end or for a log line, each for [`PATIENCE`] at most. No Admin
//! API and no store: objects go straight into the compiler. Start at [`Setup`], [`Origin`] and [`Client`];
//! [`Sink`] is what logs are sent to. Servers that plugins speak to are real ones: [`redis`].

mod client;
mod exposition;
pub mod fuzz;
mod gateway;
mod message;
pub mod naive;
mod origin;
pub mod redis;
mod sink;
mod tls;

use std::time::{Duration, Instant};

pub use client::Client;
pub use exposition::{Exposition, Family, Labels};
pub use gateway::{Gateway, Setup};
pub use message::{Message, Received};
pub use origin::{Connection, Origin};
pub use sink::{Reply, Sink};
pub use tls::Certificate;

/// How long anything is waited for before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `holds`, for what shows itself in no byte: counters, connections kept.
///
/// # Panics
/// It does not hold within [`PATIENCE`].
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never came true: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
