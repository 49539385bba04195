//! Lockgate, an API gateway compatible with Apache APISIX.

fn main() {}
