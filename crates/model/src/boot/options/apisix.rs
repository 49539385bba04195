//! `apisix`

use super::{ConfigOption, honoured, later, later_though_on, never};

const NO_STREAM: &str = "TCP and UDP are not proxied";
const NO_TLS: &str = "HTTPS is not served: no port is opened for it";
const ADMIN_TLS: &str = "the Admin API alone heeds it, for no port is opened for HTTPS traffic";
const NO_CACHE: &str = "responses are not cached";
const NO_LUA: &str = "no Lua is run: write the extension as a plugin";

/// The options of this block.
pub(super) const OPTIONS: &[ConfigOption] = &[
    honoured(
        "apisix.node_listen",
        "port, or list of ports and of maps with `ip` and `port`",
        "Where requests are accepted. A port alone means all addresses, IPv6 included if `apisix.enable_ipv6` is on.",
    ),
    honoured(
        "apisix.enable_admin",
        "boolean",
        "Whether the Admin API is served.",
    ),
    honoured(
        "apisix.enable_dev_mode",
        "boolean",
        "One worker only, whatever `nginx_config.worker_processes` says.",
    ),
    never(
        "apisix.enable_reuseport",
        "boolean",
        "Whether each worker has a listener of its own.",
        "each worker always has its own listener",
    ),
    honoured(
        "apisix.show_upstream_status_in_response_header",
        "boolean",
        "Whether every response carries `X-APISIX-Upstream-Status`, not only those of status 5xx.",
    ),
    honoured(
        "apisix.enable_ipv6",
        "boolean",
        "Whether ports without `ip` listen on IPv6 too, and names resolve to IPv6 addresses.",
    ),
    later_though_on(
        "apisix.enable_http2",
        "boolean",
        "Whether HTTP/2 is offered to clients.",
        "only HTTP/1.1 is spoken",
    ),
    honoured(
        "apisix.proxy_protocol.listen_http_port",
        "port",
        "A port whose connections begin with the PROXY protocol.",
    ),
    later(
        "apisix.proxy_protocol.listen_https_port",
        "port",
        "The same with TLS.",
        NO_TLS,
    ),
    later(
        "apisix.proxy_protocol.enable_tcp_pp",
        "boolean",
        "Whether stream ports expect the PROXY protocol.",
        NO_STREAM,
    ),
    later(
        "apisix.proxy_protocol.enable_tcp_pp_to_upstream",
        "boolean",
        "Whether it is sent on to upstreams.",
        NO_STREAM,
    ),
    honoured(
        "apisix.enable_server_tokens",
        "boolean",
        "Whether the `Server` field of responses has the version in it.",
    ),
    never(
        "apisix.extra_lua_path",
        "text",
        "Where Lua looks for more modules.",
        NO_LUA,
    ),
    never(
        "apisix.extra_lua_cpath",
        "text",
        "Where Lua looks for more libraries.",
        NO_LUA,
    ),
    never(
        "apisix.lua_module_hook",
        "text",
        "A Lua module that is loaded first.",
        NO_LUA,
    ),
    later(
        "apisix.proxy_cache.cache_ttl",
        "time",
        "How long a response is kept that does not say so itself.",
        NO_CACHE,
    ),
    later(
        "apisix.proxy_cache.zones",
        "list of maps",
        "The caches on disk and in memory. Plugins that name one can name these alone.",
        NO_CACHE,
    ),
    honoured(
        "apisix.delete_uri_tail_slash",
        "boolean",
        "Whether a path is matched without its last slash.",
    ),
    honoured(
        "apisix.normalize_uri_like_servlet",
        "boolean",
        "Whether paths are matched without the parameters that Java servlets take behind `;`.",
    ),
    honoured(
        "apisix.match_uri_encoded_slash",
        "boolean",
        "Whether `%2F` in a path is matched as it is written.",
    ),
    honoured(
        "apisix.max_post_args_readable_size",
        "number of MiB",
        "The largest body that is read to match `post_arg` variables; 0 for no limit.",
    ),
    honoured(
        "apisix.router.http",
        "`radixtree_uri`, `radixtree_host_uri` or `radixtree_uri_with_parameter`",
        "How a request finds its route: by path, by host and path, or by path with parameters in it.",
    ),
    later(
        "apisix.router.ssl",
        "`radixtree_sni`",
        "How a TLS connection finds its certificate.",
        NO_TLS,
    ),
    honoured(
        "apisix.proxy_mode",
        "`http`, `stream` or `http&stream`",
        "What is proxied. With `http&stream` stream routes can be stored, and a warning says that they do nothing, for TCP and UDP are not proxied yet; `stream` alone ends the start.",
    ),
    later(
        "apisix.stream_proxy.tcp",
        "list",
        "Ports of TCP services.",
        NO_STREAM,
    ),
    later(
        "apisix.stream_proxy.udp",
        "list",
        "Ports of UDP services.",
        NO_STREAM,
    ),
    honoured(
        "apisix.dns_resolver",
        "list of addresses",
        "Name servers, each with or without a port; without the option, those of `/etc/resolv.conf`.",
    ),
    honoured(
        "apisix.dns_resolver_valid",
        "number of seconds",
        "How long an answer of a name server holds, whatever it says itself.",
    ),
    honoured(
        "apisix.resolver_timeout",
        "number of seconds",
        "How long an answer of a name server is waited for.",
    ),
    honoured(
        "apisix.enable_resolv_search_opt",
        "boolean",
        "Whether the search list of `/etc/resolv.conf` applies to short names.",
    ),
    honoured(
        "apisix.dns_all_addresses",
        "boolean",
        "Lockgate's own: every address of a node's name is a node of its own, where APISIX takes one by chance. Off by default.",
    ),
    later_though_on(
        "apisix.ssl.enable",
        "boolean",
        "Whether HTTPS is served.",
        NO_TLS,
    ),
    later(
        "apisix.ssl.listen",
        "list of maps with `ip`, `port` and `enable_http3`",
        "Where HTTPS is served.",
        NO_TLS,
    ),
    honoured(
        "apisix.ssl.ssl_trusted_certificate",
        "path, or `system`",
        "File of the certificate authorities that upstreams are checked against, in PEM.",
    ),
    later(
        "apisix.ssl.ssl_protocols",
        "text",
        "Versions of TLS that clients may use. `TLSv1.2` and `TLSv1.3` are spoken.",
        ADMIN_TLS,
    ),
    later(
        "apisix.ssl.ssl_ciphers",
        "text",
        "Ciphers of TLS 1.2 that clients may use. Those with `DHE` are not there.",
        ADMIN_TLS,
    ),
    later(
        "apisix.ssl.ssl_session_tickets",
        "boolean",
        "Whether sessions are resumed by tickets.",
        NO_TLS,
    ),
    later(
        "apisix.ssl.fallback_sni",
        "text",
        "The name taken for clients that ask for none.",
        NO_TLS,
    ),
    later(
        "apisix.ssl.ssl_cert",
        "path",
        "Where the reference keeps a placeholder; no effect there either.",
        NO_TLS,
    ),
    later(
        "apisix.ssl.ssl_cert_key",
        "path",
        "Where the reference keeps a placeholder; no effect there either.",
        NO_TLS,
    ),
    honoured(
        "apisix.enable_control",
        "boolean",
        "Whether the control API is served.",
    ),
    honoured(
        "apisix.control.ip",
        "address",
        "Where the control API is served; `127.0.0.1` if not said.",
    ),
    honoured("apisix.control.port", "port", "Its port; 9090 if not said."),
    honoured(
        "apisix.control.router",
        "`radixtree_uri_with_parameter`, or none",
        "How paths of the control API are matched; its paths are matched alike by both.",
    ),
    honoured(
        "apisix.status.ip",
        "address",
        "Where `/status` and `/status/ready` are served, if there is a block `apisix.status`; `127.0.0.1` if not said.",
    ),
    honoured(
        "apisix.status.port",
        "port",
        "Their port; 7085 if not said.",
    ),
    never(
        "apisix.disable_sync_configuration_during_start",
        "boolean",
        "Whether workers begin without the configuration.",
        "requests are accepted once the configuration has been read",
    ),
    never(
        "apisix.worker_startup_time_threshold",
        "number of seconds",
        "Tells a start from a restart after a crash.",
        "workers do not crash one by one",
    ),
    honoured(
        "apisix.id",
        "text",
        "Name of this instance. It is kept in `conf/apisix.uid`, and what is there goes before; without both it is made at random.",
    ),
    honoured(
        "apisix.data_encryption.enable_encrypt_fields",
        "boolean",
        "Whether secret fields of plugins are stored encrypted.",
    ),
    honoured(
        "apisix.data_encryption.keyring",
        "key, or list of keys",
        "Keys of that encryption and of private keys: the first encrypts, and all decrypt. Of 16 or 32 bytes.",
    ),
    honoured(
        "apisix.disable_upstream_healthcheck",
        "boolean",
        "Whether health checks are off, whatever upstreams say.",
    ),
    honoured(
        "apisix.trusted_addresses",
        "list of addresses and networks",
        "Whose `X-Forwarded-*` fields are believed; without the option, nobody's.",
    ),
    honoured(
        "apisix.lru.secret.ttl",
        "number of seconds",
        "How long a secret is used before it is looked up anew, in the background.",
    ),
    honoured(
        "apisix.lru.secret.count",
        "number",
        "How many secrets that nothing uses are kept.",
    ),
    honoured(
        "apisix.lru.secret.neg_ttl",
        "number of seconds",
        "How long a lookup that failed stands before the next one.",
    ),
    honoured(
        "apisix.lru.secret.neg_count",
        "number",
        "How many of those that nothing uses are kept.",
    ),
    later(
        "apisix.tracing",
        "boolean",
        "Whether each phase of a request becomes a span.",
        "no traces are made",
    ),
];
