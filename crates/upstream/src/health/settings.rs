//! Health checks as they are carried out, from what is stored.

use std::{sync::Arc, time::Duration};

use lockgate_model::resource::{
    ActiveChecks, ActiveHealthy, ActiveUnhealthy, Checks, OutlierPolicy, PassiveHealthy,
    PassiveUnhealthy, ProbeKind,
};

use super::verdict::{Limits, Report};
use crate::limits::{DOUBLINGS, KEPT_INTERVAL};

/// What an upstream's checks are compiled to.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    stored: Checks,
    pub(crate) kind: ProbeKind,
    /// For each step of a probe.
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    /// The name for nodes that have none themselves.
    pub(crate) host: Option<Box<str>>,
    pub(crate) port: Option<u16>,
    /// The Host of every probe, where the upstream rewrites it.
    pub(crate) rewritten_host: Option<Box<str>>,
    /// A probe up to its Host.
    pub(crate) head: String,
    /// A probe behind its Host.
    pub(crate) tail: String,
    /// Whether the answer has no body.
    pub(crate) is_head: bool,
    /// Whether the connections of probes are kept.
    pub(crate) keeps: bool,
    /// TLS of probes; `None` where it cannot be set up.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    /// Pause between probes of healthy nodes; `None` for no probes.
    pub(crate) healthy_interval: Option<Duration>,
    /// Pause between probes of unhealthy nodes; `None` for no probes.
    pub(crate) unhealthy_interval: Option<Duration>,
    pub(crate) active: Rules,
    pub(crate) passive: Rules,
    /// How nodes come back that no probe brings back.
    pub(crate) ejection: Option<Ejection>,
}

/// How long and how many nodes are left out that failed requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ejection {
    base: Duration,
    max: Duration,
    percent: u32,
}

impl Ejection {
    /// For how long a node is left out that was left out `times` times in a row before.
    pub(crate) fn time(&self, times: u32) -> Duration {
        self.base
            .saturating_mul(1 << times.min(DOUBLINGS))
            .min(self.max)
    }

    /// How many of so many nodes may be left out.
    pub(crate) fn most(&self, nodes: u32) -> u32 {
        let share = u64::from(nodes) * u64::from(self.percent) / 100;
        (share as u32).max(1)
    }

    /// After which time a node that was left out counts as one that never was.
    pub(crate) fn memory(&self) -> Duration {
        self.max
    }
}

/// How statuses and failures are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    good: Good,
    bad: Vec<u16>,
    pub(crate) limits: Limits,
}

/// Which statuses speak for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Good {
    Listed(Vec<u16>),
    /// All that do not speak against it.
    Others,
}

impl Rules {
    /// What a status says of a node, where it says anything.
    pub(crate) fn judge(&self, status: u16) -> Option<Report> {
        let is_bad = || self.bad.contains(&status);
        let is_good = match &self.good {
            Good::Listed(statuses) => statuses.contains(&status),
            Good::Others => !is_bad(),
        };
        if is_good {
            Some(Report::Success)
        } else {
            is_bad().then_some(Report::HttpFailure)
        }
    }
}

impl Settings {
    pub(crate) fn new(
        stored: Checks,
        rewritten_host: Option<&str>,
        tls: Option<Arc<rustls::ClientConfig>>,
    ) -> Self {
        let active = &stored.active;
        let count = |count: i64| u8::try_from(count.max(0)).unwrap_or(u8::MAX);
        let every = |seconds: i64| {
            let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
            Some(Duration::from_secs(seconds))
        };
        let (healthy, unhealthy) = (active.healthy.as_ref(), active.unhealthy.as_ref());
        let (good, bad) = (
            healthy.cloned().unwrap_or_default(),
            unhealthy.cloned().unwrap_or_default(),
        );
        let active_rules = Rules {
            good: Good::Listed(ActiveHealthy::clone(&good).http_statuses),
            bad: ActiveUnhealthy::clone(&bad).http_statuses,
            limits: Limits {
                successes: count(good.successes),
                http_failures: count(bad.http_failures),
                tcp_failures: count(bad.tcp_failures),
                timeouts: count(bad.timeouts),
            },
        };
        // Failed attempts count with the default limits even where no passive checks are configured, as in the reference.
        let passive = stored.passive.clone().unwrap_or_default();
        let (for_it, against_it) = (passive.healthy.as_ref(), passive.unhealthy.as_ref());
        let statuses = (
            for_it.map(|healthy| healthy.http_statuses.clone()),
            against_it.map(|unhealthy| unhealthy.http_statuses.clone()),
        );
        let (good, bad) = (
            for_it.cloned().unwrap_or_default(),
            against_it.cloned().unwrap_or_default(),
        );
        let passive_rules = Rules {
            good: Good::Listed(statuses.0.unwrap_or_default()),
            bad: statuses.1.unwrap_or_default(),
            limits: Limits {
                successes: count(PassiveHealthy::clone(&good).successes),
                http_failures: count(PassiveUnhealthy::clone(&bad).http_failures),
                tcp_failures: count(bad.tcp_failures),
                timeouts: count(bad.timeouts),
            },
        };
        let healthy_interval = healthy.and_then(|healthy| every(healthy.interval));
        let keeps = keeps(active, healthy_interval);
        let (head, tail) = request(active, keeps);
        Self {
            kind: active.kind,
            timeout: Duration::try_from_secs_f64(active.timeout)
                .ok()
                .filter(|timeout| !timeout.is_zero())
                .unwrap_or(Duration::from_secs(1)),
            concurrency: usize::try_from(active.concurrency).unwrap_or(1).max(1),
            host: active.host.as_deref().map(Into::into),
            port: active.port,
            rewritten_host: rewritten_host.map(Into::into),
            head,
            tail,
            is_head: active.http_method == "HEAD",
            keeps,
            tls,
            healthy_interval,
            unhealthy_interval: unhealthy.and_then(|unhealthy| every(unhealthy.interval)),
            active: active_rules,
            passive: passive_rules,
            ejection: None,
            stored,
        }
    }

