//! Counting in Redis: what is kept there and how, so that APISIX and this gateway may count together.
//!
//! A fixed window is a number under `plugin-limit-count:v1:KEY` that ends with the window. Of a sliding one each window has a
//! number of its own, `plugin-limit-count:KEY.NUMBER.counter`, which is kept for as long as it is the last one.

use std::{sync::Arc, time::Duration};

use lockgate_limit::{Decision, Quota};
use lockgate_redis::{Arg, Client, Error, Script};

use super::config::WindowType;
use crate::limiting::redis::unexpected;

/// Adds to a window, or begins one. Arguments: what is added, and the length in seconds. Answers with what was spent, and with the
/// milliseconds until the window ends.
const ADD: &str = "\
local left = redis.call('pttl', KEYS[1])
if left < 0 then
  redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])
  return {tonumber(ARGV[1]), ARGV[2] * 1000}
end
return {redis.call('incrby', KEYS[1], ARGV[1]), left}";

/// Adds to a sliding window if there is room. Arguments: what is added, the limit, what is counted of the window before, and for how
/// many seconds the number is kept. Answers with whether it was added, and with what was spent in this window.
const ADD_BELOW: &str = "\
local spent = tonumber(redis.call('get', KEYS[1]) or 0)
local limit = tonumber(ARGV[2])
if spent >= limit or spent + tonumber(ARGV[3]) >= limit then
  return {0, spent}
end
if redis.call('pttl', KEYS[1]) < 0 then
  redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[4])
  return {1, tonumber(ARGV[1])}
end
return {1, redis.call('incrby', KEYS[1], ARGV[1])}";

/// Counters in Redis.
#[derive(Debug)]
pub(super) struct Remote {
    client: Arc<Client>,
    window: WindowType,
    add: Script,
    add_below: Script,
}

/// What a window has at the moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// What is left of the limit; below 0 if it is exceeded.
    pub(super) remaining: i64,
    /// Seconds until the window ends.
    pub(super) reset_s: f64,
}

impl Left {
    /// The decision about what was counted already.
    pub(super) fn decision(self) -> Decision {
        Decision {
            is_allowed: self.remaining >= 0,
            remaining: self.remaining.max(0),
            reset_s: self.reset_s,
        }
    }
}

/// Where in a sliding window a moment is.
struct Moment {
    number: u64,
    left_s: f64,
    window_s: f64,
}

impl Moment {
    fn new(window_s: u64, now: Duration) -> Self {
        Self {
            number: now.as_secs() / window_s,
            left_s: window_s as f64
                - ((now.as_secs() % window_s) as f64 + f64::from(now.subsec_millis()) / 1000.0),
            window_s: window_s as f64,
        }
    }

    /// How much of the window before counts at this moment.
    fn share(&self, spent_before: f64) -> f64 {
        spent_before / self.window_s * self.left_s
    }
}

impl Remote {
    pub(super) fn new(client: Arc<Client>, window: WindowType) -> Self {
        Self {
            client,
            window,
            add: Script::new(ADD),
            add_below: Script::new(ADD_BELOW),
        }
    }

    /// Counts a request that passes, and decides whether it does.
    pub(super) async fn count(
        &self,
        worker: usize,
        key: &[u8],
        cost: u64,
        quota: Quota,
        now: Duration,
    ) -> Result<Decision, Error> {
        match self.window {
            WindowType::Fixed => {
                let left = self.add_to_fixed(worker, key, cost, quota).await?;
                Ok(left.decision())
            }
            WindowType::Sliding => self.count_in_sliding(worker, key, cost, quota, now).await,
        }
    }

    /// Adds what has passed already, whatever is left.
    pub(super) async fn add(
        &self,
        worker: usize,
        key: &[u8],
        cost: u64,
        quota: Quota,
        now: Duration,
    ) -> Result<Left, Error> {
        match self.window {
            WindowType::Fixed => self.add_to_fixed(worker, key, cost, quota).await,
            WindowType::Sliding => {
                let moment = Moment::new(quota.window_s.get(), now);
                let keep_s = keep_s(quota);
                let cost = whole(cost);
                let place = sliding_key(key, moment.number);
                let args = [Arg::Int(cost), Arg::Int(keep_s)];
                let keys = [Arg::Bytes(&place)];
                let answer = self.client.eval(worker, &self.add, &keys, &args).await?;
                let spent = answer.items().first().and_then(lockgate_redis::Value::int);
                let spent = spent.ok_or_else(unexpected)?;
                let before = self.spent_before(worker, key, &moment, quota).await?;
                Ok(left(quota, spent, &moment, before))
            }
        }
    }

