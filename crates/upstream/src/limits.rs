//! Bounds of this crate.

use std::time::Duration;

/// Points of a ring per unit of weight (`apisix/balancer/chash.lua`, `CONSISTENT_POINTS`).
pub(crate) const POINTS_PER_WEIGHT: u32 = 160;

/// Most points of one ring: 32 MiB. Weights that ask for more, which the reference fails on or takes gigabytes for, are
/// scaled down together.
pub(crate) const RING_POINTS: u64 = 1 << 22;

/// Seconds after which a latency counts for 1/e (`apisix/balancer/ewma.lua`, `DECAY_TIME`).
pub(crate) const LATENCY_DECAY_S: f32 = 10.0;

/// Nodes up to which the least busy one is looked for one by one; more are looked through by blocks. 64 take 60 ns.
pub(crate) const SCANNED_NODES: usize = 64;

/// Probes of the whole process that open a connection at the same time: thousands of silent nodes must not take all sockets.
pub(crate) const PROBES: usize = 512;

/// Most probes that are known before those that are gone are looked for.
pub(crate) const KNOWN_PROBES: usize = 1024;

/// Rounds of probes are due at multiples of this: upstreams by the thousand wake the process up a hundred times a second.
pub(crate) const PROBE_GRID: Duration = Duration::from_millis(10);

/// When answers are looked for while nodes of a round are still to be asked.
pub(crate) const LOOK_SOON: Duration = Duration::from_millis(1);

/// How long the rest of an answer is waited for, whose status is known, so that its connection can be kept.
pub(crate) const PROBE_REST: Duration = Duration::from_millis(100);

/// Longest interval over which the connection of a probe is kept. Servers end idle connections after five seconds or more
/// (Apache and Node.js by default after 5, nginx after 75).
pub(crate) const KEPT_INTERVAL: Duration = Duration::from_secs(5);

/// How many probes a kept connection serves, give or take a half: then a new one shows that the node still takes them.
pub(crate) const KEPT_PROBES: u32 = 60;

/// Bytes of an answer in which a probe looks for the end of the status line.
pub(crate) const STATUS_LINE_BYTES: usize = 8192;

/// `ENFILE` and `EMFILE` of Linux: no file descriptor is left.
pub(crate) const NO_FILES: [i32; 2] = [23, 24];

/// Seconds of its reserve that a retry budget saves up.
pub(crate) const BUDGET_SECONDS: i64 = 10;

/// Further attempts that a retry budget saves up besides.
pub(crate) const BUDGET_BURST: i64 = 100;

/// How often the pause before a further attempt doubles at most.
pub(crate) const DOUBLINGS: u32 = 16;

/// Share of its weight that a node begins a slow start with (as Envoy's `min_weight_percent`).
pub(crate) const SLOW_START_MIN: f32 = 0.1;

/// How often a choice is made anew while it falls on nodes that start slowly.
pub(crate) const SLOW_START_CHOICES: usize = 8;
