//! Buckets in Redis: what is kept there and how, so that APISIX and this gateway may count together.
//!
//! A bucket is the hash `limit_req:KEY` with the members `excess`, in thousandths of a request, and `last`, in milliseconds since the
//! epoch. It is kept until it is empty.

use std::{sync::Arc, time::Duration};

use lockgate_limit::Admission;
use lockgate_redis::{Arg, Client, Error, Script};

use crate::limiting::redis::unexpected;

/// Takes in a request. Arguments: rate and burst, both in thousandths, the time, and how long the bucket is kept in seconds. Answers
/// with whether the request may pass, and with the excess.
const TAKE: &str = "\
local bucket = redis.call('hmget', KEYS[1], 'excess', 'last')
local now, excess = tonumber(ARGV[3]), 0
if bucket[1] and bucket[2] then
  local leaked = tonumber(ARGV[1]) * math.abs(now - tonumber(bucket[2])) / 1000
  excess = math.max(tonumber(bucket[1]) - leaked + 1000, 0)
  if excess > tonumber(ARGV[2]) then
    return {0, tostring(excess)}
  end
end
redis.call('hset', KEYS[1], 'excess', excess, 'last', now)
redis.call('expire', KEYS[1], ARGV[4])
return {1, tostring(excess)}";

/// Buckets in Redis.
#[derive(Debug)]
pub(super) struct Remote {
    client: Arc<Client>,
    take: Script,
    rate_milli: f64,
    burst_milli: f64,
}

impl Remote {
    pub(super) fn new(client: Arc<Client>, rate: f64, burst: f64) -> Self {
        Self {
            client,
            take: Script::new(TAKE),
            rate_milli: rate * 1000.0,
            burst_milli: burst * 1000.0,
        }
    }

    /// Takes in a request.
    pub(super) async fn take(
        &self,
        worker: usize,
        key: &[u8],
        now: Duration,
    ) -> Result<Admission, Error> {
        let mut place = b"limit_req:".to_vec();
        place.extend_from_slice(key);
        let args = [
            Arg::Float(self.rate_milli),
            Arg::Float(self.burst_milli),
            Arg::Int(i64::try_from(now.as_millis()).unwrap_or(i64::MAX)),
            Arg::Float((self.burst_milli / self.rate_milli).ceil() + 1.0),
        ];
        let keys = [Arg::Bytes(&place)];
        let answer = self.client.eval(worker, &self.take, &keys, &args).await?;
        let [may_pass, excess] = answer.items() else {
            return Err(unexpected());
        };
        if may_pass.int() != Some(1) {
            return Ok(Admission::Refused);
        }
        let excess = excess.number().ok_or_else(unexpected)?;
        Ok(Admission::Delayed {
            delay_s: excess / self.rate_milli,
        })
    }
}
