//! Health checks of an upstream: `checks`.
//!
//! Defaults are those of `apisix/schema_def.lua` (`health_checker_active`, `health_checker_passive`). The objects `healthy` and
//! `unhealthy` have none themselves: where one is missing, what it would switch on stays off.

use serde::{Deserialize, Deserializer, de};

use super::{integer, optional_integer};

/// How the health of nodes is found out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Checks {
    /// Probes.
    pub active: ActiveChecks,
    /// Conclusions from the traffic.
    pub passive: Option<PassiveChecks>,
}

impl Checks {
    /// Reads what an upstream has stored.
    ///
    /// # Errors
    /// It is not what the schema allows.
    pub fn read(stored: &serde_json::Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(stored)
    }
}

/// What a probe speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// A request, whose status counts.
    #[default]
    Http,
    /// The same over TLS.
    Https,
    /// A connection, which is closed at once.
    Tcp,
}

impl ProbeKind {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
        }
    }
}

/// How nodes are probed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ActiveChecks {
    /// What a probe speaks.
    #[serde(rename = "type")]
    pub kind: ProbeKind,
    /// Seconds for each step of a probe. Default 1.
    pub timeout: f64,
    /// Probes of one upstream at the same time. Default 10.
    #[serde(deserialize_with = "integer")]
    pub concurrency: i64,
    /// The name nodes are asked for that have none themselves.
    pub host: Option<String>,
    /// The port that is probed instead of the node's.
    #[serde(deserialize_with = "port")]
    pub port: Option<u16>,
    /// Method. Default `GET`.
    pub http_method: String,
    /// Path and query. Default `/`.
    pub http_path: String,
    /// Body. Default none.
    pub http_req_body: String,
    /// Whether the certificate must be valid for the name. Default true.
    pub https_verify_certificate: bool,
    /// Further header lines, such as `User-Agent: x`.
    pub req_headers: Vec<String>,
    /// Of nodes that are healthy; `None` leaves them alone.
    pub healthy: Option<ActiveHealthy>,
    /// Of nodes that are unhealthy; `None` leaves them alone.
    pub unhealthy: Option<ActiveUnhealthy>,
}

impl Default for ActiveChecks {
    fn default() -> Self {
        Self {
            kind: ProbeKind::default(),
            timeout: 1.0,
            concurrency: 10,
            host: None,
            port: None,
            http_method: "GET".into(),
            http_path: "/".into(),
            http_req_body: String::new(),
            https_verify_certificate: true,
            req_headers: Vec::new(),
            healthy: None,
            unhealthy: None,
        }
    }
}

/// Probes of healthy nodes, and what makes a node healthy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ActiveHealthy {
    /// Seconds between probes. Default 1.
    #[serde(deserialize_with = "integer")]
    pub interval: i64,
    /// Statuses of a success. Default 200, 302.
    #[serde(deserialize_with = "statuses")]
    pub http_statuses: Vec<u16>,
    /// Successes after which a node is healthy. Default 2.
    #[serde(deserialize_with = "integer")]
    pub successes: i64,
}

impl Default for ActiveHealthy {
    fn default() -> Self {
        Self {
            interval: 1,
            http_statuses: vec![200, 302],
            successes: 2,
        }
    }
}

/// Probes of unhealthy nodes, and what makes a node unhealthy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ActiveUnhealthy {
    /// Seconds between probes. Default 1.
    #[serde(deserialize_with = "integer")]
    pub interval: i64,
    /// Statuses of a failure. Default 429, 404, 500 to 505.
    #[serde(deserialize_with = "statuses")]
    pub http_statuses: Vec<u16>,
    /// Failures by status after which a node is unhealthy. Default 5.
    #[serde(deserialize_with = "integer")]
    pub http_failures: i64,
    /// Failures to connect, send or receive after which a node is unhealthy. Default 2.
    #[serde(deserialize_with = "integer")]
    pub tcp_failures: i64,
    /// Timeouts after which a node is unhealthy. Default 3.
    #[serde(deserialize_with = "integer")]
    pub timeouts: i64,
}

impl Default for ActiveUnhealthy {
    fn default() -> Self {
        Self {
            interval: 1,
            http_statuses: vec![429, 404, 500, 501, 502, 503, 504, 505],
            http_failures: 5,
            tcp_failures: 2,
            timeouts: 3,
        }
    }
}

/// What is concluded from the traffic.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PassiveChecks {
    /// Of no effect on HTTP.
    #[serde(rename = "type")]
    pub kind: ProbeKind,
    /// What makes a node healthy; `None` makes no response count for it.
    pub healthy: Option<PassiveHealthy>,
    /// What makes a node unhealthy; `None` makes no response count against it.
    pub unhealthy: Option<PassiveUnhealthy>,
}

