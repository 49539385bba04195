//! The families of the reference: names, HELP texts, labels and buckets of its 3.18 (`plugins/prometheus/exporter.lua`,
//! `utils/batch-processor.lua`, `stream/xrpc/protocols/redis/metrics.lua`, and `prometheus.lua` of nginx-lua-prometheus).
//!
//! Names are without the prefix, which is `apisix_` unless `metric_prefix` is another. Labels that users add (`extra_labels`) come
//! behind these.

use crate::{Buckets, Declaration, Kind};

/// A family of the reference.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Name without the prefix.
    pub name: &'static str,
    /// HELP text.
    pub help: &'static str,
    /// What it is to be declared as.
    pub kind: Kind,
    /// Names of the labels, in order.
    pub labels: &'static [&'static str],
    /// Bounds of the buckets, of a histogram, unless the configuration has others.
    pub buckets: &'static [f64],
}

impl Known {
    const fn new(
        name: &'static str,
        kind: Kind,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            help,
            kind,
            labels,
            buckets: &[],
        }
    }

    const fn buckets(self, buckets: &'static [f64]) -> Self {
        Self { buckets, ..self }
    }

    /// As a registry takes it.
    pub fn declaration(&self) -> Declaration {
        Declaration::new(self.name, self.help, self.labels)
    }

    /// The bounds of its buckets, as a registry takes them.
    pub fn default_buckets(&self) -> Buckets {
        Buckets::new(self.buckets.iter().copied())
    }
}

/// Bounds of latencies, in milliseconds, unless `default_buckets` has others.
pub const LATENCY_BUCKETS_MS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0,
    30_000.0, 60_000.0,
];

/// Bounds of numbers of tokens.
pub const TOKEN_BUCKETS: &[f64] = &[
    1.0,
    10.0,
    50.0,
    100.0,
    200.0,
    500.0,
    1000.0,
    2000.0,
    5000.0,
    10_000.0,
    20_000.0,
    50_000.0,
    100_000.0,
    200_000.0,
    500_000.0,
    1_000_000.0,
];

/// Bounds of latencies of Redis commands, in seconds.
pub const REDIS_BUCKETS_SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// Bytes of a label value that names a model, which clients choose; what is beyond is cut off.
pub const MODEL_LABEL_BYTES: usize = 128;

/// Labels of latency by `type`, and of bandwidth.
const BY_TYPE: &[&str] = &[
    "type",
    "route",
    "service",
    "consumer",
    "node",
    "request_type",
    "request_llm_model",
    "llm_model",
];

/// Labels of tokens.
const TOKENS: &[&str] = &[
    "route_id",
    "service_id",
    "consumer",
    "node",
    "request_type",
    "request_llm_model",
    "llm_model",
];

/// Labels of the AI cache.
const AI_CACHE: &[&str] = &[
    "route",
    "route_id",
    "service",
    "service_id",
    "consumer",
    "node",
    "request_type",
    "request_llm_model",
    "llm_model",
];

/// Requests by status.
pub const HTTP_STATUS: Known = Known::new(
    "http_status",
    Kind::Counter,
    "HTTP status codes per service in APISIX",
    &[
        "code",
        "route",
        "matched_uri",
        "matched_host",
        "service",
        "consumer",
        "node",
        "request_type",
        "request_llm_model",
        "llm_model",
        "response_source",
    ],
);

/// Milliseconds of requests, by `type`: `request`, `upstream`, `apisix`.
pub const HTTP_LATENCY: Known = Known::new(
    "http_latency",
    Kind::Histogram,
    "HTTP request latency in milliseconds per service in APISIX",
    BY_TYPE,
)
.buckets(LATENCY_BUCKETS_MS);

/// Bytes, by `type`: `ingress`, `egress`.
pub const BANDWIDTH: Known = Known::new(
    "bandwidth",
    Kind::Counter,
    "Total bandwidth in bytes consumed per service in APISIX",
    BY_TYPE,
);

/// Requests of clients so far. A gauge, though it only rises.
pub const HTTP_REQUESTS_TOTAL: Known = Known::new(
    "http_requests_total",
    Kind::Gauge,
    "The total number of client requests since APISIX started",
    &[],
);

