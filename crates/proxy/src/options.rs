//! Settings of the data plane, fixed at start.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;

use crate::debug::DebugMode;

/// Settings of the data plane; the names of `config.yaml` are given with each.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of config.yaml"
)]
pub struct Options {
    /// `apisix.node_listen`
    pub listen: Vec<SocketAddr>,
    /// `apisix.proxy_protocol.listen_http_port`
    pub listen_proxy_protocol: Vec<SocketAddr>,
    /// `nginx_config.worker_processes`
    pub workers: usize,
    /// Whether each worker stays on one core (`nginx_config.enable_cpu_affinity`).
    pub pins_workers: bool,
    /// Value of the `Server` field: `APISIX/3.18.0`, or `APISIX` without `apisix.enable_server_tokens`.
    pub server: String,
    /// `apisix.show_upstream_status_in_response_header`
    pub show_upstream_status: bool,
    /// `lockgate.reason_header`: whether `X-Lockgate-Reason` tells clients why an answer is the gateway's own.
    pub reason_header: bool,
    /// `basic.enable` in `debug.yaml`: whether `Apisix-Plugins` tells clients which plugins ran.
    pub debug: DebugMode,
    /// `apisix.delete_uri_tail_slash`
    pub delete_uri_tail_slash: bool,
    /// `apisix.normalize_uri_like_servlet`
    pub normalize_uri_like_servlet: bool,
    /// `apisix.match_uri_encoded_slash`
    pub match_uri_encoded_slash: bool,
    /// `apisix.max_post_args_readable_size` in bytes: the largest body that is looked into for `post_arg` variables.
    pub max_post_args_bytes: u64,
    /// `graphql.max_size` in bytes: the same for `graphql_` variables.
    pub max_graphql_bytes: u64,
    /// `nginx_config.http.client_header_timeout`: a whole request head.
    pub header_timeout: Duration,
    /// `nginx_config.http.client_body_timeout`: between two reads of a body.
    pub body_timeout: Duration,
    /// `nginx_config.http.send_timeout`: between two writes to a client.
    pub send_timeout: Duration,
    /// `nginx_config.http.keepalive_timeout`: an idle connection; zero closes after each response.
    pub keepalive_timeout: Duration,
    /// `nginx_config.http.client_max_body_size` in bytes; 0 is no limit.
    pub max_body_bytes: u64,
    /// `nginx_config.http.charset`, added to the text types of nginx's `charset_types`; `None` for `off`.
    pub charset: Option<String>,
    /// `nginx_config.http.real_ip_from`
    pub real_ip_from: Vec<IpNet>,
    /// `nginx_config.http.real_ip_header`, in lower case.
    pub real_ip_header: String,
    /// `nginx_config.http.real_ip_recursive`
    pub real_ip_recursive: bool,
    /// `apisix.trusted_addresses`
    pub trusted_addresses: Vec<IpNet>,
    /// How long open requests may go on after SIGQUIT (`nginx_config.worker_shutdown_timeout`).
    pub drain_timeout: Duration,
}

impl Default for Options {
    /// The reference's defaults (`apisix/cli/config.lua`), listening nowhere.
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            listen_proxy_protocol: Vec::new(),
            workers: 1,
            pins_workers: false,
            server: "APISIX/3.18.0".into(),
            show_upstream_status: false,
            reason_header: false,
            debug: DebugMode::default(),
            delete_uri_tail_slash: false,
            normalize_uri_like_servlet: false,
            match_uri_encoded_slash: false,
            max_post_args_bytes: 64 << 20,
            max_graphql_bytes: 1 << 20,
            header_timeout: Duration::from_mins(1),
            body_timeout: Duration::from_mins(1),
            send_timeout: Duration::from_secs(10),
            keepalive_timeout: Duration::from_mins(1),
            max_body_bytes: 0,
            charset: Some("utf-8".into()),
            real_ip_from: vec![IpNet::from(std::net::IpAddr::from([127, 0, 0, 1]))],
            real_ip_header: "x-real-ip".into(),
            real_ip_recursive: false,
            trusted_addresses: Vec::new(),
            drain_timeout: Duration::from_mins(4),
        }
    }
}
