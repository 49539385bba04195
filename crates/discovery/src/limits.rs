//! Bounds of discovery.

use std::time::Duration;

/// Largest answer of a registry, in bytes: a hundred thousand instances with their metadata.
pub(crate) const BODY_BYTES: usize = 128 << 20;

/// Longest for the body of an answer whose head is there.
pub(crate) const BODY: Duration = Duration::from_secs(30);

/// Pause after a first failure; it doubles with each further one.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause after failures.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Shortest time for which an answer of DNS is taken for true.
pub(crate) const DNS_SHORTEST: Duration = Duration::from_secs(1);

/// Longest time for which an answer of DNS is taken for true.
pub(crate) const DNS_LONGEST: Duration = Duration::from_hours(1);

/// Longest time for which DNS is believed that there is no record: services appear.
pub(crate) const DNS_NONE: Duration = Duration::from_secs(5);

/// Time for one question to DNS: the reference's 2 s, and attempts within them (`apisix/core/dns/client.lua`).
pub(crate) const DNS_TIMEOUT: Duration = Duration::from_secs(2);

/// Aliases followed before a name is given up.
pub(crate) const DNS_ALIASES: usize = 8;

/// Factor above which the weights of SRV records are not scaled: machines with many addresses each.
pub(crate) const DNS_SCALE: u64 = 10_000;

/// Services of Consul that are asked for at the same time.
pub(crate) const CONSUL_PARALLEL: usize = 8;