/// Connections of clients, by `state`: `active`, `accepted`, `handled`, `reading`, `writing`, `waiting`.
pub const NGINX_HTTP_CURRENT_CONNECTIONS: Known = Known::new(
    "nginx_http_current_connections",
    Kind::Gauge,
    "Number of HTTP connections",
    &["state"],
);

/// Errors in counting.
pub const NGINX_METRIC_ERRORS_TOTAL: Known = Known::new(
    "nginx_metric_errors_total",
    Kind::Counter,
    "Number of nginx-lua-prometheus errors",
    &[],
);

/// Whether etcd can be reached: 1 or 0.
pub const ETCD_REACHABLE: Known = Known::new(
    "etcd_reachable",
    Kind::Gauge,
    "Config server etcd reachable from APISIX, 0 is unreachable",
    &[],
);

/// Latest revisions, by kind of object.
pub const ETCD_MODIFY_INDEXES: Known = Known::new(
    "etcd_modify_indexes",
    Kind::Gauge,
    "Etcd modify index for APISIX keys",
    &["key"],
);

/// Always 1.
pub const NODE_INFO: Known = Known::new(
    "node_info",
    Kind::Gauge,
    "Info of APISIX node",
    &["hostname", "version"],
);

/// Sizes of shared tables.
pub const SHARED_DICT_CAPACITY_BYTES: Known = Known::new(
    "shared_dict_capacity_bytes",
    Kind::Gauge,
    "The capacity of each nginx shared DICT since APISIX start",
    &["name"],
);

/// Room left in shared tables.
pub const SHARED_DICT_FREE_SPACE_BYTES: Known = Known::new(
    "shared_dict_free_space_bytes",
    Kind::Gauge,
    "The free space of each nginx shared DICT since APISIX start",
    &["name"],
);

/// Nodes that are checked: 1 for healthy, 0 for not.
pub const UPSTREAM_STATUS: Known = Known::new(
    "upstream_status",
    Kind::Gauge,
    "Upstream status from health check",
    &["name", "ip", "port"],
);

/// Entries that wait in batches.
pub const BATCH_PROCESS_ENTRIES: Known = Known::new(
    "batch_process_entries",
    Kind::Gauge,
    "batch process remaining entries",
    &["name", "route_id", "server_addr"],
);

/// Milliseconds of answers of models, by `type`: `total`, `ttft`.
pub const LLM_LATENCY: Known = Known::new(
    "llm_latency",
    Kind::Histogram,
    "LLM request latency in milliseconds",
    &[
        "type",
        "route_id",
        "service_id",
        "consumer",
        "node",
        "request_type",
        "request_llm_model",
        "llm_model",
    ],
)
.buckets(LATENCY_BUCKETS_MS);

/// Tokens of questions.
pub const LLM_PROMPT_TOKENS: Known = Known::new(
    "llm_prompt_tokens",
    Kind::Counter,
    "LLM service consumed prompt tokens",
    TOKENS,
);

/// Tokens of answers.
pub const LLM_COMPLETION_TOKENS: Known = Known::new(
    "llm_completion_tokens",
    Kind::Counter,
    "LLM service consumed completion tokens",
    TOKENS,
);

/// Tokens per question.
pub const LLM_PROMPT_TOKENS_DIST: Known = Known::new(
    "llm_prompt_tokens_dist",
    Kind::Histogram,
    "LLM prompt tokens distribution per request",
    TOKENS,
)
.buckets(TOKEN_BUCKETS);

/// Tokens per answer.
pub const LLM_COMPLETION_TOKENS_DIST: Known = Known::new(
    "llm_completion_tokens_dist",
    Kind::Histogram,
    "LLM completion tokens distribution per request",
    TOKENS,
)
.buckets(TOKEN_BUCKETS);

/// Requests that a model is answering.
pub const LLM_ACTIVE_CONNECTIONS: Known = Known::new(
    "llm_active_connections",
    Kind::Gauge,
    "Number of active connections to LLM service",
    &[
        "route",
        "route_id",
        "matched_uri",
        "matched_host",
        "service",
        "service_id",
        "consumer",
        "node",
        "request_type",
        "request_llm_model",
        "llm_model",
    ],
);

