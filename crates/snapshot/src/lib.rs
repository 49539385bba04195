//! The compiler from stored objects to an immutable snapshot, and the loop that keeps it current.
//!
//! Objects are compiled one by one and incrementally: a changed key rebuilds what was built from it. A bad object is left
//! out (or stays as it was), is named in [`Compiler::problems`], and harms nothing else. No plugin is known here by name.

mod client_cert;
mod compile;
mod consumers;
mod held;
mod inactive;
mod instances;
mod links;
mod needs;
mod off;
mod plugins;
mod problems;
mod publish;
mod route;
mod secrets;
mod visible;
mod watch;

pub use compile::{Compiler, Settings};
pub use plugins::Plugins;
pub use problems::Problem;
pub use publish::Published;
pub use route::{Off, Route, ServiceFacts, Snapshot, Target};
pub use visible::Visible;
pub use watch::{Status, Watcher};
