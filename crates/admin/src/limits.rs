//! Bounds of both APIs.

use std::time::Duration;

/// Bytes of a request body, 1.5 MiB (`MAX_REQ_BODY` in `apisix/admin/init.lua`).
pub(crate) const BODY_BYTES: u64 = 1_572_864;

/// Bytes of a whole configuration in the body of a request. The reference has no such bound.
pub(crate) const CONFIGURATION_BYTES: u64 = 64 << 20;

/// Bytes of a refused body that are read and thrown away, so that a client that writes before it reads still gets its answer.
pub(crate) const REFUSED_BODY_BYTES: u64 = 16 << 20;

/// Time spent on reading a refused body away.
pub(crate) const REFUSED_BODY_TIME: Duration = Duration::from_secs(10);

/// Time for a request head, and that a connection may wait between two requests. nginx in the reference: `client_header_timeout` and
/// `keepalive_timeout`, 60 s each.
pub(crate) const HEAD_TIME: Duration = Duration::from_mins(1);

/// Time between two pieces of a body (`client_body_timeout` of the reference, 60 s).
pub(crate) const BODY_PIECE_TIME: Duration = Duration::from_mins(1);

/// Time for a whole body. nginx has no such bound; without it a client could keep a connection for years.
pub(crate) const BODY_TIME: Duration = Duration::from_mins(5);

/// Time that an answer may wait for the client to take some of it (`send_timeout` of the reference is 10 s; listings may be large and
/// links slow).
pub(crate) const WRITE_TIME: Duration = Duration::from_secs(30);

/// Time that requests begun get to end after the stop.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Connections of one API at a time; further ones wait in the kernel's queue. Far above what people and controllers need.
pub(crate) const CONNECTIONS: usize = 1024;

/// Connections to the metrics' own port at a time. Whoever is asking holds what the text is made from, some bytes for each series, and
/// scrapers are few.
pub(crate) const METRICS_CONNECTIONS: usize = 64;

/// Pieces of metrics that are made in a row before others have their turn: some tenths of a millisecond.
pub(crate) const METRICS_STEP: usize = 4;

/// Time in which metrics have to be taken; by default, Prometheus gives up after ten seconds.
pub(crate) const METRICS_TIME: Duration = Duration::from_mins(1);

/// Pause after the process ran out of descriptors (nginx: `accept_mutex_delay`, 500 ms).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Levels of arrays and objects in a JSON text. `serde_json` reads no more than 127 from the store, and what the Admin API accepts must be
/// readable there; the reference accepts 1000.
pub(crate) const JSON_DEPTH: usize = 100;

/// Least and most entries of a page (`apisix/admin/v3_adapter.lua`).
pub(crate) const PAGE_SIZE: std::ops::RangeInclusive<f64> = 10.0..=500.0;

/// Longest time to live of an object in seconds (etcd's `MaxLeaseTTL`).
pub(crate) const TTL_SECONDS_MAX: f64 = 9_000_000_000.0;

/// Levels of nested expressions and blocks in Lua (`LJ_MAX_XLEVEL`).
pub(crate) const LUA_LEVELS: usize = 200;

/// Levels of messages inside messages in a `.proto` file (protobuf's own parser stops at 32).
pub(crate) const PROTOBUF_LEVELS: usize = 32;

/// How long a write of a consumer waits until it is known who has its keys, before it looks at all consumers itself.
pub(crate) const HOLDERS_WAIT: Duration = Duration::from_millis(500);

/// Consumers that are read in one go, while others wait: some milliseconds.
pub(crate) const HOLDERS_STEP: usize = 1024;

/// Seconds for which the configuration of a group of `limit-count` is remembered (`PLUGIN_TTL` of `apisix/core/lrucache.lua`).
pub(crate) const LIMIT_GROUP_SECONDS: u64 = 300;

/// Groups of `limit-count` that are remembered (`PLUGIN_ITEMS_COUNT` of the same file).
pub(crate) const LIMIT_GROUPS: usize = 8;

/// Largest file of the dashboard that is served; it is held in memory while it is sent. Bundles of such pages have a few megabytes.
pub(crate) const UI_FILE_BYTES: u64 = 32 << 20;

/// Columns of a line that a value may fill where answers are written for people: a terminal, or half a screen.
pub(crate) const COLUMNS: usize = 120;
