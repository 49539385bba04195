//! References to secrets: `$env://NAME`, `$secret://manager/id/…` (`apisix/secret.lua`).
//!
//! A string of the configuration may say where its value is kept instead of saying the value. References are looked up ahead
//! of traffic and anew in the background, so that no request waits for a manager: [`Secrets`] answers with what it knows, and
//! tells when that changes. What cannot be looked up stays the literal text, which is logged once.
//!
//! Deliberately absent: what a secret is for, and any wait. Besides the binary, this is the only crate that reads the
//! environment of the process. Start at [`Secrets`]; the managers are in `manager/`.

mod environment;
mod error;
mod limits;
mod manager;
mod reference;
mod resolve;
mod run;
mod secrets;
mod sigv4;
mod slots;

pub use environment::Environment;
pub use error::{LookupError, ManagerError};
pub use reference::is_reference;
pub use resolve::{Resolved, Unresolved, has_reference};
pub use secrets::{Known, Options, Secrets};
pub use slots::{Answer, Used};
