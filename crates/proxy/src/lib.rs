//! Workers, and the life of a request in them.
//!
//! Knows no plugin by name, writes no configuration, reads only the snapshot. Start at [`Workers::bind`], then
//! `client.rs` (a connection) and `request.rs` (a request, as a table).

mod access_log;
mod affinity;
mod beyond;
mod brought;
mod call;
mod client;
mod date;
mod debug;
mod exchange;
mod finish;
mod forward;
mod forwarded;
mod head;
mod imagined;
mod io;
mod limits;
mod normalize;
mod options;
mod own;
mod phases;
mod proxied;
mod quiet;
mod real_ip;
mod reason;
mod reply;
mod request;
mod respond;
mod scene;
mod serving;
mod stats;
mod tunnel;
mod upload;
mod uri;
mod vars;
mod worker;
mod workers;

pub use access_log::{AccessLog, DEFAULT_FORMAT, Escape, LogError, LogOptions, hostname};
pub use debug::DebugMode;
pub use imagined::{Imagined, Question, dead_end};
pub use options::Options;
pub use serving::Serving;
pub use stats::{Counts, Totals};
pub use worker::Phase;
pub use workers::{BoundWorkers, StartError, Workers};
