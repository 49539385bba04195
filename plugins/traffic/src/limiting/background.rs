//! What Redis is told after the request that it is about: no request waits for it, but the end of the process does.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockgate_plugin::Node;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

/// Tasks on the control runtime that the end of the process waits for.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Handle,
    tasks: Arc<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    count: AtomicUsize,
    /// The last has ended.
    none: Notify,
    /// Whether the process ends.
    is_end: watch::Sender<bool>,
}

/// A task that runs, until this is dropped.
#[derive(Debug)]
struct Running(Arc<Tasks>);

impl Background {
    /// That of the process.
    pub(crate) fn of(node: &Node) -> Arc<Self> {
        node.shared(|node| {
            let tasks = Arc::<Tasks>::default();
            let last = tasks.clone();
            // What takes too long is cut off by the node.
            node.at_shutdown(move |_| async move { last.end().await });
            Self {
                runtime: node.runtime().clone(),
                tasks,
            }
        })
    }

    /// Runs a task, each wait of which has an end or is a [`Self::pause`].
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.count.fetch_add(1, Ordering::AcqRel);
        let running = Running(self.tasks.clone());
        let _task = self.runtime.spawn(async move {
            task.await;
            drop(running);
        });
    }

    /// Waits for a time, or until the process ends: then nothing is put off.
    pub(crate) async fn pause(&self, time: Duration) {
        let mut is_end = self.tasks.is_end.subscribe();
        let _ended = tokio::time::timeout(time, is_end.wait_for(|is_end| *is_end)).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

impl Tasks {
    /// Ends all pauses, and waits until nothing runs.
    async fn end(&self) {
        self.is_end.send_replace(true);
        loop {
            let mut none = std::pin::pin!(self.none.notified());
            // From here on no end is missed.
            none.as_mut().enable();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}
