//! What each worker has of its own: its connections, and what it knows of a cluster.
//!
//! A worker is a number below the count that the client was made with. Each has a lock of its own, which another thread takes
//! only for as long as a replaced generation of workers finishes its requests: then two runtimes have the same number, and
//! each has connections of its own behind it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use crate::{
    error::{ConnectError, Error},
    gate::Gate,
    lane::{Lane, Use},
    settings::Address,
    topology::Knowledge,
};

/// What a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// This server.
    Node(Arc<Address>),
    /// Whichever server the sentinels name.
    ThroughSentinels,
}

/// One worker's own. It begins a cache line that no other worker writes to.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Worker {
    runtimes: Mutex<Vec<Runtime>>,
}

#[derive(Debug)]
struct Runtime {
    id: Id,
    places: Vec<Place>,
    knowledge: Knowledge,
}

#[derive(Debug)]
struct Place {
    target: Target,
    lane: Option<Arc<Lane>>,
    gate: Gate,
}

impl Worker {
    /// A use of the connection of the calling runtime to a target; `open` makes it where there is none.
    pub(crate) fn acquire(
        &self,
        target: &Target,
        open: impl FnOnce() -> Lane,
    ) -> Result<Use, Error> {
        self.with_runtime(|runtime| runtime.place(target).acquire(open))
    }

    /// Looks at what the calling runtime knows of the cluster.
    pub(crate) fn with_knowledge<T>(&self, look: impl FnOnce(&mut Knowledge) -> T) -> T {
        self.with_runtime(|runtime| look(&mut runtime.knowledge))
    }

    fn with_runtime<T>(&self, run: impl FnOnce(&mut Runtime) -> T) -> T {
        let id = Handle::current().id();
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = runtimes.iter().position(|it| it.id == id);
        let place = found.unwrap_or_else(|| {
            // A runtime that has ended has taken its tasks along.
            runtimes.retain(Runtime::is_at_work);
            runtimes.push(Runtime {
                id,
                places: Vec::new(),
                knowledge: Knowledge::default(),
            });
            runtimes.len() - 1
        });
        let runtime = runtimes.get_mut(place);
        run(runtime.expect("invariant: found or pushed"))
    }
}

impl Runtime {
    fn is_at_work(&self) -> bool {
        let mut lanes = self.places.iter().filter_map(|it| it.lane.as_ref());
        lanes.any(|lane| lane.ended().is_none())
    }

    fn place(&mut self, target: &Target) -> &mut Place {
        let found = self.places.iter().position(|it| it.target == *target);
        let place = found.unwrap_or_else(|| {
            // Nodes of a cluster come and go.
            self.places.retain(Place::is_of_use);
            self.places.push(Place {
                target: target.clone(),
                lane: None,
                gate: Gate::default(),
            });
            self.places.len() - 1
        });
        let place = self.places.get_mut(place);
        place.expect("invariant: found or pushed")
    }
}

impl Place {
    fn is_of_use(&self) -> bool {
        let lives = |lane: &Arc<Lane>| lane.ended().is_none();
        self.lane.as_ref().is_some_and(lives) || self.gate.refusal(Instant::now()).is_some()
    }

    fn acquire(&mut self, open: impl FnOnce() -> Lane) -> Result<Use, Error> {
        if let Some(lane) = &self.lane {
            match lane.ended() {
                None if lane.is_open() => self.gate.succeed(),
                None => {
                    // Another caller tries whether what failed is back.
                    if let Some(error) = self.gate.doubted() {
                        return Err(error);
                    }
                }
                Some(ended) => {
                    match ended.error {
                        error if !lane.is_open() => self.gate.fail(error, ended.at),
                        Error::Timeout => self
                            .gate
                            .doubt(Error::Connect(ConnectError::Timeout), ended.at),
                        _ => self.gate.succeed(),
                    }
                    self.lane = None;
                }
            }
        }
        if let Some(in_use) = self.lane.as_ref().and_then(Lane::acquire) {
            return Ok(in_use);
        }
        if let Some(error) = self.gate.refusal(Instant::now()) {
            return Err(error);
        }
        let lane = Arc::new(open());
        self.lane = Some(lane.clone());
        lane.acquire().ok_or(Error::CLOSED)
    }
}
