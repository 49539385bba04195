//! Bounds of the etcd client.

use std::time::Duration;

/// Oldest version that knows progress requests and fragments, major and minor; also the reference's (`apisix/core/constants`,
/// `min_etcd_version`).
pub(super) const MIN_VERSION: (u32, u32) = (3, 4);

/// Port of an endpoint that names none, etcd's own.
pub(super) const PORT: u16 = 2379;

/// Longest that one endpoint may take for TCP, TLS, HTTP/2 and its first answer; `timeout` where that is shorter.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// Longest that opening a watch may take at one member; its share of `timeout` where that is shorter.
pub(super) const OPEN: Duration = Duration::from_secs(10);

/// Silence after which a connection with calls on it is probed. etcd closes connections that are probed more often than each
/// five seconds (`--grpc-keepalive-min-time`).
pub(super) const PING: Duration = Duration::from_secs(10);

/// How long the answer to such a probe may take.
pub(super) const PING_ANSWER: Duration = Duration::from_secs(5);

/// Largest message taken, in bytes: etcd sends none that is larger.
pub(super) const MESSAGE_BYTES: usize = i32::MAX as usize;

/// Keys on the first page of a listing, when the size of the values is not known.
pub(super) const FIRST_PAGE_KEYS: u64 = 500;

/// Keys on any later page. etcd 3.4 walks the whole range for each page, so there should be few.
pub(super) const PAGE_KEYS: u64 = 10_000;

/// Bytes that a page should have.
pub(super) const PAGE_BYTES: u64 = 16 << 20;

/// Attempts to read all pages of one revision before it is compacted.
pub(super) const LISTINGS: usize = 3;

/// Parts of `watch_timeout` after which a silent watch is asked for a sign of life.
pub(super) const SIGNS_PER_TIMEOUT: u32 = 5;

/// Requests on their way to a watch: its creation, and signs of life that etcd has not taken yet.
pub(super) const WATCH_REQUESTS: usize = 4;

/// Pause between attempts to reach etcd at the start.
pub(super) const STARTUP_PAUSE: Duration = Duration::from_secs(1);

/// Least time between the ends of two writes of the local copy.
pub(super) const COPY_PAUSE: Duration = Duration::from_secs(1);

/// Share of the time that may go into writing the local copy: one part in so many. It binds where one write takes more than
/// 50 ms.
pub(super) const COPY_PARTS: u32 = 20;

/// Pause before the local copy is tried again after it could not be written.
pub(super) const COPY_RETRY: Duration = Duration::from_secs(5);
