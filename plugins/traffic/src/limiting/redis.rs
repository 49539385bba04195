//! The policies that keep counts in Redis: which server, and with what settings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lockgate_plugin::{Compile, ConfigError};
use lockgate_redis::{
    Address, Client, Clients, Cluster, Credentials, Error, Options, PORT, Role, Sentinel, Settings,
    Single, TIMEOUT, Tls,
};
use serde::Deserialize;
use serde_json::Value;

use super::Policy;

/// Members that a configuration has for one of the policies. The schema requires what a policy needs, and gives defaults.
#[derive(Deserialize)]
struct Members {
    redis_host: Option<String>,
    redis_port: Option<u16>,
    redis_username: Option<String>,
    redis_password: Option<String>,
    redis_database: Option<u32>,
    redis_timeout: Option<u64>,
    redis_ssl: Option<bool>,
    redis_ssl_verify: Option<bool>,
    redis_keepalive_timeout: Option<u64>,
    redis_cluster_nodes: Option<Vec<String>>,
    redis_cluster_name: Option<String>,
    redis_cluster_ssl: Option<bool>,
    redis_cluster_ssl_verify: Option<bool>,
    redis_sentinels: Option<Vec<Server>>,
    redis_master_name: Option<String>,
    redis_role: Option<ServerRole>,
    redis_connect_timeout: Option<u64>,
    redis_read_timeout: Option<u64>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
}

#[derive(Deserialize)]
struct Server {
    host: String,
    port: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ServerRole {
    Master,
    Slave,
}

/// The client for a policy; `None` for the one that counts in this node. All who have the same settings share one. A reload makes
/// others, which read the trusted roots again and resolve names as the configuration says then; workers have new connections then anyway.
///
/// # Errors
/// The settings are none.
pub(crate) fn client(policy: Policy, cx: &Compile<'_>) -> Result<Option<Arc<Client>>, ConfigError> {
    let settings = match policy {
        Policy::Local => return Ok(None),
        Policy::Redis => Settings::Single(cx.read::<Members>()?.single()?),
        Policy::RedisCluster => Settings::Cluster(cx.read::<Members>()?.cluster()?),
        Policy::RedisSentinel => Settings::Sentinel(cx.read::<Members>()?.sentinel()?),
    };
    let clients = cx.node.shared_until_reload(|node| {
        let options = node.options();
        Clients::new(Options {
            resolver: options.resolver.clone(),
            trusted: options.trusted.clone(),
            workers: options.workers,
        })
    });
    let client = clients.get(&settings);
    let client = client.map_err(|error| ConfigError::new(error.to_string()))?;
    Ok(Some(client))
}

/// Whom a configuration counts at: the same text for the same settings, also after a reload, which makes another client for them.
pub(crate) fn identity(config: &Value) -> String {
    let is_about_it = |name: &str| {
        name == "policy" || name.starts_with("redis_") || name.starts_with("sentinel_")
    };
    let members = config.as_object().into_iter().flatten();
    let members: BTreeMap<_, _> = members.filter(|(name, _)| is_about_it(name)).collect();
    format!("{members:?}")
}

/// An answer that a script of ours does not give.
pub(crate) fn unexpected() -> Error {
    Error::Malformed("not what the script answers".into())
}

fn milliseconds(given: Option<u64>, otherwise: Duration) -> Duration {
    given.map_or(otherwise, Duration::from_millis)
}

fn tls(is_on: Option<bool>, verifies: Option<bool>) -> Option<Tls> {
    (is_on == Some(true)).then_some(Tls {
        verify: verifies == Some(true),
    })
}

fn credentials(username: Option<String>, password: Option<String>) -> Credentials {
    Credentials {
        username,
        password: password.unwrap_or_default().into(),
    }
}

fn required<T>(given: Option<T>, name: &str) -> Result<T, ConfigError> {
    given.ok_or_else(|| ConfigError(format!("property \"{name}\" is required")))
}

impl Members {
    fn single(self) -> Result<Single, ConfigError> {
        let host = required(self.redis_host, "redis_host")?;
        let address = Address::new(host, self.redis_port.unwrap_or(PORT));
        let defaults = Single::new(address);
        Ok(Single {
            credentials: credentials(self.redis_username, self.redis_password),
            database: self.redis_database.unwrap_or(0),
            timeout: milliseconds(self.redis_timeout, TIMEOUT),
            tls: tls(self.redis_ssl, self.redis_ssl_verify),
            keepalive_timeout: milliseconds(
                self.redis_keepalive_timeout,
                defaults.keepalive_timeout,
            ),
            ..defaults
        })
    }

    fn cluster(self) -> Result<Cluster, ConfigError> {
        let nodes = required(self.redis_cluster_nodes, "redis_cluster_nodes")?;
        let nodes: Result<_, _> = nodes.iter().map(|text| address(text)).collect();
        let name = required(self.redis_cluster_name, "redis_cluster_name")?;
        let defaults = Cluster::new(nodes?, name);
        Ok(Cluster {
            credentials: credentials(None, self.redis_password),
            timeout: milliseconds(self.redis_timeout, TIMEOUT),
            tls: tls(self.redis_cluster_ssl, self.redis_cluster_ssl_verify),
            keepalive_timeout: milliseconds(
                self.redis_keepalive_timeout,
                defaults.keepalive_timeout,
            ),
            ..defaults
        })
    }

    fn sentinel(self) -> Result<Sentinel, ConfigError> {
        let sentinels = required(self.redis_sentinels, "redis_sentinels")?;
        let sentinels = sentinels
            .into_iter()
            .map(|server| Address::new(server.host, server.port));
        let name = required(self.redis_master_name, "redis_master_name")?;
        let defaults = Sentinel::new(sentinels.collect(), name);
        Ok(Sentinel {
            role: match self.redis_role {
                Some(ServerRole::Slave) => Role::Replica,
                Some(ServerRole::Master) | None => Role::Master,
            },
            credentials: credentials(self.redis_username, self.redis_password),
            sentinel_credentials: credentials(self.sentinel_username, self.sentinel_password),
            database: self.redis_database.unwrap_or(0),
            connect_timeout: milliseconds(self.redis_connect_timeout, TIMEOUT),
            read_timeout: milliseconds(self.redis_read_timeout, TIMEOUT),
            keepalive_timeout: milliseconds(
                self.redis_keepalive_timeout,
                defaults.keepalive_timeout,
            ),
            ..defaults
        })
    }
}

/// `host:port`, or a host alone.
fn address(text: &str) -> Result<Address, ConfigError> {
    match text.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => Ok(Address::new(host.trim_matches(['[', ']']), port)),
            Err(_) => Err(ConfigError(format!("failed to parse address: {text}"))),
        },
        None => Ok(Address::new(text, PORT)),
    }
}
