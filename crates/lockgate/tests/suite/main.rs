//! The binary from outside: what it prints, how it starts and ends, what it does on signals.

mod apis;
mod background;
mod commands;
mod declarative;
mod discovery;
mod echo;
mod etcd;
mod explain;
mod gateway;
mod life;
mod plugins;
mod refusals;
mod reload;
mod secrets;
mod slow_origin;
mod standalone;
mod store_copy;
mod support;
mod without_file;
