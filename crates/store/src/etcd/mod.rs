//! The etcd store: the reference's own, shared with its nodes.
//!
//! Keys, values and placeholders are what the reference writes (`apisix/core/etcd.lua`), so that both can use one etcd at one
//! time. The protocol is gRPC, spoken natively: the messages are in `proto.rs`, calls over several members in `cluster.rs`,
//! one connection in `connection.rs`.
//!
//! * Calls go to the member that answered last, and to the next one when it fails. A write is sent to one member only: when that
//!   does not answer, the writer hears [`StoreError::Unavailable`], and the write may have happened.
//! * A watch is one stream over the prefix, on a connection of its own (`watch.rs`, `stream.rs`). It is resumed where it was
//!   lost, at any member; the watcher notices nothing. Only when no member agrees does it hear of it.
//! * etcd keeps old values itself; who wrote what ([`crate::Author`]) is not kept.
//! * A local copy (`local_copy.rs`) of the newest configuration is for one case: a start while etcd is away.

mod cluster;
mod connection;
mod failure;
mod keys;
mod kv;
mod limits;
mod local_copy;
mod options;
mod pace;
mod proto;
mod session;
mod stream;
mod tls_failure;
mod watch;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

pub use failure::ConnectError;
pub use options::{Credentials, EtcdOptions};

use self::{cluster::Cluster, failure::Failure, keys::Keys, local_copy::LocalCopy, watch::Watcher};
use crate::{
    Author, BoxFuture, Delete, Entry, Expect, Listing, Put, Recalled, Revision, Store, StoreError,
    Watch, Written,
};

/// Directories of the reference (`apisix/constants.lua`), below the prefix.
const DIRECTORIES: &[&str] = &[
    "consumer_groups",
    "consumers",
    "global_rules",
    "plugin_configs",
    "plugin_metadata",
    "plugins",
    "protos",
    "routes",
    "secrets",
    "services",
    "ssls",
    "stream_routes",
    "upstreams",
];

/// Value of a directory's placeholder (`apisix/cli/etcd.lua`).
const PLACEHOLDER: &str = "init_dir";

/// A store in etcd.
pub struct Etcd {
    source: Arc<Source>,
}

/// What calls and watches use.
struct Source {
    cluster: Cluster,
    keys: Keys,
    watch_timeout: Duration,
    resync_delay: Duration,
    copy: Option<LocalCopy>,
}

impl Etcd {
    /// Makes the store and waits until etcd answers. When it does not, after `startup_retry` attempts, and there is a local copy,
    /// that is said in a warning, and the first reading of the whole store is answered from it.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(options: EtcdOptions) -> Result<Self, ConnectError> {
        let source = Source {
            cluster: Cluster::new(&options)?,
            keys: Keys::new(&options.prefix),
            watch_timeout: options.watch_timeout,
            resync_delay: options.resync_delay,
            copy: options
                .local_copy
                .map(|path| LocalCopy::new(path, &options.prefix)),
        };
        let etcd = Self {
            source: Arc::new(source),
        };
        match etcd.first_contact(options.startup_retry).await {
            Ok(()) => Ok(etcd),
            Err(Failure::Away(reason)) => match &etcd.source.copy {
                None => Err(ConnectError::Away(reason)),
                Some(copy) => match copy.load(&reason) {
                    Ok(()) => Ok(etcd),
                    Err(error) => Err(ConnectError::Away(format!("{reason}; {error}"))),
                },
            },
            Err(refused) => Err(refused.into()),
        }
    }

    /// Whether etcd was away and the first reading of the whole store is still to come, from the local copy if etcd is away then too.
    pub fn starts_from_copy(&self) -> bool {
        let copy = self.source.copy.as_ref();
        copy.is_some_and(LocalCopy::is_for_start)
    }

    async fn first_contact(&self, attempts: u32) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            // Shows whether there is a quorum, and whether the user may read.
            match kv::get(&self.source.cluster, &self.source.keys, "routes").await {
                Err(Failure::Away(reason)) if attempt < attempts => {
                    tracing::warn!(reason, attempt, "etcd cannot be reached");
                    tokio::time::sleep(limits::STARTUP_PAUSE).await;
                    attempt += 1;
                }
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    /// Writes the placeholders of the reference's directories where there are none, as `apisix init_etcd` does; how many were
    /// written.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn init_directories(&self) -> Result<usize, StoreError> {
        let mut written = 0;
        for directory in DIRECTORIES {
            let placeholder = Put {
                key: format!("{directory}/"),
                value: PLACEHOLDER.into(),
                expect: Expect::Absent,
                ttl: None,
                author: Author::default(),
            };
            match self.put(placeholder).await {
                Ok(_) => written += 1,
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    async fn list_all(&self) -> Result<Listing, StoreError> {
        let Source {
            cluster,
            keys,
            copy,
            ..
        } = &*self.source;
        let known = copy.as_ref().map_or(0, LocalCopy::revision);
        match (kv::list(cluster, keys, "").await, copy) {
            (Ok(listing), Some(copy)) => {
                copy.replace(known, &listing);
                Ok(listing)
            }
            (Err(failure @ Failure::Away(_)), Some(copy)) => copy
                .take_for_start()
                .ok_or_else(|| failure.in_action("reading etcd")),
            (outcome, _) => outcome.map_err(|failure| failure.in_action("reading etcd")),
        }
    }
}

impl Store for Etcd {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move {
            kv::get(&self.source.cluster, &self.source.keys, key)
                .await
                .map_err(|failure| failure.in_action(format!("reading {key}")))
        })
    }

    fn recall(&self, key: &str) -> Recalled {
        let copy = self.source.copy.as_ref();
        copy.map_or(Recalled::Unknown, |copy| copy.recall(key))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        if prefix.is_empty() {
            return Box::pin(self.list_all());
        }
        Box::pin(async move {
            kv::list(&self.source.cluster, &self.source.keys, prefix)
                .await
                .map_err(|failure| failure.in_action(format!("reading {prefix}")))
        })
    }

    fn put(&self, put: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(kv::put(&self.source.cluster, &self.source.keys, put))
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            kv::delete(&self.source.cluster, &self.source.keys, &delete.key)
                .await
                .map_err(|failure| failure.in_action(format!("removing {}", delete.key)))
        })
    }

    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        Ok(Box::new(Watcher::new(self.source.clone(), after)))
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Etcd")
            .field("keys", &self.source.keys)
            .finish_non_exhaustive()
    }
}
