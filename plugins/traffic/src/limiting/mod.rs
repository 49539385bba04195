//! What the limiting plugins have in common: what a request is counted under, limits that may be variables, and how they refuse.
//!
//! Counting itself is `lockgate-limit`'s, which also documents the reference's keys.

mod amount;
mod background;
pub(crate) mod redis;
mod scope;
mod source;

pub(crate) use amount::{Amount, Number};
pub(crate) use background::Background;
pub(crate) use scope::Scope;
pub(crate) use source::{KeyType, Source};

use std::time::Duration;

use lockgate_plugin::{Exchange, Flow};
use serde::{Deserialize, Serialize};

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Policy {
    /// This node.
    Local,
    /// A Redis server.
    Redis,
    /// A Redis cluster.
    RedisCluster,
    /// The Redis server that sentinels name.
    RedisSentinel,
}

/// How a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    sentence: Option<Box<str>>,
}

#[derive(Serialize)]
struct Message<'a> {
    error_msg: &'a str,
}

impl Refusal {
    /// With `rejected_code` and `rejected_msg`.
    pub(crate) fn new(status: u16, sentence: Option<String>) -> Self {
        Self {
            status,
            sentence: sentence.map(Into::into),
        }
    }

    /// The answer.
    pub(crate) fn flow(&self) -> Flow {
        match &self.sentence {
            Some(sentence) => error_message(self.status, sentence),
            None => Flow::page(self.status),
        }
    }
}

/// Waits before a request goes on; less than a millisecond is not worth it, as in the reference.
pub(crate) async fn delay(seconds: f64) {
    if seconds >= 0.001 {
        // Beyond what a duration can hold, the wait ends with the client's patience.
        let delay = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        tokio::time::sleep(delay).await;
    }
}

/// Milliseconds since the epoch.
#[inline]
pub(crate) fn now_ms(ex: &Exchange<'_>) -> u64 {
    u64::try_from(ex.now().as_millis()).unwrap_or(u64::MAX)
}

/// An answer `{"error_msg": …}`.
pub(crate) fn error_message(status: u16, error_msg: &str) -> Flow {
    Flow::json(status, &Message { error_msg })
}
