//! The gateway with its configuration in etcd, which these tests start on free loopback ports.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, and JSON is read by key"
)]

mod cable;
mod faults;
mod init;
#[path = "../../../../store/tests/suite/etcd/install.rs"]
mod install;
mod life;
mod node;
mod roles;
mod secrets;
mod server;
mod takeover;
mod traffic;
mod written;
