//! Numbers with a meaning.

use std::time::Duration;

/// Objects within each other in a `log_format`; what lies deeper is left out. The reference's (`apisix/utils/log-util.lua`).
pub(crate) const FORMAT_DEPTH: usize = 5;

/// Bytes of a body in a log entry unless the configuration says otherwise; the reference's.
pub(crate) const BODY_BYTES: usize = 512 * 1024;

/// Fields or arguments of a message in a log entry; the reference's (`ngx.req.get_headers`, `ngx.req.get_uri_args`).
pub(crate) const FIELDS: usize = 100;

/// Bytes of what a server answered in a line about it.
pub(crate) const EXCERPT_BYTES: usize = 4096;

/// Of the time until the process ends, what is left to say what was lost.
pub(crate) const FLUSH_RESERVE: Duration = Duration::from_secs(1);

/// Memory of a decoder of brotli for what it reads at a time.
pub(crate) const DECODING_BYTES: usize = 4096;
