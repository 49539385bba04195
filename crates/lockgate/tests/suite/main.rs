//! The binary from outside: what it prints, how it starts and ends, what it does on signals.

mod commands;
mod echo;
mod etcd;
mod gateway;
mod life;
mod refusals;
mod reload;
mod slow_origin;
mod support;
mod without_file;
