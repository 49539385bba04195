//! The upstream: nodes, how one is chosen and how it is spoken to.

use serde::{Deserialize, Deserializer, de};

use super::{Policy, integer, optional_id, optional_integer};

/// The timeout of each of connect, send and read where nothing else is said, in seconds.
///
/// Source: `apisix/upstream.lua` leaves nginx's `proxy_*_timeout` at its 60 s.
pub const DEFAULT_TIMEOUT_S: f64 = 60.0;

/// An upstream as stored under `/upstreams/{id}` or written into a route or service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// The identifier; the key's last segment wins over what the value says.
    #[serde(deserialize_with = "optional_id")]
    pub id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// The balancer: `roundrobin` (default), `chash`, `ewma`, `least_conn`.
    #[serde(rename = "type")]
    pub balancer: Option<String>,
    /// The nodes; `None` where discovery names them.
    #[serde(deserialize_with = "nodes")]
    pub nodes: Option<Vec<Node>>,
    /// What `chash` hashes.
    pub hash_on: HashOn,
    /// The variable, header or cookie that `chash` hashes.
    pub key: Option<String>,
    /// Protocol to the nodes.
    pub scheme: Scheme,
    /// Which Host header the nodes see.
    pub pass_host: PassHost,
    /// The Host header for [`PassHost::Rewrite`].
    pub upstream_host: Option<String>,
    /// Further attempts after the first; `None` means one for each other node, 0 none.
    #[serde(deserialize_with = "optional_integer")]
    pub retries: Option<i64>,
    /// Seconds within which further attempts may start; 0 or `None` for no limit.
    pub retry_timeout: Option<f64>,
    /// Timeouts of one attempt.
    pub timeout: Option<Timeout>,
    /// Limits of the kept connections.
    pub keepalive_pool: Option<KeepalivePool>,
    /// Client certificate and verification for `https`.
    pub tls: Option<UpstreamTls>,
    /// Health checks, as written; read by [`Checks::read`](super::Checks::read).
    pub checks: Option<serde_json::Value>,
    /// Name of the service in a registry.
    pub service_name: Option<String>,
    /// Which registry.
    pub discovery_type: Option<String>,
    /// Arguments of the registry, as written.
    pub discovery_args: Option<serde_json::Value>,
    /// What goes beyond the reference, as written; read by [`Upstream::policy`].
    pub lockgate: Option<serde_json::Value>,
}

impl Upstream {
    /// What goes beyond the reference.
    ///
    /// # Errors
    /// A field of it is not what it should be.
    pub fn policy(&self) -> Result<Policy, serde_json::Error> {
        let Some(stored) = &self.lockgate else {
            return Ok(Policy::default());
        };
        let policy = Policy::deserialize(stored)?;
        policy
            .check()
            .map_err(|name| de::Error::custom(format!("{name} is out of its range")))?;
        Ok(policy)
    }
}

/// One node of an upstream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Node {
    /// Domain name or address; an IPv6 address may be in brackets.
    pub host: String,
    /// `None` means the scheme's default port.
    #[serde(default, deserialize_with = "optional_port")]
    pub port: Option<u16>,
    /// Share of the traffic; 0 gets none.
    #[serde(deserialize_with = "integer")]
    pub weight: i64,
    /// Groups of equal priority, higher first. Default 0.
    #[serde(default, deserialize_with = "integer_or_zero")]
    pub priority: i64,
    /// Free data of discovery, as written.
    #[serde(default)]
    pub metadata: Option<serde_json::Value>,
}

/// What the consistent hash is taken of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// A variable.
    #[default]
    Vars,
    /// A request header.
    Header,
    /// A cookie.
    Cookie,
    /// The consumer's name.
    Consumer,
    /// A template of several variables.
    VarsCombinations,
}

/// Protocol spoken to the nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// gRPC, HTTP/2 in the clear.
    Grpc,
    /// gRPC over TLS.
    Grpcs,
    /// A TCP stream.
    Tcp,
    /// A TCP stream over TLS.
    Tls,
    /// UDP datagrams.
    Udp,
    /// Apache Kafka.
    Kafka,
}

impl Scheme {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Kafka => "kafka",
        }
    }

    /// The port a node without one has: 443 where TLS is spoken, else 80 (`apisix/utils/upstream.lua`).
    pub fn default_port(self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }

    /// Whether the connection to the node is encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs | Self::Tls)
    }
}

/// Which Host header the nodes see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PassHost {
    /// The client's.
    #[default]
    Pass,
    /// The node's own name, with its port where that is not the default one.
    Node,
    /// `upstream_host`.
    Rewrite,
}

