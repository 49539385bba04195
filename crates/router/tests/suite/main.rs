//! The router from outside: the reference's order in tables, and against a matcher too slow to be wrong.

mod explain;
mod naive;
mod order;
mod properties;
mod request;
