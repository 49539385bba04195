//! `http-logger`: entries go to an HTTP server, in batches.
//!
//! What it has in common with other loggers is in `logger.rs`; how a batch is sent, in `sender.rs`. README.md is the user's page, and
//! lists what differs from the reference (`apisix/plugins/http-logger.lua`).

mod sender;

use serde::Deserialize;

use crate::logger::{Batched, Logging};
use sender::HttpSender;

/// The plugin.
pub(crate) type HttpLogger = Logging<Batched<HttpSender>>;

/// The configuration as users write it, without what all loggers have.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    uri: String,
    auth_header: Option<String>,
    timeout: u64,
    ssl_verify: bool,
    concat_method: Concat,
}

/// How the entries of a batch are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Concat {
    /// As one list.
    Json,
    /// One in a line.
    NewLine,
}

#[cfg(test)]
mod tests;
