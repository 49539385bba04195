//! A processor, as those who push see it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{runtime::Handle, sync::Notify, time::Instant};

use crate::{
    backlog::{Backlog, Bounds},
    buffer::{Buffer, Stage, Then},
    drive::drive,
    lines::LineLimit,
    report::{Place, Report},
    sender::Sender,
    settings::Settings,
};

/// Collects entries and has them sent. Made by [`crate::Processors::get`].
///
/// While it has nothing to do it is a few hundred bytes and no task. When the last handle is dropped, what is queued is sent
/// as it would have been, without waiting for more.
pub struct Processor<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
}

/// What a processor's handles and its task share.
pub(crate) struct Core<E> {
    pub(crate) settings: Settings,
    pub(crate) sender: Box<dyn Sender<E>>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) counts: Counts,
    pub(crate) lines: LineLimit,
    /// The task has to look.
    pub(crate) wake: Notify,
    /// The task has ended.
    pub(crate) ended: Notify,
    runtime: Handle,
    name: Arc<str>,
    place: OnceLock<Place>,
    buffer: Mutex<Buffer<E>>,
}

/// Entries by their fate. Invariant: each accepted one becomes one sent or one failed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    dropped: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl<E: Send + Sync + 'static> Processor<E> {
    pub(crate) fn new(
        settings: Settings,
        sender: Box<dyn Sender<E>>,
        backlog: Arc<Backlog>,
        runtime: Handle,
        stage: Stage,
    ) -> Self {
        let settings = settings.bounded();
        Self {
            core: Arc::new(Core {
                name: settings.name.as_str().into(),
                settings,
                sender,
                backlog,
                counts: Counts::default(),
                lines: LineLimit::default(),
                wake: Notify::new(),
                ended: Notify::new(),
                runtime,
                place: OnceLock::new(),
                buffer: Mutex::new(Buffer::new(stage)),
            }),
        }
    }

    /// Queues an entry that counts for `bytes`; false where it was dropped, which is counted. Takes a short lock and never
    /// waits; from any thread.
    pub fn push(&self, entry: E, bytes: usize) -> bool {
        let core = &self.core;
        if let Err(full) = core.backlog.reserve(bytes) {
            core.counts.dropped.fetch_add(1, Relaxed);
            core.backlog.discard(full);
            return false;
        }
        let now = Instant::now();
        let mut buffer = core.buffer();
        if buffer.stage != Stage::Filling {
            drop(buffer);
            core.backlog.release(1, bytes);
            core.counts.dropped.fetch_add(1, Relaxed);
            return false;
        }
        core.counts.accepted.fetch_add(1, Relaxed);
        let then = buffer.push(entry, bytes, now, core.settings.batch_max_size);
        drop(buffer);
        match then {
            Then::Nothing => {}
            Then::Wake => core.wake.notify_one(),
            Then::Start => {
                // It ends by itself when nothing is left.
                let _task = core.runtime.spawn(drive(core.clone()));
            }
        }
        true
    }

    /// Bounds what may wait for the plugin, in all its processors, as [`crate::Processors::bound`] does. Cheap where nothing
    /// changes: who has the bounds in metadata that come and go says them with each entry.
    pub fn bound(&self, bounds: Bounds) {
        self.core.backlog.bound(bounds);
    }

    /// Says where the first entry comes from; asked once.
    pub fn place(&self, place: impl FnOnce() -> Place) {
        self.core.place.get_or_init(place);
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// The counts.
    pub fn report(&self) -> Report {
        self.core.report()
    }

    pub(crate) fn core(&self) -> &Arc<Core<E>> {
        &self.core
    }
}

impl<E: Send + Sync + 'static> Drop for Processor<E> {
    fn drop(&mut self) {
        self.core.enter(Stage::Draining);
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Processor<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Processor")
            .field("settings", &self.core.settings)
            .finish_non_exhaustive()
    }
}

impl<E> Core<E> {
    pub(crate) fn buffer(&self) -> MutexGuard<'_, Buffer<E>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A processor, whatever its entries are.
pub(crate) trait Member: Send + Sync {
    fn report(&self) -> Report;
    /// Goes on to a later stage.
    fn enter(&self, stage: Stage);
    /// Whether a task is at work; [`Self::ended`] tells of its end.
    fn is_busy(&self) -> bool;
    fn ended(&self) -> &Notify;
}

impl<E: Send + Sync + 'static> Member for Core<E> {
    fn report(&self) -> Report {
        let place = self.place.get().cloned().unwrap_or_default();
        let waiting = self.buffer().waiting() as u64;
        // In this order, so that an entry that moves in between is not counted twice.
        let sent = self.counts.sent.load(Relaxed);
        let failed = self.counts.failed.load(Relaxed);
        let accepted = self.counts.accepted.load(Relaxed);
        Report {
            name: self.name.clone(),
            route_id: place.route_id,
            server_addr: place.server_addr,
            waiting,
            pending: accepted.saturating_sub(sent + failed),
            sent,
            dropped: self.counts.dropped.load(Relaxed),
            failed,
        }
    }

    fn enter(&self, stage: Stage) {
        let mut buffer = self.buffer();
        if buffer.stage != Stage::Cancelled {
            buffer.stage = stage;
        }
        if buffer.is_driven {
            drop(buffer);
            self.wake.notify_one();
        }
    }

    fn is_busy(&self) -> bool {
        self.buffer().is_driven
    }

    fn ended(&self) -> &Notify {
        &self.ended
    }
}
