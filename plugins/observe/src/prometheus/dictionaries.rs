//! The reference's shared dictionaries, which dashboards draw.
//!
//! This gateway has none: what they hold there lies in ordinary memory here. They are reported as empty, with the sizes that the
//! reference's own `config.yaml` gives them (`apisix/cli/config.lua`, `ngx_tpl.lua`).

/// Names and bytes.
pub(super) const DICTIONARIES: &[(&str, u32)] = &[
    ("access-tokens", 1 << 20),
    ("balancer-ewma", 10 << 20),
    ("balancer-ewma-last-touched-at", 10 << 20),
    ("balancer-ewma-locks", 10 << 20),
    ("cas_sessions", 10 << 20),
    ("discovery", 1 << 20),
    ("etcd-cluster-health-check", 10 << 20),
    ("ext-plugin", 1 << 20),
    ("internal-status", 10 << 20),
    ("introspection", 10 << 20),
    ("jwks", 1 << 20),
    ("lrucache-lock", 10 << 20),
    ("mcp-session", 10 << 20),
    ("memory_cache", 50 << 20),
    ("nacos", 64 << 20),
    ("plugin-ai-rate-limiting", 10 << 20),
    ("plugin-ai-rate-limiting-reset-header", 10 << 20),
    ("plugin-api-breaker", 10 << 20),
    ("plugin-graphql-limit-count", 10 << 20),
    ("plugin-graphql-limit-count-reset-header", 10 << 20),
    ("plugin-limit-conn", 10 << 20),
    ("plugin-limit-conn-redis-cluster-slot-lock", 1 << 20),
    ("plugin-limit-count", 10 << 20),
    ("plugin-limit-count-lock", 1 << 20),
    ("plugin-limit-count-redis-cluster-slot-lock", 1 << 20),
    ("plugin-limit-count-reset-header", 10 << 20),
    ("plugin-limit-req", 10 << 20),
    ("plugin-limit-req-redis-cluster-slot-lock", 1 << 20),
    ("prometheus-cache", 10 << 20),
    ("prometheus-metrics", 128 << 20),
    ("redis_cluster_health", 10 << 20),
    ("upstream-healthcheck", 10 << 20),
    ("worker-events", 10 << 20),
];
