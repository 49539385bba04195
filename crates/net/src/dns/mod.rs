//! Names to addresses: `/etc/hosts`, then DNS with its TTL, and the last good answer when DNS is away.
//!
//! What asks for records of one type, without hosts file and without memory, is in [`records`].

mod hosts;
pub mod records;
mod servers;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::{TokioResolver, config::LookupIpStrategy};
use thiserror::Error;

use hosts::{HOSTS_TTL, Hosts};
use servers::Asking;

/// How long a stale answer serves before DNS is asked again.
const STALE_TTL: Duration = Duration::from_secs(5);

/// Settings of name resolution; the names of `config.yaml` are given with each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsOptions {
    /// `apisix.dns_resolver`; empty for the servers of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// `apisix.dns_resolver_valid`: overrides the TTL of answers.
    pub valid: Option<Duration>,
    /// `apisix.resolver_timeout`
    pub timeout: Duration,
    /// `apisix.enable_resolv_search_opt`: whether the search list of `resolv_conf` counts.
    pub uses_search: bool,
    /// `apisix.enable_ipv6`: whether AAAA records count.
    pub uses_ipv6: bool,
    /// The hosts file.
    pub hosts: PathBuf,
    /// resolv.conf(5): name servers, search list, `ndots`, `timeout`, `attempts`.
    pub resolv_conf: PathBuf,
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            valid: None,
            timeout: Duration::from_secs(5),
            uses_search: true,
            uses_ipv6: true,
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
        }
    }
}

/// Addresses of a name, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// How long they may be used.
    pub ttl: Duration,
}

/// A name that has no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot resolve {host}: {reason}")]
pub struct DnsError {
    /// The name.
    pub host: String,
    /// Why not.
    pub reason: String,
}

/// Resolves names. Cheap to clone; clones share their caches.
#[derive(Debug, Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    dns: Option<TokioResolver>,
    options: DnsOptions,
    hosts: Mutex<Hosts>,
    last: Mutex<HashMap<String, (Vec<IpAddr>, Instant)>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Resolver")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver with these settings. Where no name server is known, only the hosts file answers.
    pub fn new(options: DnsOptions) -> Self {
        let hosts = Mutex::new(Hosts::new(options.hosts.clone()));
        Self {
            shared: Arc::new(Shared {
                dns: Asking::of(&options).resolver(if options.uses_ipv6 {
                    LookupIpStrategy::Ipv4thenIpv6
                } else {
                    LookupIpStrategy::Ipv4Only
                }),
                options,
                hosts,
                last: Mutex::default(),
            }),
        }
    }

    /// The addresses that need no question to a server: of a literal, or of the hosts file.
    pub fn local(&self, host: &str) -> Option<Answer> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Some(Answer {
                addresses: vec![address],
                ttl: Duration::MAX,
            });
        }
        let addresses = lock(&self.shared.hosts).find(host);
        (!addresses.is_empty()).then_some(Answer {
            addresses,
            ttl: HOSTS_TTL,
        })
    }

    /// The addresses of `host`. When DNS fails, the last answer it gave.
    ///
    /// # Errors
    /// The name has never had an address.
    pub async fn resolve(&self, host: &str) -> Result<Answer, DnsError> {
        if let Some(answer) = self.local(host) {
            return Ok(answer);
        }
        if let Some((addresses, until)) = lock(&self.shared.last).get(host) {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Ok(Answer {
                    addresses: addresses.clone(),
                    ttl: left,
                });
            }
        }
        let asked = self.ask(host).await;
        let mut last = lock(&self.shared.last);
        match asked {
            Ok(answer) => {
                last.insert(
                    host.to_owned(),
                    (answer.addresses.clone(), Instant::now() + answer.ttl),
                );
                Ok(answer)
            }
            Err(reason) => match last.get_mut(host) {
                Some((addresses, until)) => {
                    tracing::warn!(
                        host,
                        reason,
                        "cannot resolve a name: its last addresses are used"
                    );
                    *until = Instant::now() + STALE_TTL;
                    Ok(Answer {
                        addresses: addresses.clone(),
                        ttl: STALE_TTL,
                    })
                }
                None => Err(DnsError {
                    host: host.to_owned(),
                    reason,
                }),
            },
        }
    }

    async fn ask(&self, host: &str) -> Result<Answer, String> {
        let Some(dns) = &self.shared.dns else {
            return Err("no name server is known".into());
        };
        let timeout = self.shared.options.timeout;
        let found = tokio::time::timeout(timeout, dns.lookup_ip(host)).await;
        let found = found
            .map_err(|_| format!("no answer within {timeout:?}"))?
            .map_err(|error| error.to_string())?;
        let addresses: Vec<IpAddr> = found.iter().collect();
        if addresses.is_empty() {
            return Err("the name has no address".into());
        }
        let ttl = found
            .valid_until()
            .saturating_duration_since(Instant::now());
        let ttl = self
            .shared
            .options
            .valid
            .unwrap_or(ttl)
            .max(Duration::from_secs(1));
        Ok(Answer { addresses, ttl })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_literals_and_hosts_without_a_server() {
        let resolver = Resolver::new(DnsOptions {
            servers: vec![([127, 0, 0, 1], 1).into()],
            ..DnsOptions::default()
        });
        assert_eq!(
            resolver.resolve("[::1]").await.expect("literal").addresses,
            [IpAddr::from(std::net::Ipv6Addr::LOCALHOST)]
        );
        assert!(
            resolver
                .resolve("localhost")
                .await
                .expect("hosts file")
                .addresses
                .iter()
                .all(IpAddr::is_loopback)
        );
    }

    #[tokio::test]
    async fn says_why_a_name_has_no_address() {
        let options = DnsOptions {
            servers: vec![([127, 0, 0, 1], 1).into()],
            timeout: Duration::from_millis(300),
            ..DnsOptions::default()
        };
        let error = Resolver::new(options)
            .resolve("nowhere.test")
            .await
            .expect_err("no server there");
        assert_eq!(error.host, "nowhere.test");
    }
}
