//! All workers of the process: started together, told together what to do.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
};

use lockgate_net::listen::{ListenError, Sockets};
use lockgate_snapshot::Published;
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    access_log,
    options::Options,
    serving::Serving,
    stats::{Counts, Stats, Totals},
    worker::{self, Greeting, Phase, Shared, Start},
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

/// Workers that do not run yet; connections wait for them.
#[derive(Debug)]
pub struct BoundWorkers {
    options: Options,
    addresses: Vec<SocketAddr>,
    /// By worker.
    listeners: Vec<Vec<(std::net::TcpListener, Greeting)>>,
}

impl BoundWorkers {
    /// Starts them. Nothing runs when one of them fails.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        self,
        published: Arc<Published>,
        access_log: Option<&access_log::AccessLog>,
    ) -> Result<Workers, StartError> {
        let serving = Serving::new(self.options.workers);
        let shared = Arc::new(Shared {
            options: self.options,
            published,
            connections: AtomicU64::new(0),
            serving: serving.clone(),
        });
        let (phase, _) = watch::channel(Phase::Run);
        let mut workers = Workers {
            phase,
            threads: Vec::new(),
            stats: Vec::new(),
            addresses: self.addresses,
            serving,
        };
        for (id, listeners) in self.listeners.into_iter().enumerate() {
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
}

/// Running workers. Dropping them stops them.
#[derive(Debug)]
pub struct Workers {
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stats: Vec<Arc<Stats>>,
    addresses: Vec<SocketAddr>,
    serving: Serving,
}

impl Workers {
    /// Binds every address for every worker, with what `sockets` has of workers before.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub fn bind(options: Options, sockets: &mut Sockets) -> Result<BoundWorkers, StartError> {
        let mut addresses = Vec::new();
        let mut listeners: Vec<Vec<_>> = Vec::new();
        listeners.resize_with(options.workers, Vec::new);
        let plain = options.listen.iter();
        let plain = plain.map(|address| (*address, Greeting::None));
        let proxied = options.listen_proxy_protocol.iter();
        let proxied = proxied.map(|address| (*address, Greeting::ProxyProtocol));
        for (address, greeting) in plain.chain(proxied) {
            let (address, shares) = sockets.shared(address, options.workers)?;
            addresses.push(address);
            for (listeners, share) in listeners.iter_mut().zip(shares) {
                listeners.extend(share.into_iter().map(|listener| (listener, greeting)));
            }
        }
        Ok(BoundWorkers {
            options,
            addresses,
            listeners,
        })
    }

    /// Where the workers listen, in the order of [`Options::listen`] and, behind it, [`Options::listen_proxy_protocol`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells which workers serve.
    pub fn serving(&self) -> Serving {
        self.serving.clone()
    }

    /// Tells every worker what to do.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Has totals count these workers as well.
    pub fn count_in(&self, totals: &Totals) {
        totals.add(&self.stats);
    }

    /// Counters of all workers together.
    pub fn counts(&self) -> Counts {
        self.stats.iter().map(|stats| stats.read()).sum()
    }

    /// Whether no worker accepts connections any more.
    pub fn have_left(&self) -> bool {
        self.stats.iter().all(|stats| stats.has_left()) || self.are_done()
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