    /// No probes: nodes that fail requests are left out for a while.
    pub(crate) fn outlier(stored: &OutlierPolicy) -> Self {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let failures = stored.consecutive_failures;
        let mut settings = Self::new(Checks::default(), None, None);
        (settings.healthy_interval, settings.unhealthy_interval) = (None, None);
        settings.passive = Rules {
            good: Good::Others,
            bad: stored.http_statuses.clone(),
            limits: Limits {
                successes: 1,
                http_failures: failures,
                tcp_failures: failures,
                timeouts: failures,
            },
        };
        settings.ejection = Some(Ejection {
            base: seconds(stored.base_ejection),
            max: seconds(stored.max_ejection),
            percent: u32::from(stored.max_ejected_percent),
        });
        settings
    }

    /// Whether both say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.stored == other.stored
            && self.rewritten_host == other.rewritten_host
            && self.passive == other.passive
            && self.ejection == other.ejection
    }
}

/// Further lines of the request. A line within a line would be another header, or another request.
fn lines(active: &ActiveChecks) -> impl Iterator<Item = &String> {
    let lines = active.req_headers.iter();
    lines.filter(|line| !line.is_empty() && !line.contains(['\r', '\n']))
}

/// Whether the connections of probes are kept: where they are plain and come often, unless a line says what becomes of them.
fn keeps(active: &ActiveChecks, interval: Option<Duration>) -> bool {
    let is_about_it = |line: &String| {
        let name = line.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case("connection")
    };
    active.kind == ProbeKind::Http
        && interval.is_some_and(|interval| interval <= KEPT_INTERVAL)
        && !lines(active).any(is_about_it)
}

/// The request of a probe, before and behind the value of its Host.
fn request(active: &ActiveChecks, keeps: bool) -> (String, String) {
    let mut head = format!("{} {} HTTP/1.1\r\n", active.http_method, active.http_path);
    if !keeps {
        head.push_str("Connection: close\r\n");
    }
    for line in lines(active) {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("Host: ");
    let body = &active.http_req_body;
    let tail = if body.is_empty() {
        "\r\n\r\n".to_owned()
    } else {
        format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    (head, tail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(stored: &serde_json::Value) -> Settings {
        Settings::new(Checks::read(stored).expect("valid"), None, None)
    }

    #[test]
    fn what_is_not_switched_on_stays_off() {
        let bare = settings(&json!({"active": {}}));
        assert_eq!(
            (bare.healthy_interval, bare.unhealthy_interval),
            (None, None)
        );
        let second = Some(Duration::from_secs(1));
        let half = settings(&json!({"active": {"unhealthy": {}}}));
        assert_eq!(
            (half.healthy_interval, half.unhealthy_interval),
            (None, second)
        );
        assert_eq!(half.active.judge(302), Some(Report::Success));
        assert_eq!(half.active.judge(404), Some(Report::HttpFailure));
        assert_eq!(half.active.judge(201), None);
        // Without passive checks no status counts, but failed attempts do.
        assert_eq!(half.passive.judge(200).or(half.passive.judge(500)), None);
        assert_eq!(
            (
                half.passive.limits.tcp_failures,
                half.passive.limits.timeouts
            ),
            (2, 7)
        );
        let passive =
            settings(&json!({"active": {}, "passive": {"unhealthy": {"tcp_failures": 0}}}));
        assert_eq!(passive.passive.judge(503), Some(Report::HttpFailure));
        assert_eq!(passive.passive.judge(200), None);
        assert_eq!(passive.passive.limits.tcp_failures, 0);
    }

    #[test]
    fn connections_are_kept_where_probes_come_often_and_no_line_speaks_against_it() {
        let often = json!({"interval": 5});
        for (active, keeps) in [
            (json!({"healthy": often}), true),
            (json!({"healthy": {"interval": 6}}), false),
            (json!({"unhealthy": often}), false),
            (json!({"healthy": often, "type": "https"}), false),
            (json!({"healthy": often, "type": "tcp"}), false),
            (
                json!({"healthy": often, "req_headers": ["CONNECTION: x"]}),
                false,
            ),
            (
                json!({"healthy": often, "req_headers": ["Connections: x"]}),
                true,
            ),
        ] {
            assert_eq!(
                settings(&json!({"active": active})).keeps,
                keeps,
                "{active}"
            );
        }
    }

    #[test]
    fn writes_the_request() {
        let plain = settings(&json!({"active": {}}));
        assert_eq!(
            format!("{}a{}", plain.head, plain.tail),
            "GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n"
        );
        let kept = settings(&json!({"active": {"healthy": {"interval": 5}}}));
        assert_eq!(
            format!("{}a{}", kept.head, kept.tail),
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let full = settings(&json!({"active": {
            "http_method": "POST", "http_path": "/x?y", "http_req_body": "ping", "timeout": 0,
            "req_headers": ["User-Agent: me", "", "A: b\r\nC: d", "E: f"],
        }}));
        assert_eq!(
            format!("{}a{}", full.head, full.tail),
            "POST /x?y HTTP/1.1\r\nConnection: close\r\nUser-Agent: me\r\nE: f\r\nHost: a\r\nContent-Length: 4\r\n\r\nping"
        );
        assert_eq!(full.timeout, Duration::from_secs(1));
    }
}
