//! `nginx_config`

use super::{ConfigOption, honoured, later, never};

const NO_STREAM: &str = "TCP and UDP are not proxied";
const NO_SNIPPET: &str = "nginx directives cannot be taken over: use the option of config.yaml or the plugin that does the same";
const NO_DICT: &str =
    "there are no Lua dictionaries: memory is taken as it is needed, so leave the sizes out";
const NO_TIMERS: &str = "there are no Lua timers to limit, so leave it out";

/// The options of this block.
pub(super) const OPTIONS: &[ConfigOption] = &[
    never(
        "nginx_config.user",
        "text",
        "User that workers run as.",
        "workers are threads of one process: start it as that user, with CAP_NET_BIND_SERVICE where it listens on low ports",
    ),
    honoured(
        "nginx_config.error_log",
        "path, or `syslog:server=…`",
        "File of the error log, relative to the prefix; `stderr`, `/dev/stderr` and syslog work too.",
    ),
    honoured(
        "nginx_config.error_log_level",
        "`debug`, `info`, `notice`, `warn`, `error`, `crit`, `alert` or `emerg`",
        "The least important lines that are written.",
    ),
    honoured(
        "nginx_config.worker_processes",
        "`auto` or number",
        "Workers, threads of this one process; `auto` is one for each core. The variable `APISIX_WORKER_PROCESSES` wins.",
    ),
    honoured(
        "nginx_config.enable_cpu_affinity",
        "boolean",
        "Whether each worker stays on one core.",
    ),
    honoured(
        "nginx_config.worker_rlimit_nofile",
        "number",
        "How many files and connections the process may have open; at least `event.worker_connections` and some.",
    ),
    honoured(
        "nginx_config.worker_shutdown_timeout",
        "time",
        "How long requests may go on after SIGQUIT, and on workers that a reload has replaced.",
    ),
    never(
        "nginx_config.max_pending_timers",
        "number",
        "Most Lua timers that wait.",
        NO_TIMERS,
    ),
    never(
        "nginx_config.max_running_timers",
        "number",
        "Most Lua timers that run.",
        NO_TIMERS,
    ),
    later(
        "nginx_config.event.worker_connections",
        "number",
        "Most connections of one worker.",
        "connections are limited by worker_rlimit_nofile alone",
    ),
    never(
        "nginx_config.envs",
        "list of texts",
        "Variables that workers may see.",
        "every variable of the process can be seen, so leave it out",
    ),
    never(
        "nginx_config.meta.*",
        "map",
        "Sizes of Lua dictionaries.",
        NO_DICT,
    ),
    never(
        "nginx_config.main_configuration_snippet",
        "text",
        "nginx directives.",
        NO_SNIPPET,
    ),
    never(
        "nginx_config.http_configuration_snippet",
        "text",
        "nginx directives.",
        NO_SNIPPET,
    ),
    never(
        "nginx_config.http_server_configuration_snippet",
        "text",
        "nginx directives.",
        NO_SNIPPET,
    ),
    never(
        "nginx_config.http_server_location_configuration_snippet",
        "text",
        "nginx directives.",
        NO_SNIPPET,
    ),
    never(
        "nginx_config.http_admin_configuration_snippet",
        "text",
        "nginx directives.",
        NO_SNIPPET,
    ),
    never(
        "nginx_config.http_end_configuration_snippet",
        "text",
        "nginx directives.",
        NO_SNIPPET,
    ),
    never(
        "nginx_config.stream_configuration_snippet",
        "text",
        "nginx directives.",
        NO_SNIPPET,
    ),
    honoured(
        "nginx_config.http.enable_access_log",
        "boolean",
        "Whether requests are logged.",
    ),
    honoured(
        "nginx_config.http.access_log",
        "path, or `off`",
        "File of the access log, relative to the prefix; `/dev/stdout` and `/dev/stderr` work too.",
    ),
    honoured(
        "nginx_config.http.access_log_buffer",
        "size",
        "How much each worker collects before it is written.",
    ),
    honoured(
        "nginx_config.http.access_log_format",
        "text",
        "A line of the access log, with nginx's variables.",
    ),
    honoured(
        "nginx_config.http.access_log_format_escape",
        "`default`, `json` or `none`",
        "How values are made safe in it.",
    ),
    honoured(
        "nginx_config.http.keepalive_timeout",
        "time",
        "How long a connection may wait for its next request; 0 closes it after each.",
    ),
    honoured(
        "nginx_config.http.client_header_timeout",
        "time",
        "How long the head of a request may take.",
    ),
    honoured(
        "nginx_config.http.client_body_timeout",
        "time",
        "How long the next part of its body may take.",
    ),
    honoured(
        "nginx_config.http.client_max_body_size",
        "size",
        "Largest body of a request; 0 is no limit. Larger is answered 413.",
    ),
    honoured(
        "nginx_config.http.send_timeout",
        "time",
        "How long a client may take to accept the next part of a response.",
    ),
    later(
        "nginx_config.http.underscores_in_headers",
        "`on` or `off`",
        "Whether fields with an underscore in their name are passed on.",
        "they always are",
    ),
    honoured(
        "nginx_config.http.real_ip_header",
        "name of a field",
        "The field that a trusted proxy tells the client's address in.",
    ),
    honoured(
        "nginx_config.http.real_ip_recursive",
        "`on` or `off`",
        "Whether addresses of trusted proxies in that field are skipped.",
    ),
    honoured(
        "nginx_config.http.real_ip_from",
        "list of addresses and networks",
        "The trusted proxies.",
    ),
    later(
        "nginx_config.http.proxy_ssl_server_name",
        "boolean",
        "Whether upstreams are told the name they are asked for in TLS.",
        "they always are",
    ),
    honoured(
        "nginx_config.http.upstream.keepalive",
        "number",
        "Idle connections that are kept for each node and worker.",
    ),
    honoured(
        "nginx_config.http.upstream.keepalive_requests",
        "number",
        "Requests that one of them may carry.",
    ),
    honoured(
        "nginx_config.http.upstream.keepalive_timeout",
        "time",
        "How long one may be idle.",
    ),
    honoured(
        "nginx_config.http.charset",
        "text, or `off`",
        "Charset that is added to `Content-Type` of texts that name none.",
    ),
    never(
        "nginx_config.http.variables_hash_max_size",
        "number",
        "Size of nginx's table of variables.",
        "there is no such table, so leave it out",
    ),
    never(
        "nginx_config.http.lua_shared_dict.*",
        "map",
        "Sizes of Lua dictionaries.",
        NO_DICT,
    ),
    never(
        "nginx_config.http.custom_lua_shared_dict.*",
        "map",
        "More Lua dictionaries.",
        NO_DICT,
    ),
    later(
        "nginx_config.stream.enable_access_log",
        "boolean",
        "Whether TCP and UDP sessions are logged.",
        NO_STREAM,
    ),
    later(
        "nginx_config.stream.access_log",
        "path",
        "File of that log.",
        NO_STREAM,
    ),
    later(
        "nginx_config.stream.access_log_format",
        "text",
        "A line of that log.",
        NO_STREAM,
    ),
    later(
        "nginx_config.stream.access_log_format_escape",
        "`default`, `json` or `none`",
        "How values are made safe in it.",
        NO_STREAM,
    ),
    later(
        "nginx_config.stream.real_ip_from",
        "list of addresses and networks",
        "Trusted proxies of TCP services.",
        NO_STREAM,
    ),
    never(
        "nginx_config.stream.metrics_zone_size",
        "size",
        "Memory for the counters of sessions.",
        NO_DICT,
    ),
    never(
        "nginx_config.stream.lua_shared_dict.*",
        "map",
        "Sizes of Lua dictionaries.",
        NO_DICT,
    ),
];
