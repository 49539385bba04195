//! What can go wrong with a call, and what a gRPC status means.

use std::{error::Error as _, fmt::Write as _};

use thiserror::Error;
use tonic::{Code, Status};

use super::tls_failure;
use crate::StoreError;

/// Why there is no etcd store.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The options cannot be used.
    #[error("{0}")]
    Options(String),
    /// No endpoint answers, and there is no local copy to go on with.
    #[error("etcd cannot be reached: {0}")]
    Away(String),
    /// etcd is there and will not do.
    #[error("etcd cannot be used: {0}")]
    Refused(String),
}

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer, or one that says that this member cannot answer for the time being.
    Away(String),
    /// An answer that another member would give too.
    Refused(String),
    /// The revision asked for is no longer kept.
    Compacted,
    /// The revision asked for has not been reached: etcd has lost what it had.
    Future,
}

impl Failure {
    /// What a status means to `user`, who asked.
    pub(super) fn of(status: &Status, user: Option<&str>) -> Self {
        let message = status.message();
        // No answer of etcd, but what happened to the connection.
        if let Some(source) = status.source() {
            return Self::Away(tls_failure::explained(chain(source)));
        }
        match status.code() {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::Internal
            | Code::Unknown => Self::Away(message.to_owned()),
            Code::OutOfRange if message.contains("compacted") => Self::Compacted,
            Code::OutOfRange if message.contains("future revision") => Self::Future,
            _ if concerns_the_user(status) => Self::Refused(match user {
                Some(user) => format!("etcd refuses the user {user}: {message}"),
                None => format!("etcd wants a user, and none is set: {message}"),
            }),
            _ => Self::Refused(message.to_owned()),
        }
    }

    /// The error of a store that attempted `action`.
    pub(super) fn in_action(self, action: impl Into<String>) -> StoreError {
        let reason = match self {
            Self::Away(reason) | Self::Refused(reason) => reason,
            Self::Compacted => "the revision was compacted meanwhile".to_owned(),
            Self::Future => "etcd went back to an older revision".to_owned(),
        };
        StoreError::Unavailable {
            action: action.into(),
            reason,
        }
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(reason) => Self::Away(reason),
            Failure::Refused(reason) => Self::Refused(reason),
            Failure::Compacted | Failure::Future => {
                Self::Refused("its revisions are in disorder".to_owned())
            }
        }
    }
}

/// Whether a new token may help: the old one has expired, the member has been started anew, or users have been edited.
pub(super) fn wants_new_token(status: &Status) -> bool {
    let message = status.message();
    match status.code() {
        Code::Unauthenticated => true,
        // etcd 3.4 has no better code for these.
        Code::InvalidArgument => {
            message.contains("revision of auth store is old")
                || message.contains("user name is empty")
        }
        _ => false,
    }
}

fn concerns_the_user(status: &Status) -> bool {
    wants_new_token(status)
        || status.code() == Code::PermissionDenied
        || status.message().contains("authentication failed")
}

/// The messages of an error and of all that caused it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        // Some errors repeat their source.
        if !text.contains(&message) {
            let separator = if text.is_empty() { "" } else { ": " };
            let _infallible = write!(text, "{separator}{message}");
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_status_means() {
        let check = |code: Code, message: &str, expected: Failure| {
            let status = Status::new(code, message);
            assert_eq!(Failure::of(&status, Some("root")), expected, "{message}");
        };
        let away = |text: &str| Failure::Away(text.to_owned());
        let refused = |text: &str| Failure::Refused(text.to_owned());
        check(
            Code::Unavailable,
            "etcdserver: no leader",
            away("etcdserver: no leader"),
        );
        check(Code::Unknown, "EOF", away("EOF"));
        check(
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
            Failure::Compacted,
        );
        check(
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision",
            Failure::Future,
        );
        check(
            Code::InvalidArgument,
            "etcdserver: request is too large",
            refused("etcdserver: request is too large"),
        );
        check(
            Code::PermissionDenied,
            "etcdserver: permission denied",
            refused("etcd refuses the user root: etcdserver: permission denied"),
        );
        check(
            Code::InvalidArgument,
            "etcdserver: authentication failed, invalid user ID or password",
            refused(
                "etcd refuses the user root: etcdserver: authentication failed, invalid user ID or password",
            ),
        );
        let status = Status::new(Code::InvalidArgument, "etcdserver: user name is empty");
        assert_eq!(
            Failure::of(&status, None),
            refused("etcd wants a user, and none is set: etcdserver: user name is empty")
        );
    }
}
