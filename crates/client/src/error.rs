//! What can go wrong with a call.

use std::{fmt, io, net::SocketAddr};

use http::{Method, Uri};
use lockgate_net::dns::DnsError;
use thiserror::Error;

/// A call that failed: what was attempted, and why it did not succeed. Neither the query nor credentials of the address are
/// shown.
#[derive(Debug, Error)]
#[error("{attempted}: {failure}")]
pub struct ClientError {
    attempted: Box<Attempted>,
    /// Why.
    pub failure: Failure,
}

/// Why a call failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The address is not `http://` or `https://` with a host.
    #[error("the address is no http or https URL with a host")]
    Address,
    /// The host has no address.
    #[error("{0}")]
    Resolve(DnsError),
    /// No connection could be opened.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    /// The TLS handshake failed.
    #[error("cannot agree on TLS with {0}: {1}")]
    Tls(SocketAddr, io::Error),
    /// No connection was open within the time for it.
    #[error("cannot connect in time")]
    ConnectTime,
    /// The server took no more of the request in time.
    #[error("the request could not be sent in time")]
    SendTime,
    /// No head of an answer came in time.
    #[error("no answer in time")]
    NoAnswer,
    /// The body of the answer did not come in time.
    #[error("the body of the answer did not come in time")]
    BodyTime,
    /// The body of the answer is larger than the limit, in bytes.
    #[error("the body of the answer has more than {0} bytes")]
    BodySize(usize),
    /// The connection ended, or what came is no HTTP.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::ConnectTime | Self::SendTime | Self::NoAnswer | Self::BodyTime
        )
    }
}

/// A request as it may be shown.
#[derive(Debug, Clone)]
pub(crate) struct Attempted {
    method: Method,
    scheme: String,
    authority: String,
    path: String,
}

impl Attempted {
    pub(crate) fn new(method: &Method, uri: &Uri) -> Self {
        let authority = uri.authority().map_or("", |found| found.as_str());
        // What stands before the last @ are credentials.
        let authority = authority.rsplit('@').next().unwrap_or_default();
        Self {
            method: method.clone(),
            scheme: uri.scheme_str().unwrap_or_default().to_owned(),
            authority: authority.to_owned(),
            path: uri.path().to_owned(),
        }
    }

    pub(crate) fn failed(&self, failure: Failure) -> ClientError {
        ClientError {
            attempted: Box::new(self.clone()),
            failure,
        }
    }
}

impl fmt::Display for Attempted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            scheme,
            authority,
            path,
        } = self;
        write!(out, "{method} {scheme}://{authority}{path}")
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
