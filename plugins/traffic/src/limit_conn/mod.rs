//! `limit-conn`: so many requests at the same time, and some more that wait before they go on.
//!
//! Runs in `access` and in `log`, where the request leaves; one that ends without a log, because the client is gone, leaves with
//! the memory it takes. Requests are counted for the whole node by `lockgate-limit`. Where some may have to wait the hook is one that
//! waits, otherwise it is plain. What is different from the reference is listed in `README.md`.

mod remote;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lockgate_expr::Template;
use lockgate_limit::{Concurrency, Lease, Room, Tables};
use lockgate_plugin::{
    About, Access, AccessAsync, Compile, ConfigError, Exchange, Flow, Hooks, Log, Plugin,
};
use serde::Deserialize;
use serde_json::Value;
use smallvec::{SmallVec, smallvec};

use crate::limiting::{
    Amount, Background, KeyType, Number, Policy, Refusal, Scope, Source, delay, redis,
};
use remote::{Remote, RemotePlace};

/// The reference's dictionary of counts.
const TABLE: &str = "plugin-limit-conn";

/// For how many seconds a request under way is believed in, where the configuration does not say.
const KEY_TTL_S: i64 = 3600;

/// The configuration as users write it. `only_use_default_delay` says nothing: the reference's delay is always the default one.
#[derive(Debug, Deserialize)]
pub struct Config {
    conn: Option<Number>,
    burst: Option<Number>,
    default_conn_delay: f64,
    key: Option<String>,
    key_type: KeyType,
    rules: Option<Vec<RuleConfig>>,
    policy: Policy,
    rejected_code: u16,
    rejected_msg: Option<String>,
    allow_degradation: bool,
    /// Of the policies that count in Redis.
    key_ttl: Option<i64>,
    /// Which of several configurations of one object this is, where another plugin holds it (`workflow`).
    #[serde(rename = "_vid")]
    part: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct RuleConfig {
    conn: Number,
    burst: Number,
    key: String,
}

/// The plugin, configured.
#[derive(Debug)]
pub struct LimitConn {
    rules: Rules,
    counts: Counts,
    /// `default_conn_delay`, in seconds.
    unit_delay_s: f64,
    scope: Scope,
    refusal: Refusal,
    /// `allow_degradation`
    lets_pass_uncounted: bool,
}

/// Who counts.
#[derive(Debug)]
enum Counts {
    /// This node.
    Here(Arc<Concurrency>),
    /// Redis, for all who use it.
    Remote(Remote),
}

#[derive(Debug)]
enum Rules {
    /// One limit, for every request.
    One(Limit, Source),
    /// Several (`rules`), of which those apply whose keys have a value.
    Several(Box<[(Limit, Template)]>),
}

/// Limits that are no numbers when the request comes.
#[derive(Debug)]
struct Limit {
    conn: Amount,
    burst: Amount,
}

/// A limit that applies to a request.
struct Applied {
    room: Room,
    /// What it counts by, where that is known already.
    value: Option<Vec<u8>>,
}

/// The places of a request that is under way.
#[derive(Default)]
struct Places {
    here: SmallVec<[Lease; 1]>,
    remote: Vec<RemotePlace>,
}

impl Plugin for LimitConn {
    const ABOUT: About = About::new("limit-conn", 1003, include_str!("schema.json"));
    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let tables = cx.node.shared(|_| Tables::default());
        Ok(Self {
            counts: match redis::client(config.policy, cx)? {
                None => Counts::Here(tables.concurrency(TABLE)),
                Some(client) => {
                    let ttl_s = config.key_ttl.unwrap_or(KEY_TTL_S);
                    Counts::Remote(Remote::new(client, ttl_s, Background::of(cx.node)))
                }
            },
            scope: Scope::object(cx, config.part.as_ref(), &tables),
            unit_delay_s: config.default_conn_delay,
            refusal: Refusal::new(config.rejected_code, config.rejected_msg.clone()),
            lets_pass_uncounted: config.allow_degradation,
            rules: Rules::new(config)?,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        if matches!(self.counts, Counts::Here(_)) && !self.rules.may_delay() {
            on.access(self.clone());
        } else {
            on.access_async(self.clone());
        }
        on.log(self);
    }
}

impl Rules {
    fn new(config: Config) -> Result<Self, ConfigError> {
        if let Some(rules) = config.rules {
            let rules = rules.into_iter().map(|rule| {
                let limit = Limit {
                    conn: rule.conn.into(),
                    burst: rule.burst.into(),
                };
                (limit, Template::parse(&rule.key))
            });
            return Ok(Self::Several(rules.collect()));
        }
        let (Some(conn), Some(burst), Some(key)) = (config.conn, config.burst, config.key) else {
            return Err(ConfigError::new("conn, burst and key are required"));
        };
        let limit = Limit {
            conn: conn.into(),
            burst: burst.into(),
        };
        Ok(Self::One(limit, Source::new(&key, config.key_type)))
    }

    /// Whether a request may have to wait.
    fn may_delay(&self) -> bool {
        let has_burst = |limit: &Limit| !matches!(limit.burst, Amount::Fixed(0));
        match self {
            Self::One(limit, _) => has_burst(limit),
            Self::Several(rules) => rules.iter().any(|(limit, _)| has_burst(limit)),
        }
    }

