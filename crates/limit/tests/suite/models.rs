//! Each counter agrees with a model that does what the reference's code does, one request after another, and never forgets.

use std::{collections::HashMap, sync::Arc};

use lockgate_limit::{Admission, Decision, Lease, Quota, Rate, Room, Tables, UnitDelay};
use proptest::prelude::*;

/// One request to a window: key, cost, and milliseconds since the last one.
fn requests() -> impl Strategy<Value = Vec<(u8, u64, u64)>> {
    let cost = prop_oneof![6 => 0..4_u64, 1 => Just(u64::from(u32::MAX))];
    let pause_ms =
        prop_oneof![4 => 0..50_u64, 3 => 0..3_000_u64, 1 => 0..30_000_u64, 1 => Just(1_000)];
    prop::collection::vec((0..4_u8, cost, pause_ms), 1..200)
}

/// A dictionary with expiry, as `lua_shared_dict`.
#[derive(Default)]
struct Dict(HashMap<Vec<u8>, (f64, u64)>);

impl Dict {
    fn get(&self, key: &[u8], now_ms: u64) -> Option<f64> {
        let (value, expires_ms) = self.0.get(key)?;
        (*expires_ms > now_ms).then_some(*value)
    }

    fn set(&mut self, key: &[u8], value: f64, expires_ms: u64) {
        self.0.insert(key.to_vec(), (value, expires_ms));
    }

    fn incr(&mut self, key: &[u8], by: f64, now_ms: u64, ttl_ms: u64) -> f64 {
        if self.get(key, now_ms).is_none() {
            self.set(key, 0.0, now_ms + ttl_ms);
        }
        let (value, _) = self.0.get_mut(key).expect("set");
        *value += by;
        *value
    }
}

/// `limit-count-local.lua` with a fixed window.
#[derive(Default)]
struct Fixed {
    counts: Dict,
    ends: Dict,
}

impl Fixed {
    fn incoming(
        &mut self,
        key: &[u8],
        cost: u64,
        limit: u64,
        window_s: u64,
        now_ms: u64,
    ) -> Decision {
        let window_ms = window_s * 1000;
        let spent = self.counts.incr(key, cost as f64, now_ms, window_ms);
        let is_allowed = spent <= limit as f64;
        let remaining = limit as f64 - spent;
        if is_allowed && remaining.total_cmp(&(limit as f64 - cost as f64)).is_eq() {
            let end_ms = now_ms + window_ms;
            self.ends.set(key, end_ms as f64, end_ms);
        }
        let end_ms = self.ends.get(key, now_ms).unwrap_or(0.0);
        Decision {
            is_allowed,
            remaining: if is_allowed { remaining as i64 } else { 0 },
            reset_s: (end_ms - now_ms as f64).max(0.0) / 1000.0,
        }
    }
}

/// `sliding-window.lua` over `store/shared-dict.lua`.
#[derive(Default)]
struct Sliding(HashMap<(Vec<u8>, u64), f64>);

impl Sliding {
    fn incoming(
        &mut self,
        key: &[u8],
        cost: u64,
        limit: u64,
        window_s: u64,
        now_ms: u64,
    ) -> Decision {
        let (limit, window) = (limit as f64, window_s as f64);
        let now = now_ms as f64 / 1000.0;
        let number = (now / window).floor();
        let remaining_time = window - (now - number * window);
        let counter = |number: f64| (key.to_vec(), number as u64);
        let count = |at: f64| self.0.get(&counter(at)).copied().unwrap_or(0.0);
        let last = count((now - window).div_euclid(window)).min(limit);
        let current = count(number);
        let up = |seconds: f64| (seconds * 100.0).ceil() / 100.0;

        if current >= limit || last / window * remaining_time + current >= limit {
            let wait = if current >= limit {
                remaining_time
            } else {
                (remaining_time - (limit - current) / (last / window)).max(0.0)
            };
            return Decision {
                is_allowed: false,
                remaining: 0,
                reset_s: up(wait),
            };
        }
        let current = current + cost as f64;
        self.0.insert(counter(number), current);
        Decision {
            is_allowed: true,
            remaining: (limit - current - last / window * remaining_time).floor() as i64,
            reset_s: up(remaining_time),
        }
    }
}

/// `resty.limit.req`.
#[derive(Default)]
struct Leaky(HashMap<u8, (u64, u64)>);

impl Leaky {
    fn incoming(&mut self, key: u8, rate: f64, burst: f64, now_ms: u64) -> Admission {
        let (rate, burst) = (rate * 1000.0, burst * 1000.0);
        let mut excess = 0.0;
        if let Some((before, last_ms)) = self.0.get(&key) {
            let elapsed = (now_ms as f64 - *last_ms as f64).abs();
            excess = (*before as f64 - rate * elapsed / 1000.0 + 1000.0).max(0.0);
            if excess > burst {
                return Admission::Refused;
            }
        }
        self.0.insert(key, (excess as u64, now_ms));
        Admission::Delayed {
            delay_s: excess / rate,
        }
    }
}