    async fn add_to_fixed(
        &self,
        worker: usize,
        key: &[u8],
        cost: u64,
        quota: Quota,
    ) -> Result<Left, Error> {
        let mut place = b"plugin-limit-count:v1:".to_vec();
        place.extend_from_slice(key);
        let args = [Arg::Int(whole(cost)), Arg::Int(whole(quota.window_s.get()))];
        let keys = [Arg::Bytes(&place)];
        let answer = self.client.eval(worker, &self.add, &keys, &args).await?;
        let [spent, left_ms] = answer.items() else {
            return Err(unexpected());
        };
        let spent = spent.int().ok_or_else(unexpected)?;
        let left_ms = left_ms.number().ok_or_else(unexpected)?;
        Ok(Left {
            remaining: whole(quota.limit.get()).saturating_sub(spent),
            reset_s: left_ms / 1000.0,
        })
    }

    async fn count_in_sliding(
        &self,
        worker: usize,
        key: &[u8],
        cost: u64,
        quota: Quota,
        now: Duration,
    ) -> Result<Decision, Error> {
        let moment = Moment::new(quota.window_s.get(), now);
        let before = self.spent_before(worker, key, &moment, quota).await?;
        let limit = quota.limit.get();
        let place = sliding_key(key, moment.number);
        let args = [
            Arg::Int(whole(cost)),
            Arg::Int(whole(limit)),
            Arg::Float(moment.share(before)),
            Arg::Int(keep_s(quota)),
        ];
        let keys = [Arg::Bytes(&place)];
        let answer = self.client.eval(worker, &self.add_below, &keys, &args);
        let answer = answer.await?;
        let [is_added, spent] = answer.items() else {
            return Err(unexpected());
        };
        let spent = spent.int().ok_or_else(unexpected)?;
        if is_added.int() == Some(1) {
            let left = left(quota, spent, &moment, before);
            return Ok(Decision {
                is_allowed: true,
                remaining: left.remaining,
                reset_s: left.reset_s,
            });
        }
        // Until the share of the window before has shrunk to what this one leaves.
        let room = limit as f64 - spent as f64;
        let wait_s = if room <= 0.0 || before <= 0.0 {
            moment.left_s
        } else {
            (moment.left_s - room / (before / moment.window_s)).max(0.0)
        };
        Ok(Decision {
            is_allowed: false,
            remaining: 0,
            reset_s: hundredths_up(wait_s),
        })
    }

    /// What was spent in the window before, the limit at most. Nothing is added there any more.
    async fn spent_before(
        &self,
        worker: usize,
        key: &[u8],
        moment: &Moment,
        quota: Quota,
    ) -> Result<f64, Error> {
        let place = sliding_key(key, moment.number.saturating_sub(1));
        let args = [Arg::Bytes(&place)];
        let answer = self.client.command(worker, "GET", &args).await?;
        let spent = answer.number().unwrap_or(0.0);
        Ok(spent.min(quota.limit.get() as f64))
    }
}

fn left(quota: Quota, spent: i64, moment: &Moment, before: f64) -> Left {
    let remaining = quota.limit.get() as f64 - spent as f64 - moment.share(before);
    Left {
        remaining: remaining.floor() as i64,
        reset_s: hundredths_up(moment.left_s),
    }
}

fn sliding_key(key: &[u8], number: u64) -> Vec<u8> {
    let mut place = b"plugin-limit-count:".to_vec();
    place.extend_from_slice(key);
    place.extend_from_slice(format!(".{number}.counter").as_bytes());
    place
}

fn keep_s(quota: Quota) -> i64 {
    whole(quota.window_s.get()).saturating_mul(2)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn hundredths_up(seconds: f64) -> f64 {
    (seconds * 100.0).ceil() / 100.0
}
