//! Bounds of the client where its owner sets none.

use std::time::Duration;

/// Longest for TCP and TLS together.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);

/// Longest for a whole call, from its begin to the last byte of the answer.
pub(crate) const CALL: Duration = Duration::from_secs(15);

/// Longest for a whole call whose waits are limited one by one, where they are short: many short waits are none at all to a
/// server that trickles.
pub(crate) const CALL_OF_WAITS: Duration = Duration::from_mins(5);

/// Waits of a call that are limited one by one and that may take their limit before the call ends, where they are long:
/// connecting, sending, the head of the answer, its body.
pub(crate) const WAITS: u32 = 4;

/// For a wait that has no limit but that of the whole call, and the largest limit for one. The clock cannot count for ever.
pub(crate) const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Largest body of an answer, in bytes.
pub(crate) const BODY_BYTES: usize = 16 << 20;

/// Idle connections kept to one server.
pub(crate) const IDLE_PER_SERVER: usize = 8;

/// Idle connections kept to all servers together.
pub(crate) const IDLE: usize = 128;

/// How long an idle connection is kept; servers commonly close after a minute or more.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(45);

/// How long an idle connection may take to be ready: its task needs a turn after the answer before, and no more.
pub(crate) const READY: Duration = Duration::from_millis(100);
