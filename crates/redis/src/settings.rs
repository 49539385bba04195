//! Where Redis is and how to speak to it. Plugins fill this from their configuration.

use std::{fmt, time::Duration};

use crate::limits;

/// One Redis, however it is made up. Equal settings share one client ([`crate::Clients`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Settings {
    /// `policy: redis`
    Single(Single),
    /// `policy: redis-cluster`
    Cluster(Cluster),
    /// `policy: redis-sentinel`
    Sentinel(Sentinel),
}

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Address {
    /// A host and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        Self { host, port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// A password; empty for none. It never shows itself.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Password(String);

impl Password {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_empty() { "none" } else { "***" })
    }
}

/// Who the gateway is to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// User of an access control list; `None` for the default user. Without a password it does not count
    /// (apisix/utils/redis.lua).
    pub username: Option<String>,
    /// Its password; where it is empty, the gateway does not authenticate.
    pub password: Password,
}

/// TLS towards a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tls {
    /// Whether the server's certificate must be trusted and name the host; `redis_ssl_verify`, default false.
    pub verify: bool,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Single {
    /// `redis_host`, `redis_port`; port 6379.
    pub address: Address,
    /// `redis_username`, `redis_password`; none.
    pub credentials: Credentials,
    /// `redis_database`; 0.
    pub database: u32,
    /// `redis_timeout`: longest for a connection to be ready, and for a command to be answered; 1 s.
    pub timeout: Duration,
    /// `redis_ssl`, `redis_ssl_verify`; plain.
    pub tls: Option<Tls>,
    /// `redis_keepalive_timeout`: how long an unused connection is kept; 10 s. There is no pool whose size could be set: each
    /// worker has one connection.
    pub keepalive_timeout: Duration,
}

impl Single {
    /// A server with the defaults of everything else.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            credentials: Credentials::default(),
            database: 0,
            timeout: limits::TIMEOUT,
            tls: None,
            keepalive_timeout: limits::KEEPALIVE,
        }
    }
}

/// A cluster. Commands go to the masters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// `redis_cluster_nodes`: who is asked for the others; not empty.
    pub nodes: Vec<Address>,
    /// `redis_cluster_name`: tells clusters apart that are otherwise set alike.
    pub name: String,
    /// `redis_password`; none. The reference has no user here.
    pub credentials: Credentials,
    /// `redis_timeout`: longest for a connection to one node to be ready, and for one node's answer; 1 s.
    pub timeout: Duration,
    /// `redis_cluster_ssl`, `redis_cluster_ssl_verify`; plain.
    pub tls: Option<Tls>,
    /// `redis_keepalive_timeout`: how long an unused connection is kept; 10 s.
    pub keepalive_timeout: Duration,
}

impl Cluster {
    /// A cluster with the defaults of everything else.
    pub fn new(nodes: Vec<Address>, name: impl Into<String>) -> Self {
        Self {
            nodes,
            name: name.into(),
            credentials: Credentials::default(),
            timeout: limits::TIMEOUT,
            tls: None,
            keepalive_timeout: limits::KEEPALIVE,
        }
    }
}

/// Which server of a set that sentinels watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// `master`
    #[default]
    Master,
    /// `slave`: one of the replicas.
    Replica,
}

/// A server that sentinels know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sentinel {
    /// `redis_sentinels`, asked in this order; not empty.
    pub sentinels: Vec<Address>,
    /// `redis_master_name`
    pub master_name: String,
    /// `redis_role`; the master.
    pub role: Role,
    /// `redis_username`, `redis_password`, for the server; none.
    pub credentials: Credentials,
    /// `sentinel_username`, `sentinel_password`, for the sentinels; none.
    pub sentinel_credentials: Credentials,
    /// `redis_database`; 0.
    pub database: u32,
    /// `redis_connect_timeout`: longest for one sentinel to answer, and for a connection to one server to be ready; 1 s.
    pub connect_timeout: Duration,
    /// `redis_read_timeout`: longest for a command to be answered; 1 s.
    pub read_timeout: Duration,
    /// `redis_keepalive_timeout`: how long an unused connection is kept; 60 s.
    pub keepalive_timeout: Duration,
}

impl Sentinel {
    /// A server with the defaults of everything else.
    pub fn new(sentinels: Vec<Address>, master_name: impl Into<String>) -> Self {
        Self {
            sentinels,
            master_name: master_name.into(),
            role: Role::Master,
            credentials: Credentials::default(),
            sentinel_credentials: Credentials::default(),
            database: 0,
            connect_timeout: limits::TIMEOUT,
            read_timeout: limits::TIMEOUT,
            keepalive_timeout: limits::SENTINEL_KEEPALIVE,
        }
    }
}

impl Settings {
    /// Longest for a connection to one server to be ready.
    pub(crate) fn connect_timeout(&self) -> Duration {
        match self {
            Self::Single(it) => it.timeout,
            Self::Cluster(it) => it.timeout,
            Self::Sentinel(it) => it.connect_timeout,
        }
    }

    /// Longest for an answer.
    pub(crate) fn read_timeout(&self) -> Duration {
        match self {
            Self::Single(it) => it.timeout,
            Self::Cluster(it) => it.timeout,
            Self::Sentinel(it) => it.read_timeout,
        }
    }

    /// How long an unused connection is kept.
    pub(crate) fn keepalive_timeout(&self) -> Duration {
        match self {
            Self::Single(it) => it.keepalive_timeout,
            Self::Cluster(it) => it.keepalive_timeout,
            Self::Sentinel(it) => it.keepalive_timeout,
        }
    }

    /// TLS towards servers.
    pub(crate) fn tls(&self) -> Option<Tls> {
        match self {
            Self::Single(it) => it.tls,
            Self::Cluster(it) => it.tls,
            Self::Sentinel(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_password() {
        let mut sentinel = Sentinel::new(vec![Address::new("a", 1)], "m");
        sentinel.credentials.password = "geheim".into();
        sentinel.sentinel_credentials.password = "geheim".to_owned().into();
        let shown = format!("{:?}", Settings::Sentinel(sentinel));
        assert!(!shown.contains("geheim"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }
}
