//! A store whose writes are answered when the workers see them.

use std::sync::Arc;

use lockgate_store::{
    BoxFuture, Delete, Entry, Listing, Put, Recalled, Revision, Store, StoreError, Watch, Written,
};

use crate::Status;

/// Passes everything on to another store, and holds the answer to a write back until the watcher has published it: who was
/// told that a route is there finds it there.
pub struct Visible {
    store: Arc<dyn Store>,
    status: Arc<Status>,
}

impl Visible {
    /// Writes to `store`, which a watcher follows and reports to `status`.
    pub fn new(store: Arc<dyn Store>, status: Arc<Status>) -> Self {
        Self { store, status }
    }

    async fn published(&self, written: Written) -> Written {
        self.status.reached_soon(written.revision).await;
        written
    }
}

impl Store for Visible {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        self.store.get(key)
    }

    fn recall(&self, key: &str) -> Recalled {
        self.store.recall(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        self.store.list(prefix)
    }

    fn put(&self, put: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move { Ok(self.published(self.store.put(put).await?).await) })
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            let written = self.store.delete(delete).await?;
            // No change comes of it, and the revision may be that of a key that is not watched.
            if written.previous.is_none() {
                return Ok(written);
            }
            Ok(self.published(written).await)
        })
    }

    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.store.watch(after)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::watch::ANSWER_LIMIT;

    /// A store that answers every write with a revision that nobody publishes.
    struct Silent {
        previous: Option<Entry>,
    }

    impl Silent {
        fn written(&self) -> Written {
            Written {
                revision: 7,
                previous: self.previous.clone(),
            }
        }
    }

    impl Store for Silent {
        fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
            Box::pin(async { Ok(None) })
        }

        fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
            Box::pin(async { Err(StoreError::Conflict) })
        }

        fn put(&self, _: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
            Box::pin(async { Ok(self.written()) })
        }

        fn delete(&self, _: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
            Box::pin(async { Ok(self.written()) })
        }

        fn watch(&self, _: Revision) -> Result<Box<dyn Watch>, StoreError> {
            Err(StoreError::Conflict)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_removal_that_removed_something_is_waited_for() {
        let entry = Entry {
            key: "routes/1".into(),
            value: [].into(),
            create_revision: 1,
            mod_revision: 1,
        };
        for (previous, expected) in [(None, Duration::ZERO), (Some(entry), ANSWER_LIMIT)] {
            let visible = Visible::new(Arc::new(Silent { previous }), Arc::default());
            let began = tokio::time::Instant::now();
            let delete = Delete {
                key: "routes/1".into(),
                author: lockgate_store::Author::default(),
            };
            let written = visible.delete(delete).await.expect("removed");
            assert_eq!(written.revision, 7);
            // Timers count whole milliseconds.
            assert!(began.elapsed().abs_diff(expected) <= Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn a_revision_is_reached_once_it_or_a_newer_one_is_in_force() {
        let status = Arc::new(Status::default());
        assert!(
            tokio::time::timeout(Duration::from_millis(1), status.reached(2))
                .await
                .is_err()
        );
        let waiting = tokio::spawn({
            let status = status.clone();
            async move { status.reached(2).await }
        });
        status.publish_for_test(3);
        waiting.await.expect("reached");
        status.reached(3).await;
    }
}
