//! `limit-count`: so many requests in a window of time.
//!
//! Runs in `access`. Requests are counted for the whole node by `lockgate-limit`, or in Redis for several nodes; with the first, the
//! hook is plain and allocates nothing but the values of three fields. Each configuration counts apart, also where two objects have
//! the same, unless they name a `group`. What is different from the reference is listed in `README.md`.
//!
//! Read next: `config.rs`, then `rule.rs` for what applies to a request.

mod config;
mod delayed;
mod headers;
mod remote;
mod rule;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use lockgate_limit::{Decision, FixedWindow, Key, Quota, SlidingWindow, Tables};
use lockgate_plugin::{
    About, Access, AccessAsync, Compile, ConfigError, Exchange, Flow, Hooks, MetadataHandle,
    MetadataType, Plugin,
};

pub use config::Config;
pub use headers::Names;

use crate::limiting::{Background, Refusal, Scope, error_message, now_ms, redis};
use config::{NO_SYNC, WindowType};
use delayed::{Delayed, Fallback, InForce};
use remote::Remote;
use rule::{Applied, Rule, Rules};

/// The reference's dictionary of counters.
const TABLE: &str = "plugin-limit-count";

/// The plugin, configured.
#[derive(Debug)]
pub struct LimitCount {
    rules: Rules,
    counting: Counting,
    scope: Arc<Scope>,
    refusal: Refusal,
    /// `allow_degradation`
    lets_pass_uncounted: bool,
    /// `show_limit_quota_header`
    shows_quota: bool,
    names: MetadataHandle<Names>,
}

/// Who counts.
#[derive(Debug)]
enum Counting {
    /// This node.
    Here(Counters),
    /// Redis, for all who use it.
    Remote(Arc<Remote>),
    /// This node, which tells Redis later.
    Delayed(Arc<Delayed>, Arc<Remote>),
}

/// Counters of this node.
#[derive(Debug, Clone)]
enum Counters {
    Fixed(Arc<FixedWindow>),
    Sliding(Arc<SlidingWindow>),
}

impl Counters {
    #[inline]
    fn count(&self, key: Key, cost: u64, quota: Quota, now_ms: u64) -> Decision {
        match self {
            Self::Fixed(windows) => windows.incoming(key, cost, quota, now_ms),
            Self::Sliding(windows) => windows.incoming(key, cost, quota, now_ms),
        }
    }
}

impl Plugin for LimitCount {
    const ABOUT: About = About::new("limit-count", 1002, include_str!("schema.json"));
    const METADATA: Option<MetadataType> = Some(MetadataType::of::<Names>());
    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        config.check()?;
        let tables = cx.node.shared(|_| Tables::default());
        let counters = match config.window_type {
            WindowType::Fixed => Counters::Fixed(tables.fixed_window(TABLE)),
            WindowType::Sliding => Counters::Sliding(tables.sliding_window(TABLE)),
        };
        let scope = Arc::new(match &config.group {
            Some(group) => Scope::group(group, &tables),
            None => Scope::object(cx, config.part.as_ref(), &tables),
        });
        let counting = match redis::client(config.policy, cx)? {
            None => Counting::Here(counters),
            Some(client) => {
                let remote = Arc::new(Remote::new(client, config.window_type));
                if config.sync_interval == NO_SYNC {
                    Counting::Remote(remote)
                } else {
                    let interval = Duration::try_from_secs_f64(config.sync_interval);
                    let fallback = Fallback {
                        counters,
                        scope: scope.clone(),
                    };
                    let in_force = cx.node.shared(|_| InForce::default());
                    // Of a group the name is the same whatever is edited.
                    let mut name = scope.name();
                    name.extend_from_slice(
                        format!(
                            "{} {interval:?} {:?}",
                            redis::identity(cx.config),
                            config.window_type
                        )
                        .as_bytes(),
                    );
                    let delayed = in_force.get(name, &remote, |remote| {
                        Delayed::new(
                            remote,
                            interval.unwrap_or(Duration::MAX),
                            Background::of(cx.node),
                            fallback,
                        )
                    });
                    Counting::Delayed(delayed, remote)
                }
            }
        };
        Ok(Self {
            counting,
            scope,
            lets_pass_uncounted: config.allow_degradation,
            shows_quota: config.show_limit_quota_header,
            names: cx.metadata(),
            refusal: Refusal::new(config.rejected_code, config.rejected_msg.clone()),
            rules: Rules::new(config)?,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        match self.counting {
            Counting::Here(_) => on.access(self),
            Counting::Remote(_) | Counting::Delayed(..) => on.access_async(self),
        }
    }
}

/// Counts in this node.
impl Access for LimitCount {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let Counting::Here(counters) = &self.counting else {
            return Flow::Next;
        };
        let applied = match self.rules.apply(ex) {
            Ok(applied) => applied,
            Err(error) => return self.without_rules(&error),
        };
        let now_ms = now_ms(ex);
        for Applied { rule, quota, value } in applied {
            let key = self.key(rule, value.as_deref(), ex);
            let decision = counters.count(self.scope.hash(&key), 1, quota, now_ms);
            self.tell(rule, key, quota, decision, ex);
            if !decision.is_allowed {
                return self.refusal.flow();
            }
        }
        Flow::Next
    }
}

