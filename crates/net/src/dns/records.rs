//! Records of one type, as DNS has them at the moment: no hosts file, no memory.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::LookupIpStrategy,
    lookup::Lookup,
    net::{DnsError, NetError, NoRecords},
    proto::rr::{RData, RecordType},
};
use thiserror::Error;

use super::servers::Asking;

/// Settings of [`Records`].
#[derive(Debug, Clone)]
pub struct RecordsOptions {
    /// Whom to ask; empty for the servers of `resolv_conf`.
    pub servers: Vec<SocketAddr>,
    /// resolv.conf(5): name servers, search list, `ndots`, `timeout`, `attempts`.
    pub resolv_conf: PathBuf,
    /// Whether the search list counts.
    pub uses_search: bool,
    /// For a whole question, with all attempts.
    pub timeout: Duration,
}

/// Asks for records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records {
    dns: TokioResolver,
    timeout: Duration,
}

/// Records, and how long they are true; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The records, in the order of the answer.
    pub records: Vec<T>,
    /// The shortest time to live among them.
    pub ttl: Duration,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name of the machine.
    pub target: String,
    /// Its port.
    pub port: u16,
    /// Share among those of equal priority.
    pub weight: u16,
    /// Lower is asked first.
    pub priority: u16,
}

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordsError {
    /// DNS says that the name has none, or is none.
    #[error("{name} has no {kind} record")]
    None {
        /// The name.
        name: String,
        /// The type of record.
        kind: &'static str,
        /// How long that is true, where the answer says it.
        ttl: Option<Duration>,
    },
    /// No answer, or one that says nothing of the name.
    #[error("cannot look up the {kind} records of {name}: {reason}")]
    Failed {
        /// The name.
        name: String,
        /// The type of record.
        kind: &'static str,
        /// What happened.
        reason: String,
    },
}

impl Records {
    /// Reads `resolv_conf`.
    ///
    /// # Errors
    /// No name server is known: why, for people.
    pub fn new(options: &RecordsOptions) -> Result<Self, String> {
        let servers = Asking {
            servers: &options.servers,
            resolv_conf: &options.resolv_conf,
            uses_search: options.uses_search,
            timeout: options.timeout,
        };
        let dns = servers
            .build(LookupIpStrategy::Ipv4Only)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            dns,
            timeout: options.timeout,
        })
    }

    /// The A records of a name, through aliases.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn ipv4(&self, name: &str) -> Result<Found<IpAddr>, RecordsError> {
        self.ask(name, RecordType::A, "A", |data| match data {
            RData::A(address) => Some(address.0.into()),
            _ => None,
        })
        .await
    }

    /// The AAAA records of a name, through aliases.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn ipv6(&self, name: &str) -> Result<Found<IpAddr>, RecordsError> {
        self.ask(name, RecordType::AAAA, "AAAA", |data| match data {
            RData::AAAA(address) => Some(address.0.into()),
            _ => None,
        })
        .await
    }

    /// The SRV records of a name.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn services(&self, name: &str) -> Result<Found<Service>, RecordsError> {
        self.ask(name, RecordType::SRV, "SRV", |data| match data {
            RData::SRV(service) => Some(Service {
                target: service.target.to_utf8(),
                port: service.port,
                weight: service.weight,
                priority: service.priority,
            }),
            _ => None,
        })
        .await
    }

    /// What a name is an alias of.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn aliases(&self, name: &str) -> Result<Found<String>, RecordsError> {
        self.ask(name, RecordType::CNAME, "CNAME", |data| match data {
            RData::CNAME(alias) => Some(alias.0.to_utf8()),
            _ => None,
        })
        .await
    }

    async fn ask<T>(
        &self,
        name: &str,
        record_type: RecordType,
        kind: &'static str,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, RecordsError> {
        let name = || name.to_owned();
        let failed = |reason: String| RecordsError::Failed {
            name: name(),
            kind,
            reason,
        };
        let asked = tokio::time::timeout(self.timeout, self.dns.lookup(name(), record_type)).await;
        let lookup: Lookup = match asked {
            Err(_elapsed) => return Err(failed(format!("no answer within {:?}", self.timeout))),
            Ok(Ok(lookup)) => lookup,
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords {
                negative_ttl, ..
            })))) => {
                return Err(RecordsError::None {
                    name: name(),
                    kind,
                    ttl: negative_ttl.map(|seconds| Duration::from_secs(seconds.into())),
                });
            }
            Ok(Err(error)) => return Err(failed(error.to_string())),
        };
        let answers = lookup.answers().iter();
        let records: Vec<T> = answers.filter_map(|record| read(&record.data)).collect();
        if records.is_empty() {
            return Err(RecordsError::None {
                name: name(),
                kind,
                ttl: None,
            });
        }
        let ttl = lookup
            .valid_until()
            .saturating_duration_since(Instant::now());
        Ok(Found { records, ttl })
    }
}