/// Answers from the AI cache, by `layer`: `exact`, `semantic`.
pub const AI_CACHE_HITS_TOTAL: Known = Known::new(
    "ai_cache_hits_total",
    Kind::Counter,
    "Total AI cache hits served, per cache layer",
    &[
        "layer",
        "route",
        "route_id",
        "service",
        "service_id",
        "consumer",
        "node",
        "request_type",
        "request_llm_model",
        "llm_model",
    ],
);

/// Requests that the AI cache had no answer to.
pub const AI_CACHE_MISSES_TOTAL: Known = Known::new(
    "ai_cache_misses_total",
    Kind::Counter,
    "Total AI cache misses",
    AI_CACHE,
);

/// Requests that passed by the AI cache.
pub const AI_CACHE_BYPASSES_TOTAL: Known = Known::new(
    "ai_cache_bypasses_total",
    Kind::Counter,
    "Total AI cache bypassed requests",
    AI_CACHE,
);

/// Milliseconds of embedding calls of the AI cache.
pub const AI_CACHE_EMBEDDING_LATENCY: Known = Known::new(
    "ai_cache_embedding_latency",
    Kind::Histogram,
    "Latency of AI cache embedding calls in milliseconds",
    AI_CACHE,
)
.buckets(LATENCY_BUCKETS_MS);

/// Stream sessions by route.
pub const STREAM_CONNECTION_TOTAL: Known = Known::new(
    "stream_connection_total",
    Kind::Counter,
    "Total number of connections handled per stream route in APISIX",
    &["route"],
);

/// Stream sessions that are open, by listening address.
pub const STREAM_ACTIVE_CONNECTIONS: Known = Known::new(
    "stream_active_connections",
    Kind::Gauge,
    "Number of stream sessions currently being proxied per listening address",
    &["listen_addr"],
);

/// Stream sessions by how they ended.
pub const STREAM_STATUS: Known = Known::new(
    "stream_status",
    Kind::Counter,
    "Stream sessions per termination status in APISIX",
    &["code", "listen_addr", "node"],
);

/// Bytes of stream sessions, by `type`: `ingress`, `egress`; and `side`: `downstream`, `upstream`.
pub const STREAM_BANDWIDTH: Known = Known::new(
    "stream_bandwidth",
    Kind::Counter,
    "Total bandwidth in bytes proxied by the stream subsystem in APISIX",
    &["listen_addr", "type", "side"],
);

/// Redis commands that passed a stream route.
pub const REDIS_COMMANDS_TOTAL: Known = Known::new(
    "redis_commands_total",
    Kind::Counter,
    "Total number of requests for a specific Redis command",
    &["route", "command"],
);

/// Seconds of Redis commands that passed a stream route.
pub const REDIS_COMMANDS_LATENCY_SECONDS: Known = Known::new(
    "redis_commands_latency_seconds",
    Kind::Histogram,
    "Latency of requests for a specific Redis command",
    &["route", "command"],
)
.buckets(REDIS_BUCKETS_SECONDS);

/// All of them.
pub const ALL: &[Known] = &[
    HTTP_STATUS,
    HTTP_LATENCY,
    BANDWIDTH,
    HTTP_REQUESTS_TOTAL,
    NGINX_HTTP_CURRENT_CONNECTIONS,
    NGINX_METRIC_ERRORS_TOTAL,
    ETCD_REACHABLE,
    ETCD_MODIFY_INDEXES,
    NODE_INFO,
    SHARED_DICT_CAPACITY_BYTES,
    SHARED_DICT_FREE_SPACE_BYTES,
    UPSTREAM_STATUS,
    BATCH_PROCESS_ENTRIES,
    LLM_LATENCY,
    LLM_PROMPT_TOKENS,
    LLM_COMPLETION_TOKENS,
    LLM_PROMPT_TOKENS_DIST,
    LLM_COMPLETION_TOKENS_DIST,
    LLM_ACTIVE_CONNECTIONS,
    AI_CACHE_HITS_TOTAL,
    AI_CACHE_MISSES_TOTAL,
    AI_CACHE_BYPASSES_TOTAL,
    AI_CACHE_EMBEDDING_LATENCY,
    STREAM_CONNECTION_TOTAL,
    STREAM_ACTIVE_CONNECTIONS,
    STREAM_STATUS,
    STREAM_BANDWIDTH,
    REDIS_COMMANDS_TOTAL,
    REDIS_COMMANDS_LATENCY_SECONDS,
];
