//! Repository checks and generated files.

fn main() {}
