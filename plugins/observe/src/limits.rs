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

/// Lines for files that wait to be written, of all routes.
pub(crate) const FILE_LINES: usize = 65_536;

/// Their bytes: a second of a disk that writes 64 MiB in one.
pub(crate) const FILE_BYTES: usize = 64 << 20;

/// Bytes at which lines that came together are written.
pub(crate) const FILE_WRITE_BYTES: usize = 64 << 10;

/// How long a file is open before it is opened anew; the reference's cache of open files has this time (`core.lrucache`).
pub(crate) const FILE_OPEN: Duration = Duration::from_mins(5);

/// Files that are open at once.
pub(crate) const FILES: usize = 256;

/// Least time between two lines of the error log about one thing that every request can cause.
pub(crate) const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Memory of a decoder of brotli for what it reads at a time.
pub(crate) const DECODING_BYTES: usize = 4096;

/// How often series that have expired are looked for where nobody scrapes.
pub(crate) const EXPIRE_INTERVAL: Duration = Duration::from_mins(1);
