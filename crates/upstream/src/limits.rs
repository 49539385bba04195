//! Bounds of this crate.

/// Points of a ring per unit of weight (`apisix/balancer/chash.lua`, `CONSISTENT_POINTS`).
pub(crate) const POINTS_PER_WEIGHT: u32 = 160;

/// Most points of one ring: 32 MiB. Weights that ask for more, which the reference fails on or takes gigabytes for, are
/// scaled down together.
pub(crate) const RING_POINTS: u64 = 1 << 22;

/// Seconds after which a latency counts for 1/e (`apisix/balancer/ewma.lua`, `DECAY_TIME`).
pub(crate) const LATENCY_DECAY_S: f32 = 10.0;

/// Nodes up to which the least busy one is looked for one by one; more are looked through by blocks. 64 take 60 ns.
pub(crate) const SCANNED_NODES: usize = 64;

/// Probes of the whole process at the same time: each has a socket, and thousands of silent nodes must not take them all.
pub(crate) const PROBES: usize = 512;

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
