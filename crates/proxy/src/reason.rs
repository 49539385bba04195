//! Why the gateway answers a request itself: for the log, for `$lockgate_reason`, and for the client where the operator wants that.
//!
//! A reason is noted where the answer is made, and becomes text only for who asks. None says anything of the configuration but
//! the address of a node.

use std::{
    fmt,
    io::{Error, ErrorKind},
    net::SocketAddr,
};

use lockgate_http::head::HeadError;
use lockgate_snapshot::Target;
use lockgate_upstream::Full;

use crate::{exchange::Exchange, forward::Failure, io::IoFailure};

/// Why an answer is the gateway's own. The text is one line of ASCII without quotes, in lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason {
    /// No route takes the request.
    NoRoute,
    /// The route's service does not exist.
    NoService,
    /// The route's upstream does not exist.
    NoSuchUpstream,
    /// The upstream that stands in the route, or in its service, shows a certificate that does not exist.
    NoCertificate,
    /// The upstream that stands in the route, or in its service, cannot be used.
    UnusableUpstream,
    /// The route's plugin configuration does not exist.
    NoPluginConfig,
    /// The consumer's group does not exist.
    NoConsumerGroup,
    /// A global rule waits for a secret.
    Waiting,
    /// A plugin answered.
    Plugin(&'static str),
    /// The plugin that was to answer did not.
    NoAnswer,
    /// Neither route nor service has an upstream.
    NoUpstream,
    /// The upstream has no nodes, or none of their names has an address.
    NoNodes,
    /// No node is left to be asked.
    AllTried,
    /// There was time for no further attempt.
    RetryTimeout,
    /// The upstream has as much to do as it may have.
    Full(Full),
    /// A node did not answer as it should.
    Node(SocketAddr, Trouble),
    /// The request is none.
    Malformed(HeadError),
    /// The request's header, or a line of it, is too large.
    HeaderTooLarge,
    /// The request's head took too long.
    HeadTimeout,
    /// The request's body took too long.
    BodyTimeout,
    /// The request's body is too large.
    BodyTooLarge,
    /// The client did not wait for the answer.
    ClientGone,
    /// A defect of the gateway.
    Internal,
}

/// What went wrong with a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    ConnectTimeout,
    Refused,
    Connect(ErrorKind),
    Tls,
    SendTimeout,
    Send(ErrorKind),
    Closed,
    ReadTimeout,
    Read(ErrorKind),
    InvalidHead(HeadError),
    TooManyInterim,
    InvalidBody,
    Status(u16),
}

impl Reason {
    /// Why the last attempt of an exchange ended in a failure.
    pub(crate) fn of(failure: &Failure, exchange: &Exchange) -> Self {
        let trouble = match failure {
            Failure::ClientGone => return Self::ClientGone,
            Failure::BadBody => {
                return Self::Malformed(HeadError::Malformed("the chunked body is malformed"));
            }
            Failure::BodyTooLarge => return Self::BodyTooLarge,
            Failure::BodyTimeout => return Self::BodyTimeout,
            Failure::ConnectTimeout => Trouble::ConnectTimeout,
            Failure::Connect(error) => Trouble::connecting(error),
            Failure::Send(IoFailure::TimedOut) => Trouble::SendTimeout,
            Failure::Send(IoFailure::Broken(error)) => Trouble::Send(error.kind()),
            Failure::Closed => Trouble::Closed,
            Failure::ReceiveTimeout => Trouble::ReadTimeout,
            Failure::Receive(error) => Trouble::Read(error.kind()),
            Failure::BadHead(error) => Trouble::InvalidHead(*error),
            Failure::Interim => Trouble::TooManyInterim,
            Failure::BadResponseBody => Trouble::InvalidBody,
            Failure::Status(status) => Trouble::Status(*status),
        };
        match exchange.attempts.last() {
            Some(attempt) => Self::Node(attempt.address, trouble),
            None => Self::Internal,
        }
    }

    /// How requests are answered whose route does not lead to an upstream; `None` for one that does.
    pub(crate) fn of_target(target: &Target) -> Option<(u16, Self)> {
        Some(match target {
            Target::Upstream(_) => return None,
            Target::NoUpstream => (502, Self::NoSuchUpstream),
            Target::NoCertificate => (502, Self::NoCertificate),
            Target::Unusable => (503, Self::UnusableUpstream),
            Target::NoService => (404, Self::NoService),
            Target::NoPluginConfig => (503, Self::NoPluginConfig),
            Target::Missing => (503, Self::NoUpstream),
        })
    }

    /// Whether the client is to blame: an operator need not look.
    pub(crate) fn is_clients(self) -> bool {
        matches!(
            self,
            Self::NoRoute
                | Self::Plugin(_)
                | Self::Malformed(_)
                | Self::HeaderTooLarge
                | Self::HeadTimeout
                | Self::BodyTimeout
                | Self::BodyTooLarge
                | Self::ClientGone
        )
    }
}

