//! What a call can fail with.
//!
//! The messages are the reference's: what its plugins write behind `failed to limit count: ` is what `Display` gives here.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::settings::Address;

/// A call that has no answer to give.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// No connection; the command was not run.
    #[error("{0}")]
    Connect(ConnectError),
    /// The server does not let the gateway in (`AUTH`, or the first command without it); the command was not run.
    #[error("{0}")]
    Refused(Reply),
    /// The database cannot be selected; the command was not run.
    #[error("failed to change redis db, err: {0}")]
    Database(Reply),
    /// No server was found through the sentinels, or it cannot be used; the command was not run.
    #[error("redis connection failed, err: {0}")]
    Sentinel(SentinelError),
    /// No node of the cluster says who serves what; the command was not run. The reasons of all that were asked.
    #[error("failed to fetch slots: {}", .0.join(";"))]
    Topology(Arc<[String]>),
    /// No node serves the slot of the key; the command was not run.
    #[error("Cannot executing command, cluster status is failed!")]
    ClusterDown,
    /// The cluster sent the command from node to node; it was not run.
    #[error("failed to execute command, reaches maximum redirection attempts")]
    Redirections,
    /// The server answered with an error.
    #[error("{0}")]
    Reply(Reply),
    /// There was no answer in time; the command may have been run.
    #[error("timeout")]
    Timeout,
    /// The connection ended before the answer; the command may have been run.
    #[error("{0}")]
    Broken(&'static str),
    /// What came is not what a Redis server sends; the command may have been run.
    #[error("malformed redis response: {0}")]
    Malformed(Arc<str>),
}

impl Error {
    /// Whether the command certainly had no effect, so that it may be tried again.
    pub fn is_unrun(&self) -> bool {
        !matches!(
            self,
            Self::Reply(_) | Self::Timeout | Self::Broken(_) | Self::Malformed(_)
        )
    }

    /// The code of an error that a server answered, such as `WRONGTYPE`; of any stage.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(reply) | Self::Database(reply) | Self::Reply(reply) => Some(reply.code()),
            _ => None,
        }
    }

    pub(crate) const CLOSED: Self = Self::Broken("closed");

    /// The same, where what it befell is a connection that is being made.
    pub(crate) fn while_connecting(self) -> Self {
        match self {
            Self::Reply(reply) => Self::Refused(reply),
            Self::Timeout => Self::Connect(ConnectError::Timeout),
            Self::Broken(reason) => Self::Connect(ConnectError::Broken(reason)),
            other => other,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The name of the host has no address.
    #[error("{host} could not be resolved ({reason})")]
    Resolve {
        /// The name.
        host: Arc<str>,
        /// Why not.
        reason: Arc<str>,
    },
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// The connection was not ready in time.
    #[error("timeout")]
    Timeout,
    /// The connection ended before it was ready.
    #[error("{0}")]
    Broken(&'static str),
    /// No TLS, or none that can be trusted.
    #[error("failed to do ssl handshake: {0}")]
    Tls(Arc<str>),
    /// What else the system says.
    #[error("{0}")]
    System(Arc<str>),
}

/// Why sentinels gave no usable server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelError {
    /// The last reason.
    pub last: Arc<str>,
    /// Those of all servers that were tried, where none could be.
    pub previous: Arc<[String]>,
}

impl fmt::Display for SentinelError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.last)?;
        if !self.previous.is_empty() {
            write!(out, ", previous_errors: {}", self.previous.join(", "))?;
        }
        Ok(())
    }
}

/// An error as a server words it: a code, mostly in capitals, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(Arc<str>);

impl Reply {
    pub(crate) fn new(code: &str, detail: Option<&str>) -> Self {
        match detail {
            Some(detail) => Self(format!("{code} {detail}").into()),
            None => Self(code.into()),
        }
    }

    /// The first word.
    pub fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a replica refused to write. Servers before 7.0 wrap what a script met in a sentence of their own.
    pub(crate) fn is_read_only(&self) -> bool {
        self.code() == "READONLY" || self.0.contains(" -READONLY ")
    }

    /// Where a cluster sends the command instead; `asked` is who answered.
    pub(crate) fn redirection(&self, asked: &Address) -> Option<Redirection> {
        let mut words = self.0.split(' ');
        let is_ask = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (host, port) = words.nth(1)?.rsplit_once(':')?;
        // A node that knows no address of its own means itself.
        let host = if host.is_empty() { &asked.host } else { host };
        let address = Address::new(host, port.parse().ok()?);
        Some(Redirection { address, is_ask })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Where to ask instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redirection {
    pub(crate) address: Address,
    /// For this command alone.
    pub(crate) is_ask: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_redirections() {
        let asked = Address::new("here", 7);
        for (text, expected) in [
            ("MOVED 12 10.0.0.1:7001", Some(("10.0.0.1", 7001, false))),
            ("ASK 12 ::1:7001", Some(("::1", 7001, true))),
            ("MOVED 12 :7001", Some(("here", 7001, false))),
            ("MOVED 12", None),
            ("MOVED 12 a:b", None),
            ("ERR MOVED 12 a:1", None),
        ] {
            let found = Reply(text.into()).redirection(&asked);
            let expected = expected.map(|(host, port, is_ask)| Redirection {
                address: Address::new(host, port),
                is_ask,
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn knows_a_replica_that_was_asked_to_write() {
        for (text, is_read_only) in [
            (
                "READONLY You can't write against a read only replica.",
                true,
            ),
            (
                "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a read only replica. ",
                true,
            ),
            ("ERR READONLY", false),
        ] {
            assert_eq!(Reply(text.into()).is_read_only(), is_read_only, "{text}");
        }
    }

    #[test]
    fn words_sentinels_that_are_away_as_the_reference_does() {
        let error = Error::Sentinel(SentinelError {
            last: "no hosts available".into(),
            previous: ["connection refused".to_owned(), "timeout".to_owned()].into(),
        });
        assert_eq!(
            error.to_string(),
            "redis connection failed, err: no hosts available, previous_errors: connection refused, timeout"
        );
    }
}
