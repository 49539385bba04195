//! Balancers, node sets, resolution of domain nodes.
