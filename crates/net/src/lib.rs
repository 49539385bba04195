//! Listeners, TLS to upstreams, DNS.
