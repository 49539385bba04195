//! What health checks have found out, for whoever shows it.

use serde::Serialize;

use crate::resource::ProbeKind;

/// An upstream with health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedUpstream {
    /// The store's key of the object that the upstream stands in, such as `upstreams/1`.
    pub key: String,
    /// What probes speak.
    pub kind: ProbeKind,
    /// Its nodes; none before the first request.
    pub nodes: Vec<CheckedNode>,
}

/// What is known of a node. Field names are those of the reference's control API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedNode {
    /// Its address, as the upstream has it.
    pub ip: String,
    /// The port that is probed.
    pub port: u16,
    /// The name that is asked for, or the address.
    pub hostname: String,
    /// The Host of probes, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostheader: Option<String>,
    /// Whether it is used.
    pub status: Health,
    /// What was seen since.
    pub counter: Counters,
}

/// Whether a node is used. As in the reference, what is on its way to the other verdict is only mostly what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Used.
    Healthy,
    /// Used, with failures seen since.
    MostlyHealthy,
    /// Not used, with successes seen since.
    MostlyUnhealthy,
    /// Not used.
    Unhealthy,
}

impl Health {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::MostlyHealthy => "mostly_healthy",
            Self::MostlyUnhealthy => "mostly_unhealthy",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Whether the node is used.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Healthy | Self::MostlyHealthy)
    }
}

/// What was seen of a node. A success takes back all failures, a failure all successes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Successes.
    pub success: u8,
    /// Failures by status.
    pub http_failure: u8,
    /// Failures to connect, send or receive.
    pub tcp_failure: u8,
    /// Timeouts.
    pub timeout_failure: u8,
}
