//! `limit-req`: so many requests per second, and some more that wait for their turn.
//!
//! Runs in `access`. Buckets are kept for the whole node by `lockgate-limit`. Where requests are delayed the hook is one that waits;
//! with `nodelay` it is plain. Counters are the object's that holds the plugin and belong to its configuration, as those of
//! `limit-count` do. What is different from the reference is listed in `README.md`.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use lockgate_limit::{Admission, LeakyBucket, Rate, Tables};
use lockgate_plugin::{
    About, Access, AccessAsync, Compile, ConfigError, Exchange, Flow, Hooks, Plugin,
};
use serde::Deserialize;

use crate::limiting::{KeyType, Policy, Refusal, Scope, Source, delay, now_ms};

/// The reference's dictionary of buckets.
const TABLE: &str = "plugin-limit-req";

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    rate: f64,
    burst: f64,
    key: String,
    key_type: KeyType,
    policy: Policy,
    rejected_code: u16,
    rejected_msg: Option<String>,
    nodelay: bool,
}

/// The plugin, configured.
#[derive(Debug)]
pub struct LimitReq {
    buckets: Arc<LeakyBucket>,
    rate: Rate,
    key: Source,
    scope: Scope,
    refusal: Refusal,
    /// `nodelay` is not set
    delays: bool,
}

impl Plugin for LimitReq {
    const ABOUT: About = About::new("limit-req", 1001, include_str!("schema.json"));
    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        if config.policy != Policy::Local {
            return Err(ConfigError::new("counting in Redis is not built in"));
        }
        let tables = cx.node.shared(|_| Tables::default());
        let rate = Rate::new(config.rate, config.burst);
        Ok(Self {
            buckets: tables.leaky_bucket(TABLE),
            rate: rate.ok_or_else(|| ConfigError::new("rate and burst are too large"))?,
            key: Source::new(&config.key, config.key_type),
            scope: Scope::object(cx, None, &tables),
            refusal: Refusal::new(config.rejected_code, config.rejected_msg),
            delays: !config.nodelay,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        if self.delays {
            on.access_async(self);
        } else {
            on.access(self);
        }
    }
}

impl LimitReq {
    /// How long the request should wait, in seconds; `None` if it came too fast.
    #[inline]
    fn admit(&self, ex: &mut Exchange<'_>) -> Option<f64> {
        let key = self.scope.key(&self.key, ex);
        let hash = self.scope.hash(&key);
        ex.set_scratch(key);
        match self.buckets.incoming(hash, self.rate, now_ms(ex)) {
            Admission::Delayed { delay_s } => Some(delay_s),
            Admission::Refused => None,
        }
    }
}

impl Access for LimitReq {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        match self.admit(ex) {
            Some(_) => Flow::Next,
            None => self.refusal.flow(),
        }
    }
}

impl AccessAsync for LimitReq {
    async fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        match self.admit(ex) {
            Some(delay_s) => {
                delay(delay_s).await;
                Flow::Next
            }
            None => self.refusal.flow(),
        }
    }
}
