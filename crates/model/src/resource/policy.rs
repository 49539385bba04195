//! What an upstream can do beyond the reference: its field `lockgate`.
//!
//! All of it is off where it is not written. The reference knows no such field and leaves an object out that has one: an etcd
//! that is shared with nodes of the reference should not hold it.

use serde::Deserialize;

/// The field `lockgate` of an upstream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// When a request is sent again beyond the reference's conditions.
    pub retry: Option<RetryPolicy>,
    /// When a node that fails requests is left out for a while, without active checks.
    pub outlier: Option<OutlierPolicy>,
    /// How many requests may be under way.
    pub limits: Option<LimitPolicy>,
    /// Seconds in which the share of a new or recovered node grows to what its weight says.
    pub slow_start: Option<f64>,
    /// Requests of one client go to one node.
    pub sticky: Option<StickyPolicy>,
}

impl Policy {
    /// Looks for what the Admin API refuses, in values that did not come through it.
    ///
    /// # Errors
    /// Which field is out of its range.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_time = |seconds: f64| (0.0..=LONGEST_S).contains(&seconds);
        let retry = self.retry.as_ref();
        let (outlier, limits) = (self.outlier.as_ref(), self.limits.as_ref());
        let backoff = retry.and_then(|retry| retry.backoff);
        let times = [
            ("slow_start", self.slow_start),
            (
                "retry.per_try_timeout",
                retry.and_then(|retry| retry.per_try_timeout),
            ),
            ("retry.backoff.base", backoff.map(|backoff| backoff.base)),
            ("retry.backoff.max", backoff.map(|backoff| backoff.max)),
            (
                "outlier.base_ejection",
                outlier.map(|outlier| outlier.base_ejection),
            ),
            (
                "outlier.max_ejection",
                outlier.map(|outlier| outlier.max_ejection),
            ),
            (
                "limits.pending_timeout",
                limits.map(|limits| limits.pending_timeout),
            ),
        ];
        for (name, time) in times {
            if time.is_some_and(|time| !is_time(time)) {
                return Err(name);
            }
        }
        let ratio = retry
            .and_then(|retry| retry.budget)
            .map(|budget| budget.ratio);
        if ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
            return Err("retry.budget.ratio");
        }
        let is_plain = |text: &str| {
            text.bytes()
                .all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
        };
        match &self.sticky {
            Some(sticky) if !is_plain(&sticky.cookie) || sticky.cookie.contains(['=', ' ']) => {
                Err("sticky.cookie")
            }
            Some(sticky) if !is_plain(&sticky.path) => Err("sticky.path"),
            _ => Ok(()),
        }
    }
}

/// The longest time that a policy may name, in seconds: a day.
const LONGEST_S: f64 = 86_400.0;

/// When a request is sent again. How often says [`Upstream::retries`](super::Upstream::retries).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Statuses of a node for which another is asked. Default none.
    pub http_statuses: Vec<u16>,
    /// Seconds from the begin of an attempt to the head of its response; `None` for no limit but the timeouts.
    pub per_try_timeout: Option<f64>,
    /// Whether a request whose method is not idempotent is sent again, too, once a node may have seen it. Default false.
    pub non_idempotent: bool,
    /// Pause before a further attempt.
    pub backoff: Option<Backoff>,
    /// Which share of the traffic further attempts may be.
    pub budget: Option<RetryBudget>,
}

/// A pause that doubles with each attempt, of which a random part is waited.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// Most seconds before the first further attempt. Default 0.025.
    pub base: f64,
    /// Most seconds before any. Default 0.25.
    pub max: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: 0.025,
            max: 0.25,
        }
    }
}

/// How many further attempts an upstream gets.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryBudget {
    /// For each request, 0 to 1. Default 0.2.
    pub ratio: f64,
    /// And for each second, whatever the traffic. Default 10.
    pub min_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            ratio: 0.2,
            min_per_second: 10,
        }
    }
}

/// When a node is left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutlierPolicy {
    /// After how many failures in a row: statuses of the list, failed connections, timeouts. 1 to 254, default 5.
    pub consecutive_failures: u8,
    /// Statuses that are failures. Default 500 to 504.
    pub http_statuses: Vec<u16>,
    /// Seconds for which a node is left out the first time; each time in a row doubles them. Default 30.
    pub base_ejection: f64,
    /// Most seconds. Default 300.
    pub max_ejection: f64,
    /// Which part of the nodes may be left out at a time, in percent; one always may. Default 50.
    pub max_ejected_percent: u8,
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            http_statuses: (500..=504).collect(),
            base_ejection: 30.0,
            max_ejection: 300.0,
            max_ejected_percent: 50,
        }
    }
}

/// How many requests may be under way, in the whole process.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitPolicy {
    /// At all nodes together.
    pub max_requests: Option<u32>,
    /// At each node.
    pub max_requests_per_node: Option<u32>,
    /// How many more may wait for their turn. Default 0.
    pub max_pending: u32,
    /// Seconds for which one waits. Default 1.
    pub pending_timeout: f64,
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self {
            max_requests: None,
            max_requests_per_node: None,
            max_pending: 0,
            pending_timeout: 1.0,
        }
    }
}

/// The cookie that names the node of a client.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StickyPolicy {
    /// Its name. Default `lockgate_node`.
    pub cookie: String,
    /// For which paths the client sends it. Default `/`.
    pub path: String,
    /// Seconds after which the client forgets it; `None` for the end of its session.
    pub max_age: Option<u32>,
    /// `HttpOnly`. Default true.
    pub http_only: bool,
    /// `Secure`. Default false.
    pub secure: bool,
    /// `SameSite`.
    pub same_site: Option<SameSite>,
}

impl Default for StickyPolicy {
    fn default() -> Self {
        Self {
            cookie: "lockgate_node".to_owned(),
            path: "/".to_owned(),
            max_age: None,
            http_only: true,
            secure: false,
            same_site: None,
        }
    }
}

/// `SameSite` of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SameSite {
    /// `Strict`
    Strict,
    /// `Lax`
    Lax,
    /// `None`
    None,
}

impl SameSite {
    /// As it stands in the cookie.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}
