//! Settings of a processor.

use std::time::Duration;

use serde_json::Value;

use crate::limits;

/// When a processor sends, and how often it tries. The names are those of the reference's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What log lines and metrics call it.
    pub name: String,
    /// Entries of a full batch. 1 sends each entry at once. 1000; 0 is taken for 1.
    pub batch_max_size: usize,
    /// A batch is sent when no entry came for this long. 5 s.
    pub inactive_timeout: Duration,
    /// A batch is sent when its first entry is this old. 60 s.
    pub buffer_duration: Duration,
    /// How often a batch that failed is sent again. 0.
    pub max_retry_count: u64,
    /// How long to wait before that. 1 s.
    pub retry_delay: Duration,
}

impl Settings {
    /// The reference's defaults under this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            batch_max_size: 1000,
            inactive_timeout: Duration::from_secs(5),
            buffer_duration: Duration::from_mins(1),
            max_retry_count: 0,
            retry_delay: Duration::from_secs(1),
        }
    }

    /// Reads the fields of a plugin's configuration that are a processor's: `name`, `batch_max_size`, `inactive_timeout`,
    /// `buffer_duration`, `max_retry_count` and `retry_delay`, times in seconds. What is absent has the default, as has what
    /// the plugin's schema would have refused.
    pub fn read(config: &Value, name: &str) -> Self {
        let defaults = Self::named(name);
        let number = |field: &str| whole(config.get(field)?);
        let seconds = |field: &str| number(field).map(Duration::from_secs);
        Self {
            name: config
                .get("name")
                .and_then(Value::as_str)
                .map_or(defaults.name, str::to_owned),
            batch_max_size: number("batch_max_size").map_or(defaults.batch_max_size, |count| {
                usize::try_from(count).unwrap_or(usize::MAX)
            }),
            inactive_timeout: seconds("inactive_timeout").unwrap_or(defaults.inactive_timeout),
            buffer_duration: seconds("buffer_duration").unwrap_or(defaults.buffer_duration),
            max_retry_count: number("max_retry_count").unwrap_or(defaults.max_retry_count),
            retry_delay: seconds("retry_delay").unwrap_or(defaults.retry_delay),
        }
    }

    /// The same within what the processor can do.
    pub(crate) fn bounded(mut self) -> Self {
        self.batch_max_size = self.batch_max_size.max(1);
        for time in [
            &mut self.inactive_timeout,
            &mut self.buffer_duration,
            &mut self.retry_delay,
        ] {
            *time = (*time).min(limits::LONGEST);
        }
        self
    }
}

/// A number that is whole and not negative. JSON schema calls 5.0 an integer too.
fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|it| *it >= 0.0 && it.fract() == 0.0);
    value.as_u64().or_else(|| float().map(|it| it as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_configuration_of_a_plugin() {
        let defaults = Settings::named("http logger");
        for (config, expected) in [
            (json!({"uri": "http://a.test"}), defaults.clone()),
            (
                json!({"batch_max_size": "x", "retry_delay": -1}),
                defaults.clone(),
            ),
            (
                json!({"name": "n", "batch_max_size": 2.0, "inactive_timeout": 3, "buffer_duration": 4,
                    "max_retry_count": 5, "retry_delay": 0}),
                Settings {
                    name: "n".into(),
                    batch_max_size: 2,
                    inactive_timeout: Duration::from_secs(3),
                    buffer_duration: Duration::from_secs(4),
                    max_retry_count: 5,
                    retry_delay: Duration::ZERO,
                },
            ),
            (
                json!({"batch_max_size": 1e300, "inactive_timeout": u64::MAX}),
                Settings {
                    batch_max_size: usize::MAX,
                    inactive_timeout: Duration::from_secs(u64::MAX),
                    ..defaults
                },
            ),
        ] {
            assert_eq!(Settings::read(&config, "http logger"), expected, "{config}");
        }
    }

    #[test]
    fn bounds_what_the_clock_cannot_count() {
        let bounded = Settings {
            batch_max_size: 0,
            inactive_timeout: Duration::MAX,
            ..Settings::named("x")
        }
        .bounded();
        assert_eq!(bounded.batch_max_size, 1);
        assert_eq!(bounded.inactive_timeout, limits::LONGEST);
        assert_eq!(bounded.buffer_duration, Duration::from_mins(1));
    }
}
