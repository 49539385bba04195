//! A worker: one thread, one runtime, its own listeners, pools and caches. Workers share nothing they write to.

use std::{
    cell::{Cell, RefCell},
    hash::BuildHasher as _,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lockgate_expr::Variable;
use lockgate_http::pool::Pool;
use lockgate_net::{buffer::Buffers, clock::Clock, deadline::Deadlines, listen, stream::Stream};
use lockgate_snapshot::{Published, Snapshot};
use tokio::{
    net::TcpListener,
    runtime::{Builder, LocalOptions},
    sync::watch,
};

use crate::{
    affinity,
    brought::Chains,
    client::{self, Client},
    date::Date,
    exchange::Exchange,
    limits,
    options::Options,
    proxied,
    quiet::Quiet,
    serving::Serving,
    stats::Stats,
};

/// What the process wants of its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// Serve.
    #[default]
    Run,
    /// Accept nothing more, for others do; finish what was begun, answer what comes on connections that are open, and close
    /// them.
    HandOver,
    /// Accept nothing more, finish what was begun.
    Drain,
    /// End at once.
    Stop,
}

/// What becomes of connections after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// They are kept.
    Yes,
    /// Responses announce their end; those whose last response did not may still bring a request.
    ForOneMore,
    /// They are closed.
    No,
}

/// What a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// The first request.
    None,
    /// A header of the PROXY protocol.
    ProxyProtocol,
}

/// What all workers are given.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) published: Arc<Published>,
    pub(crate) connections: AtomicU64,
    pub(crate) serving: Serving,
}

/// One worker's own things.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) id: usize,
    shared: Arc<Shared>,
    pub(crate) clock: Rc<Clock>,
    pub(crate) deadlines: Deadlines,
    pub(crate) buffers: Buffers,
    pub(crate) pool: Pool,
    pub(crate) date: Date,
    pub(crate) stats: Arc<Stats>,
    pub(crate) access_log: Option<crate::access_log::Writer>,
    logs_request_body: bool,
    logs_node_name: bool,
    /// Connections that were closed for their PROXY protocol header.
    pub(crate) refused_headers: Quiet,
    /// Bodies that a route asked for and that were too large to look into.
    pub(crate) large_bodies: Quiet,
    #[expect(
        clippy::vec_box,
        reason = "exchanges are large and move between the pool and tasks"
    )]
    exchanges: RefCell<Vec<Box<Exchange>>>,
    snapshot: RefCell<(u64, Rc<Held>)>,
    kept: Cell<Kept>,
    ids: Cell<u64>,
    seed: std::hash::RandomState,
}

/// A snapshot counted by this thread alone: the shared count would be a cache line that all workers write to.
#[derive(Debug)]
pub(crate) struct Held {
    snapshot: Arc<Snapshot>,
    pub(crate) chains: Chains,
}

impl Held {
    fn new(snapshot: Arc<Snapshot>) -> Rc<Self> {
        Rc::new(Self {
            snapshot,
            chains: Chains::default(),
        })
    }
}

impl std::ops::Deref for Held {
    type Target = Snapshot;

    #[inline]
    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Worker {
    #[inline]
    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Whether responses announce the end of their connection.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.kept.get() != Kept::Yes
    }

    /// Whether a connection that is idle is closed.
    #[inline]
    pub(crate) fn closes_idle(&self) -> bool {
        self.kept.get() == Kept::No
    }

    /// Whether the body of a request is kept for the access log.
    #[inline]
    pub(crate) fn logs_request_body(&self) -> bool {
        self.logs_request_body
    }

    /// Whether the name of the node is kept for the access log.
    #[inline]
    pub(crate) fn logs_node_name(&self) -> bool {
        self.logs_node_name
    }

    /// A reading of the clock within a request: exact where it will be logged, else good to some milliseconds.
    #[inline]
    pub(crate) fn lap(&self) -> u64 {
        if self.access_log.is_some() {
            self.clock.tick()
        } else {
            self.clock.coarse()
        }
    }

    /// The newest snapshot. One relaxed load when nothing changed; the reference count is this thread's own.
    #[inline]
    pub(crate) fn snapshot(&self) -> Rc<Held> {
        let version = self.shared.published.version();
        let mut cached = self.snapshot.borrow_mut();
        if cached.0 != version {
            *cached = (version, Held::new(self.shared.published.load()));
        }
        cached.1.clone()
    }

