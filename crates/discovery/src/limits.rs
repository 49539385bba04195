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

/// Longest time for which a login to Nacos is used, in seconds.
pub(crate) const NACOS_TOKEN_S: u64 = 18_000;

/// Objects on one page of a list of Kubernetes (`apisix/discovery/kubernetes/informer_factory.lua`).
pub(crate) const KUBERNETES_PAGE: u32 = 120;

/// Longest event of a watch, in bytes: an object of Kubernetes has at most 1.5 MiB in its store.
pub(crate) const KUBERNETES_EVENT_BYTES: usize = 16 << 20;

/// After how many seconds a watch is ended by the server, and how many more by chance. A connection that died in silence is
/// noticed soon after; the reference asks for half an hour and more.
pub(crate) const KUBERNETES_WATCH_S: (u64, usize) = (240, 60);

/// Silence after the end of a watch was due.
pub(crate) const KUBERNETES_GRACE: Duration = Duration::from_secs(20);

/// Services of Consul that are asked for at the same time.
pub(crate) const CONSUL_PARALLEL: usize = 8;
