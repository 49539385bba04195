//! The etcd store against a real etcd, which these tests start on free loopback ports and stop by its process id.

mod access;
mod cable;
mod cluster;
mod contract;
mod install;
mod listing;
mod local_copy;
mod outage;
mod server;
mod takeover;
mod tls;