    /// An exchange to fill.
    #[inline]
    pub(crate) fn exchange(&self) -> Box<Exchange> {
        self.exchanges.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes an exchange back.
    #[inline]
    pub(crate) fn give_back(&self, mut exchange: Box<Exchange>) {
        let mut exchanges = self.exchanges.borrow_mut();
        if exchanges.len() < limits::EXCHANGES {
            exchange.clear();
            exchanges.push(exchange);
        }
    }

    /// The random id of a request, made when first asked for.
    pub(crate) fn request_id(&self, id: &Cell<u128>) -> u128 {
        if id.get() == 0 {
            // An identifier, not a secret: seeded by the system once per worker, then counted through a mixing function.
            let count = self.ids.get().wrapping_add(1);
            self.ids.set(count);
            let half = |salt: u64| u128::from(self.seed.hash_one((count, salt)));
            id.set(half(1) << 64 | half(2) | 1);
        }
        id.get()
    }

    /// Serial number for a new connection.
    pub(crate) fn next_connection(&self) -> u64 {
        self.shared.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Everything a worker thread needs to start.
pub(crate) struct Start {
    pub(crate) id: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) listeners: Vec<(std::net::TcpListener, Greeting)>,
    pub(crate) access_log: Option<crate::access_log::Writer>,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// Runs a worker until it is told to stop, or has drained.
///
/// # Errors
/// The runtime or its listeners cannot be set up.
pub(crate) fn run(start: Start) -> io::Result<()> {
    if start.shared.options.pins_workers {
        affinity::pin(start.id);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let clock = Rc::new(Clock::new());
        let deadlines = Deadlines::new(clock.clone());
        let version = start.shared.published.version();
        let snapshot = Held::new(start.shared.published.load());
        let logs = |variable: &Variable| {
            let log = start.access_log.as_ref();
            log.is_some_and(|log| log.names(variable))
        };
        let worker = Rc::new(Worker {
            id: start.id,
            logs_request_body: logs(&Variable::RequestBody),
            logs_node_name: logs(&Variable::UpstreamUnresolvedHost),
            shared: start.shared,
            clock,
            deadlines: deadlines.clone(),
            buffers: Buffers::default(),
            pool: Pool::default(),
            date: Date::default(),
            stats: start.stats,
            access_log: start.access_log,
            refused_headers: Quiet::default(),
            large_bodies: Quiet::default(),
            exchanges: RefCell::default(),
            snapshot: RefCell::new((version, snapshot)),
            kept: Cell::new(Kept::Yes),
            ids: Cell::new(0),
            seed: std::hash::RandomState::new(),
        });
        tokio::task::spawn_local(deadlines.sweep());
        tokio::task::spawn_local(sweep_pool(worker.clone()));
        tokio::task::spawn_local(flush_log(worker.clone()));
        let mut accepting = Vec::new();
        for (listener, greeting) in start.listeners {
            let local = listener.local_addr()?;
            accepting.push(tokio::task::spawn_local(accept(
                worker.clone(),
                listen::register(listener)?,
                local,
                greeting,
            )));
        }
        let _serves = worker.shared.serving.enter(start.id);
        let mut phase = start.phase;
        let left = |phase: &Phase| *phase != Phase::Run;
        // The sender lives as long as the process; its end is a stop.
        let wanted = phase
            .wait_for(left)
            .await
            .map_or(Phase::Stop, |phase| *phase);
        for task in &accepting {
            task.abort();
        }
        for task in accepting {
            let _aborted = task.await;
        }
        worker.stats.left();
        match wanted {
            Phase::HandOver => drain(&worker, &mut phase, limits::HAND_OVER).await,
            Phase::Drain => drain(&worker, &mut phase, Duration::ZERO).await,
            Phase::Run | Phase::Stop => {}
        }
        Ok(())
    })
}

/// Waits until every connection has ended, the time is up, or a stop is asked for. Those that are idle may bring another request
/// for `patience`.
async fn drain(worker: &Rc<Worker>, phase: &mut watch::Receiver<Phase>, patience: Duration) {
    worker.kept.set(Kept::ForOneMore);
    let emptied = async {
        // Who is told of nothing yet and sends a request just then would find the connection closed.
        let _still_open = tokio::time::timeout(patience, empty(worker)).await;
        worker.kept.set(Kept::No);
        worker.deadlines.expire_idle();
        empty(worker).await;
    };
    tokio::select! {
        () = emptied => {}
        () = tokio::time::sleep(worker.options().drain_timeout) => {
            tracing::warn!(worker = worker.id, open = worker.stats.read().open, "connections are cut: draining took too long");
        }
        _ = phase.wait_for(|phase| *phase == Phase::Stop) => {}
    }
}

/// Waits until every connection has ended.
async fn empty(worker: &Worker) {
    while worker.stats.read().open > 0 {
        tokio::time::sleep(limits::DRAIN_POLL).await;
    }
}

async fn sweep_pool(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(limits::POOL_SWEEP).await;
        // A worker without requests shall not keep alive what has been replaced.
        drop(worker.snapshot());
        worker.clock.follow();
        worker.pool.sweep(worker.clock.tick());
    }
}

/// Hands log lines over before they are old.
async fn flush_log(worker: Rc<Worker>) {
    while let Some(log) = &worker.access_log {
        tokio::time::sleep(limits::LOG_FLUSH).await;
        log.flush();
    }
}

/// Accepts connections for ever.
async fn accept(worker: Rc<Worker>, listener: TcpListener, local: SocketAddr, greeting: Greeting) {
    let mut failures = 0_u64;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                failures = 0;
                worker.clock.tick();
                // A socket that is gone already shows it on the first read.
                let _gone = stream.set_nodelay(true);
                let local = if local.ip().is_unspecified() {
                    stream.local_addr().unwrap_or(local)
                } else {
                    local
                };
                let client = Client::new(&worker, Stream::from(stream), peer, local);
                let worker = worker.clone();
                match greeting {
                    Greeting::None => tokio::task::spawn_local(client::serve(worker, client)),
                    Greeting::ProxyProtocol => {
                        tokio::task::spawn_local(proxied::serve(worker, client))
                    }
                };
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: existing connections go on, new ones wait in the kernel's queue.
                if failures.is_power_of_two() || failures == 0 {
                    tracing::error!(%local, %error, failures, "cannot accept connections");
                }
                failures += 1;
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors of `accept` that say something of a connection that is gone, not of the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}
