//! Counting in Redis: what is kept there and how, so that APISIX and this gateway may count together.
//!
//! Requests under way are members of the sorted set `limit_conn:KEY`. Their score is when they are no longer believed in, should
//! whoever let them in be gone (`key_ttl`).

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lockgate_limit::Room;
use lockgate_redis::{Arg, Client, Error, Script};

use crate::{
    limiting::{Background, redis::unexpected},
    limits,
};

/// Lets a request in if there is room. Arguments: the room, the seconds for which a request is believed in, the time, and the
/// request. Answers with whether it is in, and with how many there are.
const ENTER: &str = "\
local now, ttl = tonumber(ARGV[3]), tonumber(ARGV[2])
redis.call('zremrangebyscore', KEYS[1], 0, now)
local conn = redis.call('zcard', KEYS[1])
if conn >= tonumber(ARGV[1]) then
  return {0, conn}
end
redis.call('zadd', KEYS[1], now + ttl, ARGV[4])
redis.call('expire', KEYS[1], ttl)
return {1, conn + 1}";

/// Counts in Redis.
#[derive(Debug)]
pub(super) struct Remote {
    client: Arc<Client>,
    enter: Script,
    ttl_s: i64,
    background: Arc<Background>,
    /// Requests are named by this and a number.
    name: u64,
    number: AtomicU64,
}

/// The place of a request under way in Redis. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct RemotePlace {
    client: Arc<Client>,
    background: Arc<Background>,
    key: Vec<u8>,
    request: String,
}

impl Remote {
    pub(super) fn new(client: Arc<Client>, ttl_s: i64, background: Arc<Background>) -> Self {
        Self {
            client,
            enter: Script::new(ENTER),
            ttl_s,
            background,
            name: RandomState::new().hash_one(0_u8),
            number: AtomicU64::new(0),
        }
    }

    /// Lets a request in if there is room: its place, and how many are under way with it. `None` if there is no room.
    pub(super) async fn enter(
        &self,
        worker: usize,
        key: &[u8],
        room: Room,
        now: Duration,
    ) -> Result<Option<(RemotePlace, u64)>, Error> {
        let mut place = b"limit_conn:".to_vec();
        place.extend_from_slice(key);
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        // Made before it is asked for: whoever gives up in between leaves nothing behind.
        let place = RemotePlace {
            client: self.client.clone(),
            background: self.background.clone(),
            key: place,
            request: format!("{:016x}-{number:x}", self.name),
        };
        let most = room.conn.get().saturating_add(room.burst);
        let args = [
            Arg::Int(i64::try_from(most).unwrap_or(i64::MAX)),
            Arg::Int(self.ttl_s),
            Arg::Int(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)),
            Arg::from(&place.request),
        ];
        let keys = [Arg::Bytes(&place.key)];
        let answer = self.client.eval(worker, &self.enter, &keys, &args).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if error.is_unrun() {
                    place.forget();
                }
                return Err(error);
            }
        };
        let [is_in, conn] = answer.items() else {
            return Err(unexpected());
        };
        if is_in.int() != Some(1) {
            place.forget();
            return Ok(None);
        }
        let conn = conn.int().and_then(|conn| u64::try_from(conn).ok());
        Ok(Some((place, conn.ok_or_else(unexpected)?)))
    }
}

impl RemotePlace {
    /// It was not given: nothing is to be given back.
    fn forget(mut self) {
        self.request.clear();
    }
}

impl Drop for RemotePlace {
    fn drop(&mut self) {
        if self.request.is_empty() {
            return;
        }
        let (client, key) = (self.client.clone(), std::mem::take(&mut self.key));
        let request = std::mem::take(&mut self.request);
        // Ends with the client's timeouts.
        self.background.spawn(async move {
            let args = [Arg::Bytes(&key), Arg::from(&request)];
            let left = client.command(limits::TELLING_WORKER, "ZREM", &args).await;
            if let Err(error) = left {
                tracing::error!("failed to record the connection leaving request: {error}");
            }
        });
    }
}
