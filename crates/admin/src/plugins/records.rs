//! The plugins of the reference, by falling priority, and what is recorded of each: version, priority and schemas
//! (`GET /apisix/admin/plugins?all=true` of APISIX 3.18.0; for plugins that are off by default, their sources). The build script lists
//! them: of a plugin that is built in the record lies in its own folder, of the others in `schemas/`.
//!
//! Members of `properties` stand in the order in which findings about them come; the reference leaves that order to chance, and the
//! recorded answers show what chance chose.

/// HTTP plugins that are off unless the list `plugins` of `config.yaml` names them.
pub(super) const HTTP_OFF: &[&str] = &[
    "exit-transformer",
    "skywalking",
    "opentelemetry",
    "batch-requests",
    "error-log-logger",
    "node-status",
    "brotli",
    "server-info",
    "dubbo-proxy",
    "error-page",
    "log-rotate",
    "gm",
    "ocsp-stapling",
];

/// The same for `stream_plugins`.
pub(super) const STREAM_OFF: &[&str] = &["prometheus"];

/// Name and record of each plugin of a subsystem, and whether it is built in.
pub(super) type Records = &'static [(&'static str, &'static str, bool)];

include!(concat!(env!("OUT_DIR"), "/records.rs"));
