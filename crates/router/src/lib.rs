//! Host trie, path radix tree and predicates: a request to its route.
//!
//! A [`Table`] is edited on the control thread and hands out [`Routes`]: an immutable view that shares its structure with the table, so that a
//! change copies only the nodes on the way to what it touches. Workers call [`Routes::find`]; nothing is locked and, on a match without
//! parameters, nothing is allocated.
//!
//! The order in which routes are tried is the reference's (`lua-resty-radixtree` 2.9.2 under `apisix/http/router/*.lua`):
//!
//! 1. [`Mode::HostUri`] only: routes of the exact host, then of wildcard hosts, the longest suffix first, then routes without hosts.
//! 2. Among those, routes on exactly the path, then on its prefixes, the longest first.
//! 3. Among routes on one path or prefix, the higher priority first; then the longer text of the configured path; then the one that came first.
//!
//! The first route whose other conditions hold is the answer; a refused one falls through to the next, across all three levels.
//!
//! Deliberately absent: what a route does. The value of a route is opaque here. Read next: `routes.rs` for the walk, `path.rs` for what a
//! configured path means, `explain.rs` for why a request takes a route and not another.

mod bucket;
mod explain;
mod hash_trie;
mod host;
mod limits;
mod methods;
mod path;
mod prefix_tree;
mod route;
mod routes;
mod table;

pub use crate::explain::{Explanation, Later, Miss, Undecided, Why};
pub use crate::methods::Methods;
pub use crate::path::Params;
pub use crate::route::{Mode, RouteError, RouteSpec};
pub use crate::routes::{Match, Request, Routes};
pub use crate::table::Table;
