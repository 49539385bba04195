//! What is asked of an address, once for all upstreams that ask the same.
//!
//! A [`Probe`] knows when it was asked last and what came of it, so that one upstream asks and the others take the answer.
//! It keeps its connection from one time to the next, where checks and server allow it: nine tenths of what a probe costs
//! the system are the beginning and the end of a connection. A kept connection serves a limited number of times, so that a
//! node that takes no connections any more is noticed, and nothing but the answer that is known from it counts: whatever else
//! comes is asked again on a new one. Kept connections are not registered with the runtime: rounds look at them together, without a wake-up for each.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Poll,
    time::Duration,
};

use lockgate_model::resource::ProbeKind;
use rustix::process::{Resource, getrlimit};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    Target,
    answer::{Extent, extent, status},
    settings::Settings,
    verdict::Report,
};
use crate::limits::{KEPT_PROBES, KNOWN_PROBES, PROBES, STATUS_LINE_BYTES};

/// All that makes two probes the same.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) address: SocketAddr,
    pub(crate) kind: ProbeKind,
    /// The name of TLS; empty without.
    pub(crate) host: Box<str>,
    pub(crate) request: Box<str>,
    pub(crate) is_head: bool,
    pub(crate) timeout: Duration,
    interval: Duration,
    keeps: bool,
    /// Which TLS, by its place in memory: it is there as long as the probe.
    tls: usize,
}

/// What came of a probe, whatever an upstream makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Connected,
    Status(u16),
    NoHttp,
    Failed,
    TimedOut,
    /// The gateway could not ask.
    Unknown,
}

impl Outcome {
    /// What the first line of an answer says.
    pub(crate) fn of(answer: &[u8]) -> Self {
        status(answer).map_or(Self::NoHttp, Self::Status)
    }

    /// What it says of the node; `None` where it counts neither for nor against it.
    pub(crate) fn report(self, settings: &Settings) -> Option<Report> {
        match self {
            Self::Connected => Some(Report::Success),
            Self::Status(status) => settings.active.judge(status),
            // What is no HTTP is a failure, whatever statuses are listed.
            Self::NoHttp => Some(Report::HttpFailure),
            Self::Failed => Some(Report::TcpFailure),
            Self::TimedOut => Some(Report::Timeout),
            Self::Unknown => None,
        }
    }
}

/// One question to one address.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) question: Arc<Question>,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often it was asked.
    number: u64,
    /// When the last time was due.
    due: Option<Instant>,
    is_asked: bool,
    outcome: Option<Outcome>,
    kept: Option<Kept>,
}

/// A connection from one time to the next.
#[derive(Debug)]
struct Kept {
    stream: TcpStream,
    /// What came of the probe that opened it.
    outcome: Outcome,
    /// How often it may be used yet.
    uses: u32,
}

/// How an upstream comes to the outcome of a probe.
pub(crate) enum Begun {
    /// It is there: another upstream asked within this interval, at this time.
    Known(Outcome, Instant),
    /// Another upstream is asking.
    Waits(Arc<Probe>, Instant),
    /// By asking.
    Asks(Asking),
}

impl Probe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to ask for an upstream whose round is due at this moment, unless the outcome is there or under way.
    /// `seen` is the number of the last outcome that the upstream has taken in. A new connection is used unless `from_kept`.
    fn begin(self: &Arc<Self>, due: Instant, seen: &mut u64, from_kept: bool) -> Begun {
        let mut state = self.lock();
        let last = state.due.unwrap_or(due);
        if state.is_asked {
            *seen = state.number;
            return Begun::Waits(self.clone(), last);
        }
        if let Some(outcome) = state.outcome
            && last + self.question.interval > due
            && state.number != *seen
        {
            *seen = state.number;
            return Begun::Known(outcome, last);
        }
        state.number += 1;
        *seen = state.number;
        state.due = Some(due);
        state.is_asked = true;
        state.outcome = None;
        let kept = state.kept.take().filter(|_| from_kept);
        drop(state);
        Begun::Asks(Asking {
            probe: self.clone(),
            outcome: None,
            kept,
            answer: Vec::new(),
            from_kept,
        })
    }

    /// What another upstream has found out: nothing where it gave up.
    pub(crate) fn told(&self) -> Poll<Option<Outcome>> {
        let state = self.lock();
        if state.is_asked {
            Poll::Pending
        } else {
            Poll::Ready(state.outcome)
        }
    }
}

/// A probe that is being asked. Whoever waits is told when this is dropped.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) probe: Arc<Probe>,
    pub(crate) outcome: Option<Outcome>,
    kept: Option<Kept>,
    /// An answer that comes in parts.
    answer: Vec<u8>,
    from_kept: bool,
}

/// What has come over a kept connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Not the whole answer.
    Part,
    /// All that will come.
    End,
    Broken,
}

impl Asking {
    /// Sends the request over the kept connection; false without one that takes it.
    pub(crate) fn send(&mut self) -> bool {
        let request = self.probe.question.request.as_bytes();
        let is_sent = self.kept.as_mut().is_some_and(|kept| {
            kept.uses -= 1;
            matches!(kept.stream.write(request), Ok(sent) if sent == request.len())
        });
        if !is_sent {
            self.kept = None;
        }
        is_sent
    }

