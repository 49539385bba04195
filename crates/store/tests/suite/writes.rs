//! Writes with defaults, and waits that end.

use std::{future::Future, time::Duration};

use lockgate_store::{Author, Batch, Delete, Expect, Put, Store, Watch, Written};

/// Longest wait for what is to come; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn put(key: &str, value: impl AsRef<[u8]>) -> Put {
    Put {
        key: key.to_owned(),
        value: value.as_ref().to_vec(),
        expect: Expect::Any,
        ttl: None,
        author: Author::default(),
    }
}

pub(crate) fn delete(key: &str) -> Delete {
    Delete {
        key: key.to_owned(),
        author: Author::default(),
    }
}

pub(crate) async fn write(store: &dyn Store, key: &str, value: impl AsRef<[u8]>) -> Written {
    store.put(put(key, value)).await.unwrap()
}

pub(crate) async fn remove(store: &dyn Store, key: &str) -> Written {
    store.delete(delete(key)).await.unwrap()
}

pub(crate) async fn next(watch: &mut dyn Watch) -> Batch {
    within(watch.next()).await.unwrap()
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes too long")
}
