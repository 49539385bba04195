//! The binary from outside: what it prints, how it starts and ends, what it does on signals.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that looks in the wrong place fails, as it should"
)]

mod apis;
mod background;
mod commands;
mod declarative;
mod echo;
mod etcd;
mod gateway;
mod life;
mod refusals;
mod reload;
mod secrets;
mod slow_origin;
mod standalone;
mod store_copy;
mod support;
mod without_file;