impl Trouble {
    fn connecting(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            // What TLS reports in place of what the socket does.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Tls,
            kind => Self::Connect(kind),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoute => out.write_str("no route"),
            Self::NoService => out.write_str("no such service"),
            Self::NoSuchUpstream => out.write_str("no such upstream"),
            Self::NoCertificate => out.write_str("no such client certificate"),
            Self::UnusableUpstream => out.write_str("the upstream cannot be used"),
            Self::NoPluginConfig => out.write_str("no such plugin config"),
            Self::NoConsumerGroup => out.write_str("no such consumer group"),
            Self::Waiting => out.write_str("a global rule waits for a secret"),
            Self::Plugin(name) => write!(out, "plugin {name}"),
            Self::NoAnswer => out.write_str("no plugin answered"),
            Self::NoUpstream => out.write_str("no upstream"),
            Self::NoNodes => out.write_str("no nodes"),
            Self::AllTried => out.write_str("every node has been tried"),
            Self::RetryTimeout => out.write_str("retry timeout"),
            Self::Full(full) => full.fmt(out),
            Self::Node(node, trouble) => trouble.write(*node, out),
            Self::Malformed(error) => write!(out, "malformed request: {error}"),
            Self::HeaderTooLarge => out.write_str("request header too large"),
            Self::HeadTimeout => out.write_str("request timeout"),
            Self::BodyTimeout => out.write_str("request body timeout"),
            Self::BodyTooLarge => out.write_str("request body too large"),
            Self::ClientGone => out.write_str("the client closed the connection"),
            Self::Internal => out.write_str("internal error"),
        }
    }
}

impl Trouble {
    fn write(self, node: SocketAddr, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectTimeout => write!(out, "connect timeout to {node}"),
            Self::Refused => write!(out, "connection refused by {node}"),
            Self::Connect(kind) => write!(out, "connect to {node} failed: {kind}"),
            Self::Tls => write!(out, "tls handshake with {node} failed"),
            Self::SendTimeout => write!(out, "send timeout to {node}"),
            Self::Send(kind) => write!(out, "sending to {node} failed: {kind}"),
            Self::Closed => write!(out, "{node} closed the connection before it answered"),
            Self::ReadTimeout => write!(out, "read timeout from {node}"),
            Self::Read(kind) => write!(out, "reading from {node} failed: {kind}"),
            Self::InvalidHead(error) => write!(out, "invalid response from {node}: {error}"),
            Self::TooManyInterim => {
                write!(
                    out,
                    "invalid response from {node}: too many interim responses"
                )
            }
            Self::InvalidBody => write!(out, "invalid response from {node}: its body is malformed"),
            Self::Status(status) => write!(out, "{node} answered with status {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: SocketAddr = SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
        80,
    );

    #[test]
    fn says_what_went_wrong_with_which_node() {
        let trouble = |failure: Failure| {
            let mut exchange = Exchange::default();
            exchange.attempts.push(crate::exchange::Attempt {
                address: NODE,
                began: 0,
                status: 0,
                connect_us: None,
                header_us: None,
                response_us: None,
                sent: 0,
                received: 0,
                body: 0,
            });
            Reason::of(&failure, &exchange).to_string()
        };
        let broken = |kind: ErrorKind| Error::from(kind);
        for (failure, expected) in [
            (Failure::ConnectTimeout, "connect timeout to 10.0.0.1:80"),
            (
                Failure::Connect(broken(ErrorKind::ConnectionRefused)),
                "connection refused by 10.0.0.1:80",
            ),
            (
                Failure::Connect(broken(ErrorKind::HostUnreachable)),
                "connect to 10.0.0.1:80 failed: host unreachable",
            ),
            (
                Failure::Connect(broken(ErrorKind::InvalidData)),
                "tls handshake with 10.0.0.1:80 failed",
            ),
            (
                Failure::Send(IoFailure::TimedOut),
                "send timeout to 10.0.0.1:80",
            ),
            (
                Failure::Send(broken(ErrorKind::BrokenPipe).into()),
                "sending to 10.0.0.1:80 failed: broken pipe",
            ),
            (
                Failure::Receive(broken(ErrorKind::ConnectionReset)),
                "reading from 10.0.0.1:80 failed: connection reset",
            ),
            (
                Failure::Interim,
                "invalid response from 10.0.0.1:80: too many interim responses",
            ),
            (
                Failure::BadResponseBody,
                "invalid response from 10.0.0.1:80: its body is malformed",
            ),
            (Failure::Status(503), "10.0.0.1:80 answered with status 503"),
        ] {
            assert_eq!(trouble(failure), expected);
        }
    }

    #[test]
    fn a_failure_without_an_attempt_is_a_defect() {
        let reason = Reason::of(&Failure::Closed, &Exchange::default());
        assert!(!reason.is_clients());
        assert_eq!(reason.to_string(), "internal error");
    }
}
