//! The client against real servers: single, cluster, sentinels; up, down, slow, replaced.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is tests, which fail by panicking"
)]

mod cluster;
mod outage;
mod sentinel;
mod single;
mod support;
mod tls;
mod workers;
