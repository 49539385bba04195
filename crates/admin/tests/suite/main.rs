//! The APIs through real sockets, over a store in memory.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects shall fail there"
)]

mod access;
mod config_validate;
mod connections;
mod consumers;
mod control;
mod counted;
mod encryption;
mod envelopes;
mod gateway;
mod ids;
mod json_bodies;
mod listings;
mod loader;
mod memory;
mod metrics;
mod patches;
mod plugin_lists;
mod plugin_objects;
mod references;
mod rules;
mod schemas;
mod secrets;
mod ssls;
mod standalone;
mod status;
mod stream_routes;
mod tls;
mod ui;
mod wire;