    /// Looks whether the answer has come over the kept connection. The outcome is there as soon as the status line is.
    pub(crate) fn look(&mut self) -> Look {
        let Some(kept) = &mut self.kept else {
            return Look::Broken;
        };
        let mut room = [0; 2048];
        let read = match kept.stream.read(&mut room) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Look::Part,
            Err(_) | Ok(0) => return Look::Broken,
            Ok(count) => room.get(..count).unwrap_or_default(),
        };
        let answer = if self.answer.is_empty() {
            read
        } else {
            self.answer.extend_from_slice(read);
            &self.answer
        };
        if !answer.contains(&b'\n') {
            self.answer = answer.to_vec();
            return Look::Part;
        }
        let outcome = Outcome::of(answer);
        if outcome != kept.outcome {
            // The node may be another than it was, or this is no answer to what was asked: a new connection tells.
            return Look::Broken;
        }
        self.outcome = Some(outcome);
        match extent(answer, self.probe.question.is_head) {
            Extent::Whole => Look::End,
            Extent::Part if answer.len() < STATUS_LINE_BYTES => {
                self.answer = answer.to_vec();
                Look::Part
            }
            Extent::Part | Extent::Last => {
                self.kept = None;
                Look::End
            }
        }
    }

    /// Uses the kept connection no more.
    pub(crate) fn give_up_kept(&mut self) {
        self.kept = None;
        self.answer = Vec::new();
    }

    /// Whether a new connection should be kept after the answer.
    pub(crate) fn keeps(&self) -> bool {
        self.probe.question.keeps && self.from_kept
    }

    /// Keeps a connection on which the answer has come whole.
    pub(crate) fn keep(&mut self, stream: TcpStream, outcome: Outcome) {
        // The system gives out the lowest number that is free, so that it tells how many are taken. The last quarter of
        // them is for the traffic.
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let number = u64::try_from(stream.as_raw_fd()).unwrap_or(u64::MAX);
        if number < most - most / 4 {
            // Connections that began together do not end together.
            let chance = RandomState::new().hash_one(number) as u32;
            let uses = KEPT_PROBES / 2 + chance % KEPT_PROBES;
            self.kept = Some(Kept {
                stream,
                outcome,
                uses,
            });
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.probe.lock();
        state.is_asked = false;
        state.outcome = self.outcome;
        state.kept = self.kept.take().filter(|kept| kept.uses > 0);
    }
}

/// What a target was asked last.
#[derive(Debug)]
pub(crate) struct Asked {
    settings: Arc<Settings>,
    interval: Duration,
    probe: Arc<Probe>,
    seen: u64,
}

impl Target {
    /// Begins to ask the target, in a round that is due at this moment.
    pub(crate) fn begin(
        &self,
        probes: &Probes,
        settings: &Arc<Settings>,
        interval: Duration,
        due: Instant,
        from_kept: bool,
    ) -> Begun {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = asked
            .take()
            .filter(|known| Arc::ptr_eq(&known.settings, settings) && known.interval == interval);
        let asked = asked.insert(known.unwrap_or_else(|| Asked {
            settings: settings.clone(),
            interval,
            probe: probes.of(self, settings, interval),
            seen: 0,
        }));
        let probe = asked.probe.clone();
        probe.begin(due, &mut asked.seen, from_kept)
    }

    /// Keeps no connection any more.
    pub(crate) fn forget_asked(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The probes of the process.
#[derive(Debug)]
pub(crate) struct Probes {
    /// Bounds the connections that are being opened.
    permits: Semaphore,
    /// Where the grid of moments begins at which rounds are due.
    began: Instant,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    probes: HashMap<Arc<Question>, Weak<Probe>>,
    /// How many there may be before those that are gone are looked for.
    most: usize,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            permits: Semaphore::new(PROBES),
            began: Instant::now(),
            known: Mutex::new(Known {
                probes: HashMap::new(),
                most: KNOWN_PROBES,
            }),
        }
    }
}

impl Probes {
    /// The right to open a connection.
    pub(crate) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.permits.acquire().await.ok()
    }

    /// The next moment of the grid: rounds that are due close together are due together, with one wake-up for all.
    pub(crate) fn on_grid(&self, moment: Instant, step: Duration) -> Instant {
        let step = step.as_nanos().max(1);
        let over = moment.duration_since(self.began).as_nanos() % step;
        let more = if over == 0 { 0 } else { step - over };
        moment + Duration::from_nanos(more as u64)
    }

    /// The probe of a target.
    fn of(&self, target: &Target, settings: &Settings, interval: Duration) -> Arc<Probe> {
        let tls = match settings.kind {
            ProbeKind::Https => settings.tls.clone(),
            ProbeKind::Http | ProbeKind::Tcp => None,
        };
        let asks = settings.kind != ProbeKind::Tcp;
        let host = target.host();
        let request = [&settings.head, host, &settings.tail].concat();
        let question = Question {
            address: target.address,
            kind: settings.kind,
            host: if tls.is_some() {
                host.into()
            } else {
                "".into()
            },
            request: if asks { request.into() } else { "".into() },
            is_head: settings.is_head,
            timeout: settings.timeout,
            interval,
            keeps: settings.keeps,
            tls: tls.as_ref().map_or(0, |tls| Arc::as_ptr(tls).addr()),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probe) = known.probes.get(&question).and_then(Weak::upgrade) {
            return probe;
        }
        if known.probes.len() >= known.most {
            known.probes.retain(|_, probe| probe.strong_count() > 0);
            known.most = KNOWN_PROBES.max(known.probes.len() * 2);
        }
        let question = Arc::new(question);
        let probe = Arc::new(Probe {
            question: question.clone(),
            tls,
            state: Mutex::default(),
        });
        // A key that is equal would stay, and with it the question of a probe that is gone: equal all the same.
        known.probes.insert(question, Arc::downgrade(&probe));
        probe
    }
}
