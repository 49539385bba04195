//! Whom DNS is asked, and how: resolv.conf(5), and what is said against it.

use std::{net::SocketAddr, path::Path, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    system_conf::parse_resolv_conf,
};

use super::DnsOptions;

/// What a resolver is built of.
pub(super) struct Asking<'a> {
    /// Empty for those of the file.
    pub(super) servers: &'a [SocketAddr],
    pub(super) resolv_conf: &'a Path,
    pub(super) uses_search: bool,
    /// For a whole question, with all attempts.
    pub(super) timeout: Duration,
}

impl<'a> Asking<'a> {
    pub(super) fn of(options: &'a DnsOptions) -> Self {
        Self {
            servers: &options.servers,
            resolv_conf: &options.resolv_conf,
            uses_search: options.uses_search,
            timeout: options.timeout,
        }
    }

    /// A resolver without memory; `None`, and a line in the log, where no server is known.
    pub(super) fn resolver(&self, strategy: LookupIpStrategy) -> Option<TokioResolver> {
        match self.build(strategy) {
            Ok(resolver) => Some(resolver),
            Err(error) => {
                let file = self.resolv_conf.display();
                tracing::warn!(%file, %error, "no name server is known: names resolve by the hosts file alone");
                None
            }
        }
    }

    pub(super) fn build(&self, strategy: LookupIpStrategy) -> Result<TokioResolver, NetError> {
        let text = std::fs::read(self.resolv_conf);
        let text = if self.servers.is_empty() {
            text?
        } else {
            // A file without servers is refused, and theirs are not asked here.
            [&text.unwrap_or_default(), &b"\nnameserver 127.0.0.1\n"[..]].concat()
        };
        let (system, file) = parse_resolv_conf(text)?;
        let search = if self.uses_search {
            system.search().to_vec()
        } else {
            Vec::new()
        };
        let servers = if self.servers.is_empty() {
            system.name_servers().to_vec()
        } else {
            self.servers.iter().copied().map(server).collect()
        };
        let config = ResolverConfig::from_parts(None, search, servers);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let settings = builder.options_mut();
        settings.ndots = file.ndots;
        settings.edns0 = file.edns0;
        settings.attempts = file.attempts.max(1);
        // A lost datagram must leave time for another attempt.
        let share = self.timeout / (settings.attempts as u32 + 1);
        settings.timeout = file.timeout.min(share);
        settings.use_hosts_file = ResolveHosts::Never;
        settings.ip_strategy = strategy;
        // Times to live are kept by the caller, where a stale answer can still serve.
        settings.cache_size = 0;
        builder.build()
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut config.connections {
        connection.port = address.port();
    }
    config
}