proptest! {
    #[test]
    fn fixed_windows_are_those_of_the_reference(
        limit in 1..6_u64,
        window_s in 1..10_u64,
        requests in requests(),
    ) {
        let tables = Tables::default();
        let counters = tables.fixed_window("a");
        let quota = Quota::new(limit, window_s).expect("a quota");
        let mut model = Fixed::default();
        let mut now_ms = 1_764_288_000_123;
        for (key, cost, pause_ms) in requests {
            now_ms += pause_ms;
            let expected = model.incoming(&[key], cost, limit, window_s, now_ms);
            let decision = counters.incoming(tables.prefix(&[key]).key(), cost, quota, now_ms);
            prop_assert_eq!(decision, expected);
        }
    }

    #[test]
    fn sliding_windows_are_those_of_the_reference(
        limit in 1..6_u64,
        windows_s in (1..10_u64, 1..10_u64),
        requests in requests(),
    ) {
        let tables = Tables::default();
        let counters = tables.sliding_window("a");
        let mut models = [Sliding::default(), Sliding::default()];
        let mut now_ms = 1_764_288_000_123;
        for (key, cost, pause_ms) in requests {
            now_ms += pause_ms;
            // Two lengths under one key, as variables may make them.
            let (window_s, model) = if key < 3 { (windows_s.0, 0) } else { (windows_s.0 + windows_s.1, 1) };
            let expected = models[model].incoming(b"a", cost, limit, window_s, now_ms);
            let quota = Quota::new(limit, window_s).expect("a quota");
            let decision = counters.incoming(tables.prefix(b"a").key(), cost, quota, now_ms);
            prop_assert_eq!(decision, expected);
        }
    }

    #[test]
    fn leaky_buckets_are_those_of_the_reference(
        rate in prop_oneof![1..20_u32, 1..3_u32].prop_map(f64::from),
        divisor in prop_oneof![Just(1.0), Just(3.0)],
        burst in prop_oneof![(0..5_u32).prop_map(f64::from), 0.0..3.0],
        // Two hundred keys, so that buckets that are empty again go.
        requests in prop::collection::vec((0..200_u8, 0..3_000_u64, any::<bool>()), 1..400),
    ) {
        let rate = rate / divisor;
        let tables = Tables::default();
        let buckets = tables.leaky_bucket("a");
        let settings = Rate::new(rate, burst).expect("a rate");
        let mut model = Leaky::default();
        let mut now_ms = 1_764_288_000_123;
        for (key, pause_ms, is_close) in requests {
            let key = if is_close { key % 2 } else { key };
            now_ms += if is_close { pause_ms / 50 } else { pause_ms };
            let expected = model.incoming(key, rate, burst, now_ms);
            let admission = buckets.incoming(tables.prefix(&[key]).key(), settings, now_ms);
            prop_assert_eq!(admission, expected);
        }
    }

    #[test]
    fn requests_under_way_are_those_that_came_and_did_not_leave(
        conn in 1..5_u64,
        burst in 0..5_u64,
        // A key that comes, or one of those under way that leaves and how long it took.
        events in prop::collection::vec((any::<bool>(), 0..5_u8, 0..40_usize, 0.0..1.0), 1..300),
    ) {
        let tables = Tables::default();
        let counts = tables.concurrency("a");
        let unit = UnitDelay::new(0.1);
        let room = Room::new(conn, burst).expect("room");
        let mut model: HashMap<u8, u64> = HashMap::new();
        let mut model_unit = 0.1;
        let mut under_way: Vec<(u8, Lease)> = Vec::new();
        for (comes, key, which, latency_s) in events {
            if comes {
                let before = model.entry(key).or_default();
                let entered = counts.enter(tables.prefix(&[key]).key(), room, unit.seconds());
                prop_assert_eq!(entered.is_some(), *before < conn + burst);
                let Some(entered) = entered else { continue };
                *before += 1;
                prop_assert_eq!(entered.conn, *before);
                let units = ((*before as f64 - 1.0) / conn as f64).floor();
                let delay_s = if *before > conn { model_unit * units } else { 0.0 };
                prop_assert_eq!(entered.delay_s.to_bits(), delay_s.to_bits());
                under_way.push((key, entered.lease));
            } else if which < under_way.len() {
                let (key, lease) = under_way.swap_remove(which);
                drop(lease);
                unit.observe(latency_s);
                model_unit = f64::midpoint(latency_s, model_unit);
                *model.get_mut(&key).expect("under way") -= 1;
            }
        }
        drop(under_way);
        for key in 0..5_u8 {
            let entered = counts.enter(tables.prefix(&[key]).key(), room, 0.1);
            prop_assert_eq!(entered.expect("nothing is under way").conn, 1);
        }
        prop_assert_eq!(Arc::strong_count(&counts), 2);
    }
}
