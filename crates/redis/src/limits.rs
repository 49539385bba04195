//! Bounds and defaults of the client.

use std::time::Duration;

/// Default of the waits for a connection and for an answer (`redis_timeout`, `redis_connect_timeout`,
/// `redis_read_timeout`: 1000 ms; apisix/utils/redis-schema.lua, apisix/plugins/limit-count/init.lua).
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// Default of how long an unused connection is kept (`redis_keepalive_timeout`: 10 000 ms; apisix/utils/redis-schema.lua).
pub const KEEPALIVE: Duration = Duration::from_secs(10);

/// The same of connections found through sentinels (60 000 ms; apisix/plugins/limit-count/init.lua).
pub const SENTINEL_KEEPALIVE: Duration = Duration::from_mins(1);

/// Default port of a server (apisix/utils/redis-schema.lua).
pub const PORT: u16 = 6379;

/// How long a server is left alone after its first failure to connect; each further failure doubles it.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);

/// Longest that a server is left alone: so long may calls go on failing after it is back.
pub const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Least time between two looks at who serves which slot of a cluster, of one worker.
pub(crate) const TOPOLOGY_INTERVAL: Duration = Duration::from_millis(200);

/// Commands of one worker that wait for the task that writes them; more wait for room, within their timeout.
pub(crate) const QUEUE: usize = 1024;

/// Redirections that one command follows in a cluster (the reference's client library follows 5).
pub(crate) const REDIRECTIONS: usize = 5;

/// Slots of a cluster (Redis cluster specification).
pub(crate) const SLOTS: u16 = 16384;
