//! How single successes and failures become a verdict (`lua-resty-healthcheck`, `incr_counter`).
//!
//! Four counters and the state are one word, so that workers and probes change them together without a lock. A success takes
//! back all failures, a failure all successes. Nothing more is counted for a node that is wholly what the report says.

use lockgate_model::health::{Counters, Health};

/// Something that was seen of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    Success,
    HttpFailure,
    TcpFailure,
    Timeout,
}

/// After how many reports of a kind the verdict changes; 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) successes: u8,
    pub(crate) http_failures: u8,
    pub(crate) tcp_failures: u8,
    pub(crate) timeouts: u8,
}

impl Limits {
    fn of(self, report: Report) -> u8 {
        match report {
            Report::Success => self.successes,
            Report::HttpFailure => self.http_failures,
            Report::TcpFailure => self.tcp_failures,
            Report::Timeout => self.timeouts,
        }
    }
}

/// Counters in the lowest four bytes, the state above them, and whether the node has left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

const HAS_LEFT: u64 = 1 << 40;

impl Word {
    /// Nothing was seen of a node that is checked no more.
    pub(crate) const LEFT: Self = Self(HAS_LEFT);

    pub(crate) fn health(self) -> Health {
        match (self.0 >> 32) & 3 {
            0 => Health::Healthy,
            1 => Health::MostlyHealthy,
            2 => Health::MostlyUnhealthy,
            _ => Health::Unhealthy,
        }
    }

    /// Whether the node is used.
    #[inline]
    pub(crate) fn is_good(self) -> bool {
        self.0 & (2 << 32) == 0
    }

    pub(crate) fn has_left(self) -> bool {
        self.0 & HAS_LEFT != 0
    }

    pub(crate) fn counters(self) -> Counters {
        let [success, http_failure, tcp_failure, timeout_failure] = (self.0 as u32).to_le_bytes();
        Counters {
            success,
            http_failure,
            tcp_failure,
            timeout_failure,
        }
    }

    /// What it is once it counts as healthy again, whatever was seen of it.
    pub(crate) fn recovered(self) -> Self {
        Self(self.0 & HAS_LEFT)
    }

    /// What it is after a report.
    pub(crate) fn after(self, report: Report, limits: Limits) -> Self {
        let limit = limits.of(report);
        let health = self.health();
        let is_success = report == Report::Success;
        let is_settled = match health {
            Health::Healthy => is_success,
            Health::Unhealthy => !is_success,
            Health::MostlyHealthy | Health::MostlyUnhealthy => false,
        };
        if limit == 0 || is_settled {
            return self;
        }
        let mut counters = self.counters();
        if is_success {
            counters = Counters {
                success: counters.success,
                ..Counters::default()
            };
        } else {
            counters.success = 0;
        }
        let counter = match report {
            Report::Success => &mut counters.success,
            Report::HttpFailure => &mut counters.http_failure,
            Report::TcpFailure => &mut counters.tcp_failure,
            Report::Timeout => &mut counters.timeout_failure,
        };
        *counter = counter.saturating_add(1);
        let health = match health {
            _ if *counter >= limit && is_success => Health::Healthy,
            _ if *counter >= limit => Health::Unhealthy,
            Health::Healthy => Health::MostlyHealthy,
            Health::Unhealthy => Health::MostlyUnhealthy,
            other => other,
        };
        let Counters {
            success,
            http_failure,
            tcp_failure,
            timeout_failure,
        } = counters;
        let counts = u32::from_le_bytes([success, http_failure, tcp_failure, timeout_failure]);
        let state = match health {
            Health::Healthy => 0,
            Health::MostlyHealthy => 1,
            Health::MostlyUnhealthy => 2,
            Health::Unhealthy => 3,
        };
        Self(self.0 & HAS_LEFT | state << 32 | u64::from(counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        successes: 2,
        http_failures: 3,
        tcp_failures: 2,
        timeouts: 0,
    };

    /// A story of reports (s, h, t, o for timeout), the verdict it ends with, and the counters.
    #[test]
    fn follows_the_reference() {
        use Health::{Healthy, MostlyHealthy, MostlyUnhealthy, Unhealthy};
        for (story, health, counters) in [
            ("", Healthy, [0, 0, 0, 0]),
            ("sss", Healthy, [0, 0, 0, 0]),
            ("h", MostlyHealthy, [0, 1, 0, 0]),
            ("hs", MostlyHealthy, [1, 0, 0, 0]),
            ("hss", Healthy, [2, 0, 0, 0]),
            ("hssh", MostlyHealthy, [0, 1, 0, 0]),
            ("hth", MostlyHealthy, [0, 2, 1, 0]),
            ("htht", Unhealthy, [0, 2, 2, 0]),
            ("hhh", Unhealthy, [0, 3, 0, 0]),
            ("hhhhtt", Unhealthy, [0, 3, 0, 0]),
            ("hhsh", MostlyHealthy, [0, 1, 0, 0]),
            ("hhhs", MostlyUnhealthy, [1, 0, 0, 0]),
            ("hhhsh", MostlyUnhealthy, [0, 1, 0, 0]),
            ("hhhshhh", Unhealthy, [0, 3, 0, 0]),
            ("hhhss", Healthy, [2, 0, 0, 0]),
            ("tt", Unhealthy, [0, 0, 2, 0]),
            ("ooo", Healthy, [0, 0, 0, 0]),
        ] {
            let reports = story.chars().map(|report| match report {
                's' => Report::Success,
                'h' => Report::HttpFailure,
                't' => Report::TcpFailure,
                _ => Report::Timeout,
            });
            let word = reports.fold(Word::default(), |word, report| word.after(report, LIMITS));
            assert_eq!(word.health(), health, "{story}");
            assert_eq!(word.is_good(), health.is_good(), "{story}");
            let [success, http_failure, tcp_failure, timeout_failure] = counters;
            let expected = Counters {
                success,
                http_failure,
                tcp_failure,
                timeout_failure,
            };
            assert_eq!(word.counters(), expected, "{story}");
            let left = Word(word.0 | Word::LEFT.0);
            assert!(!word.has_left() && left.after(Report::HttpFailure, LIMITS).has_left());
        }
    }
}
