//! Limits of the data plane that are not settings.

use std::time::Duration;

/// Request body bytes kept for another attempt, beyond what the first read holds.
///
/// Same as pingora's retry buffer; nginx keeps the whole body, on disk if need be.
pub(crate) const REPLAY_BYTES: usize = 64 * 1024;

/// Most further attempts of one request, whatever its upstream asks for: a lone dead node would be asked without end.
pub(crate) const RETRIES: u32 = 100;

/// Bytes of a request body that are read and thrown away so that a connection can live on after an early answer.
pub(crate) const DISCARD_BYTES: u64 = 256 * 1024;

/// How long a client may be silent while the rest of its request is read and thrown away before its connection is closed,
/// so that the answer arrives instead of a reset; nginx's `lingering_timeout`.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// How long that goes on in all; nginx's `lingering_time`.
pub(crate) const LINGER_TOTAL: Duration = Duration::from_secs(30);

/// Pause of a listener when the process has no file descriptor left; nginx's `accept_mutex_delay`.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long connections that are idle may bring another request after their worker was told to hand over. A client that sends
/// one at that very moment gets its answer; one that waits longer loses an idle connection, as it may at any time.
pub(crate) const HAND_OVER: Duration = Duration::from_secs(1);

/// Pause between two looks at whether all connections of a worker that drains have ended.
pub(crate) const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Least time between two lines of a worker's log about the same thing that any client can cause.
pub(crate) const LOG_PAUSE: Duration = Duration::from_secs(1);

/// Idle exchanges a worker keeps for reuse.
pub(crate) const EXCHANGES: usize = 256;

/// Pause between two sweeps of kept upstream connections.
pub(crate) const POOL_SWEEP: Duration = Duration::from_secs(1);

/// Longest time a line waits in a worker before it is written; the reference's `flush=3` (`ngx_tpl.lua`).
pub(crate) const LOG_FLUSH: Duration = Duration::from_secs(3);

/// How long a request waits for the first addresses of an upstream's names; the reference's `resolver_timeout`.
pub(crate) const RESOLVE_WAIT: Duration = Duration::from_secs(5);

/// Chains of routes with what consumers bring along that a worker keeps per snapshot; each takes a few hundred bytes.
pub(crate) const BROUGHT_CHAINS: usize = 4096;

/// How often the end of a client is looked for whose next bytes nobody reads yet.
pub(crate) const LOOK_FOR_CLIENT: Duration = Duration::from_secs(1);
