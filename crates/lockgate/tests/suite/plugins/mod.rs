//! Plugins as clients and upstreams see them.

mod transform;