    /// The limits that apply to a request: at least one.
    ///
    /// # Errors
    /// None applies, or the one that there is is no number.
    #[inline]
    fn apply(&self, ex: &Exchange<'_>) -> Result<SmallVec<[Applied; 1]>, String> {
        match self {
            Self::One(limit, _) => Ok(smallvec![Applied {
                room: limit.room(ex)?,
                value: None,
            }]),
            Self::Several(rules) => {
                let mut applied = SmallVec::new();
                for (limit, key) in rules {
                    // Of several, one that is no number does not apply; so it is in the reference.
                    let Ok(room) = limit.room(ex) else { continue };
                    let mut value = Vec::new();
                    if key.render(ex, &mut value) > 0 {
                        applied.push(Applied {
                            room,
                            value: Some(value),
                        });
                    }
                }
                if applied.is_empty() {
                    return Err("nil".into());
                }
                Ok(applied)
            }
        }
    }
}

impl Limit {
    #[inline]
    fn room(&self, ex: &Exchange<'_>) -> Result<Room, String> {
        let conn = self.conn.resolve(1, ex)?;
        let burst = self.burst.resolve(0, ex)?;
        Room::new(conn, burst).ok_or_else(|| "a limit of 0".to_owned())
    }
}

impl LimitConn {
    /// What the request is counted under.
    #[inline]
    fn key(&self, applied: &Applied, ex: &mut Exchange<'_>) -> Vec<u8> {
        match (&applied.value, &self.rules) {
            (None, Rules::One(_, source)) => self.scope.key(source, ex),
            (value, _) => {
                let value = value.as_deref().unwrap_or_default();
                self.scope
                    .key_with(ex, |_, key| key.extend_from_slice(value))
            }
        }
    }

    /// Takes the place that a limit has for the request in this node; how long it should wait, in seconds. `None` if there is none.
    #[inline]
    fn enter(
        &self,
        counts: &Arc<Concurrency>,
        applied: &Applied,
        places: &mut Places,
        ex: &mut Exchange<'_>,
    ) -> Option<f64> {
        let key = self.key(applied, ex);
        let hash = self.scope.hash(&key);
        ex.set_scratch(key);
        let entered = counts.enter(hash, applied.room, self.unit_delay_s)?;
        places.here.push(entered.lease);
        Some(entered.delay_s)
    }

    /// The same in Redis.
    async fn enter_remote(
        &self,
        remote: &Remote,
        applied: &Applied,
        places: &mut Places,
        ex: &mut Exchange<'_>,
    ) -> Result<Option<f64>, lockgate_redis::Error> {
        let key = self.key(applied, ex);
        let entered = remote
            .enter(ex.worker(), &key, applied.room, ex.now())
            .await;
        ex.set_scratch(key);
        let Some((place, conn)) = entered? else {
            return Ok(None);
        };
        places.remote.push(place);
        let turns = conn.saturating_sub(1) / applied.room.conn;
        Ok(Some(self.unit_delay_s * turns as f64))
    }

    /// What becomes of a request that cannot be counted.
    fn uncounted(&self) -> Flow {
        if self.lets_pass_uncounted {
            Flow::Next
        } else {
            Flow::page(500)
        }
    }

    /// The same, because no limit applies or the one that does is no number.
    fn without_rules(&self, error: &str) -> Flow {
        tracing::error!("failed to get limit conn rules: {error}");
        self.uncounted()
    }
}

/// Counts in this node, without a delay.
impl Access for LimitConn {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let Counts::Here(counts) = &self.counts else {
            return Flow::Next;
        };
        let applied = match self.rules.apply(ex) {
            Ok(applied) => applied,
            Err(error) => return self.without_rules(&error),
        };
        let mut places = Places::default();
        let has_room = applied
            .iter()
            .all(|applied| self.enter(counts, applied, &mut places, ex).is_some());
        ex.keep(self, places);
        if has_room {
            Flow::Next
        } else {
            self.refusal.flow()
        }
    }
}

/// Counts anywhere.
impl AccessAsync for LimitConn {
    async fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let applied = match self.rules.apply(ex) {
            Ok(applied) => applied,
            Err(error) => return self.without_rules(&error),
        };
        let mut places = Places::default();
        let mut flow = Flow::Next;
        for applied in &applied {
            let entered = match &self.counts {
                Counts::Here(counts) => Ok(self.enter(counts, applied, &mut places, ex)),
                Counts::Remote(remote) => self.enter_remote(remote, applied, &mut places, ex).await,
            };
            match entered {
                Ok(Some(delay_s)) => delay(delay_s).await,
                Ok(None) => flow = self.refusal.flow(),
                Err(error) => {
                    tracing::error!("failed to limit conn: {error}");
                    flow = self.uncounted();
                }
            }
            if let Flow::Reply(_) = flow {
                break;
            }
        }
        ex.keep(self, places);
        flow
    }
}

impl Log for LimitConn {
    fn log(&self, ex: &mut Exchange<'_>) {
        if let Some(places) = ex.kept::<Self, Places>(self) {
            *places = Places::default();
        }
    }
}
