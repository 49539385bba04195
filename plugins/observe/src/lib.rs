//! Plugins that tell others what happened: logs, metrics, endpoints.
//!
//! One file or folder per plugin, with its user's page and its schemas beside it; [`ALL`] makes them known. What loggers share lies
//! in `logger.rs` (what makes a plugin of them), `entry/` (what is logged) and `batching.rs` (how it is sent).

mod batching;
mod entry;
pub mod file_logger;
mod http;
pub mod http_logger;
mod limits;
mod logger;
pub mod prometheus;
pub mod public_api;

use lockgate_plugin::Descriptor;

pub use batching::processors;
pub use entry::LogMetadata;

/// The version of APISIX whose behaviour is matched, as logs and metrics tell it.
pub const REFERENCE: &str = "3.18.0";

/// The plugins of this family.
pub const ALL: &[Descriptor] = &[
    Descriptor::of::<http_logger::HttpLogger>(),
    Descriptor::of::<file_logger::FileLogger>(),
    Descriptor::of::<public_api::PublicApi>(),
    Descriptor::of::<prometheus::Prometheus>(),
];
