//! `limit-req`: so many requests per second, and some more that wait for their turn.
//!
//! Runs in `access`. Buckets are kept for the whole node by `lockgate-limit`. Where requests are delayed the hook is one that waits;
//! with `nodelay` it is plain. Counters are the object's that holds the plugin and belong to its configuration, as those of
//! `limit-count` do. What is different from the reference is listed in `README.md`.

mod remote;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lockgate_limit::{Admission, LeakyBucket, Rate, Tables};
use lockgate_plugin::{
    About, Access, AccessAsync, Compile, ConfigError, Exchange, Flow, Hooks, Plugin,
};
use serde::Deserialize;

use crate::limiting::{KeyType, Policy, Refusal, Scope, Source, delay, now_ms, redis};
use remote::Remote;

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
    allow_degradation: bool,
}

/// The plugin, configured.
#[derive(Debug)]
pub struct LimitReq {
    buckets: Buckets,
    key: Source,
    scope: Scope,
    refusal: Refusal,
    /// `nodelay` is not set
    delays: bool,
    /// `allow_degradation`
    lets_pass_uncounted: bool,
}

/// Where buckets are kept.
#[derive(Debug)]
enum Buckets {
    /// In this node.
    Here(Arc<LeakyBucket>, Rate),
    /// In Redis.
    Remote(Remote),
}

impl Plugin for LimitReq {
    const ABOUT: About = About::new("limit-req", 1001, include_str!("schema.json"));
    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let tables = cx.node.shared(|_| Tables::default());
        let rate = Rate::new(config.rate, config.burst);
        let rate = rate.ok_or_else(|| ConfigError::new("rate and burst are too large"))?;
        Ok(Self {
            buckets: match redis::client(config.policy, cx)? {
                None => Buckets::Here(tables.leaky_bucket(TABLE), rate),
                Some(client) => Buckets::Remote(Remote::new(client, config.rate, config.burst)),
            },
            key: Source::new(&config.key, config.key_type),
            scope: Scope::object(cx, None, &tables),
            refusal: Refusal::new(config.rejected_code, config.rejected_msg),
            delays: !config.nodelay,
            lets_pass_uncounted: config.allow_degradation,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        match self.buckets {
            Buckets::Here(..) if !self.delays => on.access(self),
            Buckets::Here(..) | Buckets::Remote(_) => on.access_async(self),
        }
    }
}

impl LimitReq {
    /// What this node's bucket says.
    #[inline]
    fn take(&self, buckets: &LeakyBucket, rate: Rate, ex: &mut Exchange<'_>) -> Admission {
        let key = self.scope.key(&self.key, ex);
        let hash = self.scope.hash(&key);
        ex.set_scratch(key);
        buckets.incoming(hash, rate, now_ms(ex))
    }
}

/// Takes from a bucket of this node, without a delay.
impl Access for LimitReq {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let Buckets::Here(buckets, rate) = &self.buckets else {
            return Flow::Next;
        };
        match self.take(buckets, *rate, ex) {
            Admission::Delayed { .. } => Flow::Next,
            Admission::Refused => self.refusal.flow(),
        }
    }
}

/// Takes from any bucket.
impl AccessAsync for LimitReq {
    async fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let admission = match &self.buckets {
            Buckets::Here(buckets, rate) => Ok(self.take(buckets, *rate, ex)),
            Buckets::Remote(remote) => {
                let key = self.scope.key(&self.key, ex);
                let admission = remote.take(ex.worker(), &key, ex.now()).await;
                ex.set_scratch(key);
                admission
            }
        };
        match admission {
            Ok(Admission::Delayed { delay_s }) => {
                if self.delays {
                    delay(delay_s).await;
                }
                Flow::Next
            }
            Ok(Admission::Refused) => self.refusal.flow(),
            Err(error) => {
                tracing::error!("failed to limit req: {error}");
                if self.lets_pass_uncounted {
                    Flow::Next
                } else {
                    Flow::page(500)
                }
            }
        }
    }
}