/// Timeouts of one attempt, in seconds; all greater than 0.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Timeout {
    /// To open the connection, TLS included.
    pub connect: f64,
    /// Between two writes.
    pub send: f64,
    /// Between two reads.
    pub read: f64,
}

/// Limits of the connections kept to the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default)]
pub struct KeepalivePool {
    /// How many idle connections are kept per worker. Default 320.
    #[serde(deserialize_with = "integer")]
    pub size: i64,
    /// Seconds after which an idle connection is closed. Default 60.
    pub idle_timeout: f64,
    /// Requests after which a connection is closed. Default 1000.
    #[serde(deserialize_with = "integer")]
    pub requests: i64,
}

impl Default for KeepalivePool {
    fn default() -> Self {
        Self {
            size: 320,
            idle_timeout: 60.0,
            requests: 1000,
        }
    }
}

/// Client certificate and verification towards the nodes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct UpstreamTls {
    /// An `ssl` object of type client.
    #[serde(deserialize_with = "optional_id")]
    pub client_cert_id: Option<String>,
    /// A client certificate, PEM.
    pub client_cert: Option<String>,
    /// Its private key, PEM or encrypted at rest.
    pub client_key: Option<String>,
    /// Whether the node's certificate must be valid for its name. Default false, as in the reference.
    pub verify: bool,
}

fn integer_or_zero<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    Ok(optional_integer(from)?.unwrap_or(0))
}

fn optional_port<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    match optional_integer(from)? {
        None => Ok(None),
        Some(port) => u16::try_from(port)
            .map(Some)
            .map_err(|_| de::Error::custom(format!("{port} is not a port"))),
    }
}

/// Reads nodes in either spelling: an array of objects, or a map `"host:port": weight`.
fn nodes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Node>>, D::Error> {
    match Option::<serde_json::Value>::deserialize(from)? {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::Object(map)) => map
            .into_iter()
            .map(|(address, weight)| {
                let (host, port) = split_address(&address)
                    .ok_or_else(|| de::Error::custom(format!("{address} is not host:port")))?;
                let weight = integer(weight).map_err(de::Error::custom)?;
                Ok(Node {
                    host,
                    port,
                    weight,
                    priority: 0,
                    metadata: None,
                })
            })
            .collect::<Result<_, _>>()
            .map(Some),
        Some(list) => {
            let mut nodes = Vec::<Node>::deserialize(list).map_err(de::Error::custom)?;
            // The reference takes `host:port` for the host of a node without a port of its own (`t/admin/schema-validate.t`).
            for node in nodes.iter_mut().filter(|node| node.port.is_none()) {
                if let Some((host, port)) = split_address(&node.host) {
                    (node.host, node.port) = (host, port);
                }
            }
            Ok(Some(nodes))
        }
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`; a bare IPv6 address is a host.
fn split_address(address: &str) -> Option<(String, Option<u16>)> {
    if address.starts_with('[') {
        let (host, rest) = address
            .split_once(']')
            .map(|(host, rest)| (format!("{host}]"), rest))?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => {
            Some((host.to_owned(), Some(port.parse().ok()?)))
        }
        _ => Some((address.to_owned(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nodes_in_both_spellings() {
        let from = |text: &str| {
            serde_json::from_str::<Upstream>(text).map(|u| u.nodes.unwrap_or_default())
        };
        let node = |host: &str, port, weight| Node {
            host: host.into(),
            port,
            weight,
            priority: 0,
            metadata: None,
        };
        for (text, expected) in [
            (
                r#"{"nodes":[{"host":"1.1.1.1:81","weight":1},{"host":"::1","weight":1}]}"#,
                vec![node("1.1.1.1", Some(81), 1), node("::1", None, 1)],
            ),
            (
                r#"{"nodes":{"a:80":1,"b":0}}"#,
                vec![node("a", Some(80), 1), node("b", None, 0)],
            ),
            (
                r#"{"nodes":{"[::1]:81":1.0,"[::2]":2}}"#,
                vec![node("[::1]", Some(81), 1), node("[::2]", None, 2)],
            ),
            (
                r#"{"nodes":[{"host":"a","port":1,"weight":3}]}"#,
                vec![node("a", Some(1), 3)],
            ),
            (r#"{"nodes":[]}"#, vec![]),
        ] {
            assert_eq!(from(text).expect(text), expected);
        }
        for wrong in [
            r#"{"nodes":{"a:x":1}}"#,
            r#"{"nodes":{"a:1":"b"}}"#,
            r#"{"nodes":[{"host":"a","weight":1.5}]}"#,
        ] {
            assert!(from(wrong).is_err(), "{wrong}");
        }
    }
}
