//! How long nodes take to answer: a moving average that forgets (`apisix/balancer/ewma.lua`).
//!
//! One per address for the whole process: every worker and every upstream sees what the others measured, and an edit loses
//! nothing. The slower of two nodes found by chance is not taken.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use lockgate_net::clock::monotonic_us;

use crate::limits::LATENCY_DECAY_S;

/// The average of one node: seconds as `f32` above, milliseconds of its last change below; 0 before the first answer.
#[derive(Debug, Default)]
pub(crate) struct Latency(AtomicU64);

impl Latency {
    /// What it has decayed to, in seconds: 0 for a node that nothing is known of.
    #[inline]
    pub(crate) fn at(&self, now_ms: u32) -> f32 {
        let (seconds, touched_ms) = unpack(self.0.load(Relaxed));
        seconds * keep(touched_ms, now_ms)
    }

    /// Takes in an answer that took `seconds`.
    pub(crate) fn observe(&self, seconds: f32, now_ms: u32) {
        let averaged = |packed: u64| {
            let (average, touched_ms) = unpack(packed);
            let keep = if packed == 0 {
                0.0
            } else {
                keep(touched_ms, now_ms)
            };
            Some(pack(average * keep + seconds * (1.0 - keep), now_ms))
        };
        // Invariant: the closure always gives a value.
        let _before = self.0.fetch_update(Relaxed, Relaxed, averaged);
    }
}

fn pack(seconds: f32, touched_ms: u32) -> u64 {
    u64::from(seconds.to_bits()) << 32 | u64::from(touched_ms)
}

fn unpack(packed: u64) -> (f32, u32) {
    (f32::from_bits((packed >> 32) as u32), packed as u32)
}

/// Which part of an average is left. The count of milliseconds goes round after 49 days; what lies ahead counts as the present.
#[inline]
fn keep(touched_ms: u32, now_ms: u32) -> f32 {
    let age_ms = now_ms.wrapping_sub(touched_ms).cast_signed().max(0);
    (age_ms as f32 / (-1000.0 * LATENCY_DECAY_S)).exp()
}

/// The averages of all addresses in use.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// When counting began, in microseconds of the system's monotonic clock.
    began_us: u64,
    by_address: Mutex<HashMap<SocketAddr, Weak<Latency>>>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            began_us: monotonic_us(),
            by_address: Mutex::default(),
        }
    }
}

impl Latencies {
    /// The average of an address, shared with whoever else has it.
    pub(crate) fn of(&self, address: SocketAddr) -> Arc<Latency> {
        let mut known = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(latency) = known.get(&address).and_then(Weak::upgrade) {
            return latency;
        }
        // What nobody has any more goes whenever the table would grow.
        if known.len() == known.capacity() {
            known.retain(|_, latency| latency.strong_count() > 0);
        }
        let latency = Arc::new(Latency::default());
        known.insert(address, Arc::downgrade(&latency));
        latency
    }

    /// Milliseconds, on the clock that all averages share, of a moment on the system's monotonic one.
    #[inline]
    pub(crate) fn millis(&self, now_us: u64) -> u32 {
        (now_us.saturating_sub(self.began_us) / 1000) as u32
    }
}

/// Next of a sequence without a pattern that matters here (xorshift64*); `state` is never 0.
#[inline]
pub(crate) fn random(state: &mut u64) -> u32 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
}

/// A number below `bound`, which is above 0.
#[inline]
pub(crate) fn below(bound: u32, state: &mut u64) -> u32 {
    ((u64::from(random(state)) * u64::from(bound)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_and_forgets_as_the_reference() {
        let latency = Latency::default();
        assert!(latency.at(5) < f32::EPSILON);
        // The first answer is the average.
        latency.observe(2.0, 1000);
        assert!((latency.at(1000) - 2.0).abs() < 1e-6);
        // Ten seconds leave 1/e of it.
        let e = std::f32::consts::E;
        assert!((latency.at(11_000) - 2.0 / e).abs() < 1e-5);
        latency.observe(1.0, 11_000);
        let expected = 2.0 / e + (1.0 - 1.0 / e);
        assert!((latency.at(11_000) - expected).abs() < 1e-5);
        // A clock that is a little behind changes nothing.
        assert!((latency.at(10_500) - expected).abs() < 1e-5);
        latency.observe(9.0, 10_500);
        assert!((latency.at(10_500) - expected).abs() < 1e-5);
    }

    #[test]
    fn an_address_has_one_average_as_long_as_somebody_has_it() {
        let latencies = Latencies::default();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let latency = latencies.of(address(1));
        latency.observe(1.0, 1);
        assert!(Arc::ptr_eq(&latency, &latencies.of(address(1))));
        drop(latency);
        assert!(latencies.of(address(1)).at(1) < f32::EPSILON);
        for port in 0..5000 {
            latencies.of(address(port));
        }
        let known = latencies.by_address.lock().expect("no panic");
        assert!(known.len() < 100, "{}", known.len());
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut state = 1;
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[below(7, &mut state) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 500),
            "{counts:?}"
        );
    }
}