/// What makes a node healthy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct PassiveHealthy {
    /// Statuses of a success. Default 200 to 208, 226, 300 to 308.
    #[serde(deserialize_with = "statuses")]
    pub http_statuses: Vec<u16>,
    /// Successes after which a node is healthy; 0 for never. Default 5.
    #[serde(deserialize_with = "integer")]
    pub successes: i64,
}

impl Default for PassiveHealthy {
    fn default() -> Self {
        Self {
            http_statuses: (200..=208).chain([226]).chain(300..=308).collect(),
            successes: 5,
        }
    }
}

/// What makes a node unhealthy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct PassiveUnhealthy {
    /// Statuses of a failure. Default 429, 500, 503.
    #[serde(deserialize_with = "statuses")]
    pub http_statuses: Vec<u16>,
    /// Failures by status after which a node is unhealthy; 0 for never. Default 5.
    #[serde(deserialize_with = "integer")]
    pub http_failures: i64,
    /// Failures to connect, send or receive after which a node is unhealthy; 0 for never. Default 2.
    #[serde(deserialize_with = "integer")]
    pub tcp_failures: i64,
    /// Timeouts after which a node is unhealthy; 0 for never. Default 7.
    #[serde(deserialize_with = "integer")]
    pub timeouts: i64,
}

impl Default for PassiveUnhealthy {
    fn default() -> Self {
        Self {
            http_statuses: vec![429, 500, 503],
            http_failures: 5,
            tcp_failures: 2,
            timeouts: 7,
        }
    }
}

fn port<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    optional_integer(from)?
        .map(|port| {
            u16::try_from(port).map_err(|_| de::Error::custom(format!("{port} is not a port")))
        })
        .transpose()
}

/// Statuses that JSON writers may have spelled `200.0`.
fn statuses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u16>, D::Error> {
    let numbers = Vec::<f64>::deserialize(from)?;
    let is_status = |number: &f64| number.fract() == 0.0 && (0.0..1000.0).contains(number);
    match numbers.iter().find(|number| !is_status(number)) {
        Some(number) => Err(de::Error::custom(format!("{number} is not a status"))),
        None => Ok(numbers.iter().map(|number| *number as u16).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn has_the_defaults_of_the_schema() {
        let schema = crate::schema::of("upstream").expect("a schema");
        let checks = &schema["properties"]["checks"]["properties"];
        let read = |part: &str, name: &str, value: serde_json::Value| {
            let mut stored = json!({});
            stored[part] = json!({name: value});
            Checks::read(&stored).expect("valid")
        };
        for (part, names) in [
            ("active", ["healthy", "unhealthy"]),
            ("passive", ["healthy", "unhealthy"]),
        ] {
            for name in names {
                let properties = checks[part]["properties"][name]["properties"]
                    .as_object()
                    .expect("properties");
                // Filling in a default changes nothing.
                for (field, property) in properties {
                    let filled = json!({field: property["default"]});
                    assert_eq!(
                        read(part, name, filled),
                        read(part, name, json!({})),
                        "{part}.{name}.{field}"
                    );
                }
            }
        }
        for (field, property) in checks["active"]["properties"]
            .as_object()
            .expect("properties")
        {
            if let Some(default) = property.get("default") {
                assert_eq!(
                    read("active", field, default.clone()),
                    Checks::default(),
                    "active.{field}"
                );
            }
        }
    }

    #[test]
    fn reads_every_field_and_refuses_what_is_none() {
        let checks = Checks::read(&json!({
            "active": {
                "type": "https", "timeout": 0.5, "concurrency": 3.0, "host": "a.com", "port": 81, "http_method": "POST",
                "http_path": "/x", "http_req_body": "b", "https_verify_certificate": false, "req_headers": ["A: b"],
                "healthy": {"interval": 2, "http_statuses": [204.0], "successes": 3},
                "unhealthy": {"interval": 4, "http_statuses": [500], "http_failures": 5, "tcp_failures": 6, "timeouts": 7},
            },
            "passive": {"type": "tcp", "healthy": {"successes": 0}, "unhealthy": {"timeouts": 0}},
        }))
        .expect("valid");
        assert_eq!(
            (checks.active.port, checks.active.concurrency),
            (Some(81), 3)
        );
        let healthy = checks.active.healthy.expect("there");
        assert_eq!((healthy.http_statuses, healthy.successes), (vec![204], 3));
        let passive = checks.passive.expect("there");
        assert_eq!(passive.kind.name(), "tcp");
        assert_eq!(passive.unhealthy.expect("there").timeouts, 0);
        for wrong in [
            json!({"active": {"type": "udp"}}),
            json!({"active": {"port": 70_000}}),
            json!({"active": {"healthy": {"http_statuses": [200.5]}}}),
        ] {
            assert!(Checks::read(&wrong).is_err(), "{wrong}");
        }
    }
}
