//! Plugins as clients and upstreams see them.

mod auth;
mod loggers;
mod prometheus;
mod transform;