/// Counts in Redis.
impl AccessAsync for LimitCount {
    async fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let applied = match self.rules.apply(ex) {
            Ok(applied) => applied,
            Err(error) => return self.without_rules(&error),
        };
        let (worker, now) = (ex.worker(), ex.now());
        for Applied { rule, quota, value } in applied {
            let mut key = self.key(rule, value.as_deref(), ex);
            let decision = match &self.counting {
                // A window that ends before Redis is told is counted there.
                Counting::Delayed(delayed, _)
                    if delayed.interval() < Duration::from_secs(quota.window_s.get()) =>
                {
                    Ok(delayed.count(worker, &key, 1, quota, now).await)
                }
                Counting::Remote(remote) | Counting::Delayed(_, remote) => {
                    remote.count(worker, &key, 1, quota, now).await
                }
                Counting::Here(_) => return Flow::Next,
            };
            match decision {
                Ok(decision) => {
                    self.tell(rule, key, quota, decision, ex);
                    if !decision.is_allowed {
                        return self.refusal.flow();
                    }
                }
                Err(error) => {
                    ex.rate_limiting().say(&mut key, quota.limit.get(), 0, 0);
                    ex.set_scratch(key);
                    tracing::error!("failed to limit count: {error}");
                    if !self.lets_pass_uncounted {
                        return error_message(500, "failed to limit count");
                    }
                }
            }
        }
        Flow::Next
    }
}

impl LimitCount {
    /// What the request is counted under.
    #[inline]
    fn key(&self, rule: &Rule, value: Option<&[u8]>, ex: &mut Exchange<'_>) -> Vec<u8> {
        match value {
            Some(value) => self
                .scope
                .key_with(ex, |_, key| key.extend_from_slice(value)),
            None => self.scope.key(&rule.key, ex),
        }
    }

    /// Tells the client and logs what was decided.
    #[inline]
    fn tell(
        &self,
        rule: &Rule,
        mut key: Vec<u8>,
        quota: Quota,
        decision: Decision,
        ex: &mut Exchange<'_>,
    ) {
        let limit = quota.limit.get();
        let Decision {
            is_allowed,
            remaining,
            reset_s,
        } = decision;
        let remaining = if is_allowed { remaining } else { 0 };
        let reset_cs = (reset_s * 100.0).floor() as u64;
        let said = ex.rate_limiting();
        said.say(&mut key, limit, remaining, reset_cs / 100);
        ex.set_scratch(key);
        if self.shows_quota {
            let headers = ex.response_headers();
            self.names.with(|names| match (names, &rule.prefix) {
                (None, _) => rule.names.set(headers, limit, remaining, reset_cs),
                (Some(names), None) => names.set(headers, limit, remaining, reset_cs),
                (Some(names), Some(prefix)) => {
                    names
                        .prefixed(prefix)
                        .set(headers, limit, remaining, reset_cs);
                }
            });
        }
    }

    /// What becomes of a request that cannot be counted, because no rule applies or a limit is none.
    fn without_rules(&self, error: &str) -> Flow {
        tracing::error!("failed to get rate limit rules: {error}");
        if self.lets_pass_uncounted {
            Flow::Next
        } else {
            Flow::page(500)
        }
    }
}
