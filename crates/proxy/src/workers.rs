//! All workers of the process: started together, told together what to do.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
};

use lockgate_net::listen::{self, ListenError};
use lockgate_snapshot::Published;
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    access_log,
    options::Options,
    stats::{Counts, Stats},
    worker::{self, Phase, Shared, Start},
};

/// The workers could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system gives no thread.
    #[error("cannot start a worker thread")]
    Thread(#[source] io::Error),
}

/// Running workers. Dropping them stops them.
#[derive(Debug)]
pub struct Workers {
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stats: Vec<Arc<Stats>>,
    addresses: Vec<SocketAddr>,
}

impl Workers {
    /// Binds every address for every worker, then starts them. Nothing runs when one of them fails.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        options: Options,
        published: Arc<Published>,
        access_log: Option<&access_log::AccessLog>,
    ) -> Result<Self, StartError> {
        for address in options.listen.iter().filter(|address| address.port() != 0) {
            listen::check_free(*address)?;
        }
        let mut listeners = Vec::new();
        // A port that the system chose for the first worker is every worker's.
        let mut addresses = options.listen.clone();
        for _ in 0..options.workers {
            let mut bound = Vec::new();
            for address in &mut addresses {
                let listener = listen::bind(*address, true)?;
                address.set_port(listener.local_addr().map_or(0, |local| local.port()));
                bound.push(listener);
            }
            listeners.push(bound);
        }
        let shared = Arc::new(Shared {
            options,
            published,
            connections: AtomicU64::new(0),
        });
        let (phase, _) = watch::channel(Phase::Run);
        let mut workers = Self {
            phase,
            threads: Vec::new(),
            stats: Vec::new(),
            addresses,
        };
        for (id, listeners) in listeners.into_iter().enumerate() {
            let stats = Arc::new(Stats::default());
            let start = Start {
                id,
                shared: shared.clone(),
                stats: stats.clone(),
                listeners,
                access_log: access_log.map(access_log::AccessLog::writer),
                phase: workers.phase.subscribe(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{id}"))
                .spawn(move || worker::run(start))
                .map_err(StartError::Thread)?;
            workers.threads.push(thread);
            workers.stats.push(stats);
        }
        Ok(workers)
    }

    /// Where the workers listen, in the order of [`Options::listen`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells every worker what to do.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Counters of all workers together.
    pub fn counts(&self) -> Counts {
        self.stats.iter().map(|stats| stats.read()).sum()
    }

    /// Whether every worker has ended.
    pub fn are_done(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end of every worker.
    pub fn join(mut self) {
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a worker could not run"),
                Err(_) => tracing::error!("a worker ended in a panic"),
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.enter(Phase::Stop);
    }
}
