//! All processors of the node.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    backlog::{Backlog, Bounds},
    buffer::Stage,
    limits,
    processor::{Member, Processor},
    report::Report,
    sender::Sender,
    settings::Settings,
};

/// Finds processors by what they are for. Cheap to clone; clones are the same registry.
#[derive(Clone)]
pub struct Processors {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    backlogs: HashMap<&'static str, Arc<Backlog>>,
    /// By plugin and identity.
    known: HashMap<Key, Known>,
    /// Every processor that has a handle or something to send.
    members: Vec<Weak<dyn Member>>,
    /// Length of `members` at which the dead ones are next taken out.
    sweep_at: usize,
    is_closed: bool,
}

type Key = (&'static str, Box<str>);

/// A processor. Who uses it keeps it; this does not.
struct Known {
    /// A `Weak<Processor<E>>`.
    processor: Box<dyn Any + Send + Sync>,
    member: Weak<dyn Member>,
}

/// What became of the entries that were pending when [`Processors::flush`] began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Entries that were sent.
    pub sent: u64,
    /// Entries that were not.
    pub lost: u64,
}

impl Processors {
    /// A registry whose processors send on this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self {
            shared: Arc::new(Shared {
                runtime,
                state: Mutex::default(),
            }),
        }
    }

    /// Bounds what may wait for a plugin, also in the processors that it has. [`Bounds::default`] where this was not called.
    pub fn bound(&self, plugin: &'static str, bounds: Bounds) {
        self.state().backlog(plugin).bound(bounds);
    }

    /// The processor of a plugin for one configuration of it, made where there is none.
    ///
    /// `identity` is the same text for the same settings at the same place, such as the key of a route and the plugin's
    /// configuration: an edit that leaves both alone keeps the queue, and one that changes either gets a processor of its own,
    /// while the old one sends what it has through the old sender once nobody holds it. `sender` is called, on this thread,
    /// where a processor is made.
    ///
    /// # Errors
    /// Those of `sender`.
    pub fn get<E, S, X>(
        &self,
        plugin: &'static str,
        identity: &str,
        settings: Settings,
        sender: impl FnOnce() -> Result<S, X>,
    ) -> Result<Arc<Processor<E>>, X>
    where
        E: Send + Sync + 'static,
        S: Sender<E>,
    {
        let key = (plugin, Box::from(identity));
        if let Some(found) = self.state().find(&key) {
            return Ok(found);
        }
        // Without the lock: it may read files.
        let sender = Box::new(sender()?);
        let mut state = self.state();
        if let Some(found) = state.find(&key) {
            return Ok(found);
        }
        let stage = if state.is_closed {
            Stage::Draining
        } else {
            Stage::Filling
        };
        let backlog = state.backlog(plugin).clone();
        let runtime = self.shared.runtime.clone();
        let processor = Arc::new(Processor::new(settings, sender, backlog, runtime, stage));
        state.sweep();
        let member: Arc<dyn Member> = processor.core().clone();
        let member = Arc::downgrade(&member);
        state.members.push(member.clone());
        let known = Known {
            processor: Box::new(Arc::downgrade(&processor)),
            member,
        };
        state.known.insert(key, known);
        Ok(processor)
    }

    /// The counts by name and place, in their order. Those of a processor end with its last entry.
    pub fn reports(&self) -> impl Iterator<Item = Report> + use<> {
        let mut reports = BTreeMap::<_, Report>::new();
        for member in self.members() {
            let report = member.report();
            let key = (
                report.name.clone(),
                report.route_id.clone(),
                report.server_addr.clone(),
            );
            reports
                .entry(key)
                .and_modify(|sum| sum.add(&report))
                .or_insert(report);
        }
        reports.into_values()
    }

    /// For the end of the gateway: accepts nothing any more, sends what is queued at once, and gives up at `deadline` what
    /// could not be sent, which is counted and logged.
    pub async fn flush(&self, deadline: Instant) -> Flushed {
        self.state().is_closed = true;
        let members = self.members();
        let before: Vec<Report> = members.iter().map(|member| member.report()).collect();
        for member in &members {
            member.enter(Stage::Draining);
        }
        if timeout_at(deadline, quiet(&members)).await.is_err() {
            for member in &members {
                member.enter(Stage::Cancelled);
            }
            // A sender that blocks its thread is not waited for.
            let _late = timeout(limits::CANCEL, quiet(&members)).await;
        }
        let mut flushed = Flushed::default();
        for (member, before) in members.iter().zip(before) {
            let after = member.report();
            let lost = after.failed - before.failed + after.pending;
            flushed.sent += after.sent - before.sent;
            flushed.lost += lost;
            if lost > 0 {
                let (name, route_id) = (&*after.name, &*after.route_id);
                tracing::error!(name, route_id, lost, "entries were not sent before the end");
            }
        }
        flushed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> Vec<Arc<dyn Member>> {
        let state = self.state();
        state.members.iter().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for Processors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Processors")
            .field("members", &self.members().len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn backlog(&mut self, plugin: &'static str) -> &Arc<Backlog> {
        self.backlogs
            .entry(plugin)
            .or_insert_with(|| Arc::new(Backlog::new(plugin)))
    }

    fn find<E: Send + Sync + 'static>(&self, key: &Key) -> Option<Arc<Processor<E>>> {
        let processor = &self.known.get(key)?.processor;
        processor.downcast_ref::<Weak<Processor<E>>>()?.upgrade()
    }

    /// Forgets what has ended, now and then.
    fn sweep(&mut self) {
        if self.members.len() < self.sweep_at.max(64) {
            return;
        }
        self.members.retain(|member| member.strong_count() > 0);
        self.known.retain(|_, it| it.member.strong_count() > 0);
        self.sweep_at = self.members.len() * 2;
    }
}

/// Until no processor has a task.
async fn quiet(members: &[Arc<dyn Member>]) {
    for member in members {
        loop {
            let mut ended = std::pin::pin!(member.ended().notified());
            // From here on no end is missed.
            ended.as_mut().enable();
            if !member.is_busy() {
                break;
            }
            ended.await;
        }
    }
}
