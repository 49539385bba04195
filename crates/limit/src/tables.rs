//! All tables of a node, by name.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    concurrency::Concurrency,
    fixed_window::FixedWindow,
    key::{Prefix, secret},
    leaky_bucket::LeakyBucket,
    limits::ENTRIES,
    sliding_window::SlidingWindow,
};

/// The tables of a node. It lives as long as the process, so that counts outlast changes of the configuration and reloads.
///
/// A name is that of the reference's dictionary (`plugin-limit-count`): a table belongs to a plugin and not to one of its
/// configurations, which its keys tell apart. Sorts of tables have names of their own.
#[derive(Debug)]
pub struct Tables {
    secret: [u64; 2],
    /// Most entries of each table.
    entries: usize,
    fixed: Named<FixedWindow>,
    sliding: Named<SlidingWindow>,
    leaky: Named<LeakyBucket>,
    concurrency: Named<Concurrency>,
}

/// Asked when a plugin is compiled, never in the path of a request.
type Named<T> = Mutex<BTreeMap<&'static str, Arc<T>>>;

impl Default for Tables {
    fn default() -> Self {
        Self::new(ENTRIES)
    }
}

impl Tables {
    /// Tables of `entries` at most each, spread over 64 shards: one begins to evict when its share is full, the first at
    /// about nine tenths of the whole. An entry takes 64 to 150 bytes, when it is used and not before. Without other
    /// wishes, the default is 131 072 entries.
    pub fn new(entries: usize) -> Self {
        Self {
            secret: secret(),
            entries,
            fixed: Mutex::default(),
            sliding: Mutex::default(),
            leaky: Mutex::default(),
            concurrency: Mutex::default(),
        }
    }

    /// The beginning of keys, for any of these tables. Keys of another [`Tables`] are others.
    pub fn prefix(&self, bytes: &[u8]) -> Prefix {
        Prefix::new(self.secret).with(bytes)
    }

    /// The fixed windows of this name.
    pub fn fixed_window(&self, name: &'static str) -> Arc<FixedWindow> {
        named(&self.fixed, name, || FixedWindow::new(self.entries))
    }

    /// The sliding windows of this name.
    pub fn sliding_window(&self, name: &'static str) -> Arc<SlidingWindow> {
        named(&self.sliding, name, || SlidingWindow::new(self.entries))
    }

    /// The leaky buckets of this name.
    pub fn leaky_bucket(&self, name: &'static str) -> Arc<LeakyBucket> {
        named(&self.leaky, name, || LeakyBucket::new(self.entries))
    }

    /// The counts of requests under way of this name.
    pub fn concurrency(&self, name: &'static str) -> Arc<Concurrency> {
        named(&self.concurrency, name, Concurrency::new)
    }
}

fn named<T>(tables: &Named<T>, name: &'static str, new: impl FnOnce() -> T) -> Arc<T> {
    let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(tables.entry(name).or_insert_with(|| Arc::new(new())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;

    #[test]
    fn a_name_is_the_same_table_again() {
        let tables = Tables::default();
        let key = tables.prefix(b"/apisix/routes/1:17:").with(b"::1").key();
        let quota = Quota::new(5, 60).expect("a quota");
        let spend = |name| tables.fixed_window(name).incoming(key, 1, quota, 0);
        assert_eq!(spend("plugin-limit-count").remaining, 4);
        assert_eq!(spend("plugin-limit-count").remaining, 3);
        assert_eq!(spend("plugin-ai-rate-limiting").remaining, 4);
        assert!(Arc::ptr_eq(
            &tables.concurrency("plugin-limit-conn"),
            &tables.concurrency("plugin-limit-conn")
        ));
    }
}
