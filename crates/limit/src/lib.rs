//! Node-wide counters of the limiting plugins: what their policy `local` counts with.
//!
//! | type | for | the reference's |
//! |---|---|---|
//! | [`FixedWindow`] | `limit-count`, `graphql-limit-count`, `ai-rate-limiting` | api7's `resty.limit.count`, `limit-count-local.lua` |
//! | [`SlidingWindow`] | the same with `window_type: sliding` | `limit-count/sliding-window/` |
//! | [`LeakyBucket`] | `limit-req` | `resty.limit.req` |
//! | [`Concurrency`] | `limit-conn` | `resty.limit.conn` |
//!
//! [`Tables`] has them all by name, lives as long as the process, and makes keys. Nothing here reads a clock, waits, logs, or
//! knows a plugin: time is an argument, and so is the limit, which may be another one for each request.
//!
//! # What workers share
//!
//! These tables are among the few things that workers share and change. They must: a limit is one for the node, and the
//! reference counts in shared memory (`lua_shared_dict`) for all its workers. Counts per worker would allow as many times the
//! limit as there are workers, or, divided among them, refuse clients whose connections happen to lie on one.
//!
//! Of each table, each of 64 shards has a lock of its own, held for one look-up and some arithmetic, about 20 ns. Two workers
//! wait for each other only if they count in the same shard within that time. Every decision is made in one step under the
//! lock, so that counts are exact however many threads ask.
//!
//! # Memory
//!
//! A table has a bound of entries, and evicts about the least recently used one when a shard is full, as the reference's
//! dictionaries do; [`Usage`] says how often. A client that can make up keys can thus make the counters of others go, here as
//! there. Entries that count nothing any more go as new ones come, a few slots per new one; there is no sweep of a whole table
//! and no thread in the background. [`Concurrency`] evicts nothing.
//!
//! # How the reference composes keys
//!
//! Callers do it, with [`Prefix`] for what is known when a plugin is compiled. In 3.18 a key is, without the quotes:
//!
//! * `limit-count` with `group`: `group:value`, for all resources that name the group;
//! * `limit-count` and `limit-conn` else: `resource_key:conf_version:value`, and `:_vid` behind it where there is one;
//! * `limit-req`: `resource_key:conf_version:value`, always.
//!
//! `resource_key` is the key in etcd of the object that the plugin stands in, such as `/apisix/routes/1`; a plugin that came
//! from a service, consumer or plugin config has theirs, so that all routes that use it count together. `conf_version` is the
//! CRC-32, in decimal, of the plugin's configuration as JSON with sorted keys: edits elsewhere leave counters alone, edits
//! of the plugin begin new ones. `value` is what `key` names, and `remote_addr` where that is empty; for `rules`, the rule's
//! `key` with its variables resolved. `_vid` tells apart what one object has several of: `workflow` numbers its actions by it,
//! and `ai-rate-limiting` names its instances. The name of the plugin is not in the key: each has dictionaries of its own, so a
//! table of its own here.

mod concurrency;
mod fixed_window;
mod key;
mod leaky_bucket;
mod limits;
mod quota;
mod siphash;
mod sliding_window;
mod table;
mod tables;

pub use concurrency::{Concurrency, Entered, Lease, Room, UnitDelay};
pub use fixed_window::FixedWindow;
pub use key::{Key, Prefix};
pub use leaky_bucket::{Admission, LeakyBucket, Rate};
pub use quota::{Decision, Quota};
pub use sliding_window::SlidingWindow;
pub use table::Usage;
pub use tables::Tables;
