//! The tasks of the gateway that are not traffic: both APIs, and the watch over the store.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockgate_snapshot::Watcher;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How long requests to the APIs that were begun may take at the end.
pub(crate) const API_LIMIT: Duration = Duration::from_secs(1);

/// Tasks that run until they are ended, or dropped.
pub(crate) struct ControlPlane {
    stop: watch::Sender<bool>,
    /// APIs that have not been told to end.
    accepting: Arc<AtomicUsize>,
    apis: JoinSet<()>,
    watching: Option<JoinHandle<()>>,
}

impl ControlPlane {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            accepting: Arc::default(),
            apis: JoinSet::new(),
            watching: None,
        }
    }

    /// Resolves when the APIs are to end.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.stop.subscribe();
        let accepting = Accepting::new(self.accepting.clone());
        async move {
            // A sender that is gone has stopped.
            let _gone = stopped.wait_for(|is_stopped| *is_stopped).await;
            drop(accepting);
        }
    }

    /// Runs an API.
    pub(crate) fn serve(
        &mut self,
        name: &'static str,
        serving: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        self.apis.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "{name} cannot be served any more");
            }
        });
    }

    /// Follows the store.
    pub(crate) fn watch(&mut self, watcher: Watcher) {
        self.watching = Some(tokio::spawn(watcher.run()));
    }

    /// Lets the APIs accept nothing more.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether no API accepts anything more.
    pub(crate) fn has_stopped(&self) -> bool {
        self.accepting.load(Ordering::Acquire) == 0
    }

    /// Follows the store no longer.
    fn end_watch(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
    }

    /// Ends all, with some time for requests that were begun.
    pub(crate) async fn end(&mut self) {
        self.stop();
        let answered = async { while self.apis.join_next().await.is_some() {} };
        let _late = tokio::time::timeout(API_LIMIT, answered).await;
        self.end_watch();
    }
}

/// An API that accepts connections.
struct Accepting(Arc<AtomicUsize>);

impl Accepting {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.end_watch();
    }
}
