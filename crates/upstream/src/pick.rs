//! Which node is next.

use std::{ops::Deref, sync::atomic::Ordering::Relaxed};

use lockgate_net::clock::Clock;
use smallvec::SmallVec;

use crate::{
    Node, NodeSet,
    balancer::{Group, Method},
    chash::Ring,
    ewma,
    health::{Choice, Part, Report, SetHealth},
    least_conn::{LeastConn, Load},
    round_robin::{Cycle, Positions, UNSET},
};

/// What a request has tried, and its hash.
#[derive(Debug, Default, Clone)]
pub struct Tried {
    pub(crate) places: SmallVec<[u32; 8]>,
    hash: u32,
    /// Of the node tried last: its group, and its place in the group's ring.
    pub(crate) point: Option<(u32, u32)>,
    /// Whether what comes of the request counts for the health of nodes, once a node was picked.
    pub(crate) is_watched: Option<Watched>,
}

/// Whether the checks had begun before the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    Yes,
    No,
}

impl Tried {
    /// Nothing tried. `hash` is that of [`HashKey`](crate::HashKey), for the upstreams that have one.
    pub fn new(hash: u32) -> Self {
        Self {
            hash,
            ..Self::default()
        }
    }

    #[inline]
    pub(crate) fn has(&self, place: u32) -> bool {
        self.places.contains(&place)
    }

    /// Whether every member was tried, if there is any.
    #[inline]
    fn has_all(&self, members: Members<'_>) -> bool {
        self.places.len() >= members.len() as usize
            && (0..members.len()).all(|at| members.get(at).is_some_and(|place| self.has(place)))
    }
}

/// The nodes of a group that are used at present.
#[derive(Debug, Clone, Copy)]
enum Members<'a> {
    /// Every one: the place of the first, and how many.
    All(u32, u32),
    /// Those at these places.
    Some(&'a [u32]),
}

impl<'a> Members<'a> {
    fn of(group: &Group, part: Option<&'a Part>) -> Self {
        match part {
            None => Self::All(group.start, group.len),
            Some(part) => Self::Some(&part.places),
        }
    }

    #[inline]
    fn len(self) -> u32 {
        match self {
            Self::All(_, len) => len,
            Self::Some(places) => places.len() as u32,
        }
    }

    #[inline]
    fn get(self, at: u32) -> Option<u32> {
        match self {
            Self::All(start, len) => (at < len).then_some(start + at),
            Self::Some(places) => places.get(at as usize).copied(),
        }
    }
}

/// A node that a request goes to. The request counts as in flight there until this is dropped.
#[derive(Debug)]
pub struct Picked<'a> {
    set: &'a NodeSet,
    node: &'a Node,
    pub(crate) place: u32,
    is_watched: bool,
    in_flight: u32,
}

impl Deref for Picked<'_> {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        self.node
    }
}

impl Picked<'_> {
    /// Requests in flight at the node, this one among them; 0 where they are not counted.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The node answered, and its whole answer took this long.
    #[inline]
    pub fn answered(&self, took_us: u64, clock: &Clock) {
        if let Some(latency) = self.set.latencies.get(self.place as usize) {
            let now_ms = self.set.now_ms(clock);
            latency.observe(took_us as f32 / 1e6, now_ms);
        }
    }

    /// The node failed, and another is asked.
    pub fn failed(&self, is_timeout: bool) {
        // A lone node is not balanced, and what is not balanced does not see the failure of an attempt (`pick_server`).
        let is_balanced = !self.set.is_lone() || self.set.balances_lone;
        if let Some(health) = self
            .set
            .health
            .get()
            .filter(|_| is_balanced && self.is_watched)
        {
            let report = if is_timeout {
                Report::Timeout
            } else {
                Report::TcpFailure
            };
            health.report(self.place, report);
        }
    }

    /// The client was told this status, and no other node is asked.
    #[inline]
    pub fn ended(&self, status: u16) {
        if let Some(health) = self.set.health.get().filter(|_| self.is_watched) {
            health.report_status(self.place, status);
        }
    }
}

impl Drop for Picked<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.set.loads.is_empty() {
            self.set.end(self.place);
        }
    }
}

impl NodeSet {
    /// The node to try next, or `None` when all have been tried.
    ///
    /// Groups of lower priority have their turn when every node of the higher ones was tried. A lone node is tried again, as
    /// in the reference. Unhealthy nodes are left out, unless all are.
    #[inline]
    pub fn pick(&self, worker: usize, clock: &Clock, tried: &mut Tried) -> Option<Picked<'_>> {
        let mut is_watched = false;
        let mut place = None;
        if let Some(health) = self.health.get() {
            is_watched = tried.watch(health);
            if !self.is_lone()
                && let Some(view) = health.view(self)
                && let Some(view) = view.as_deref()
            {
                match &view.choice {
                    Choice::All => {}
                    Choice::Healthy { is_good, parts } => {
                        let healthy = Some((&**is_good, &**parts));
                        place = Some(self.next(worker, clock, tried, healthy)?);
                    }
                    Choice::Weightless(part) => {
                        place = Some(next_weightless(part, worker, tried)?);
                    }
                }
            }
        }
        let place = match place {
            Some(place) => place,
            None if self.len() <= 1 => 0,
            None => self.next(worker, clock, tried, None)?,
        };
        self.picked(place, is_watched)
    }

    #[inline]
    pub(crate) fn picked(&self, place: u32, is_watched: bool) -> Option<Picked<'_>> {
        let node = self.get(place)?;
        let load = self.loads.get(place as usize);
        Some(Picked {
            set: self,
            node,
            place,
            is_watched,
            in_flight: load.map_or(0, Load::begin),
        })
    }

    /// The next node, once it has its whole share or chance is with it.
    #[inline]
    fn next(
        &self,
        worker: usize,
        clock: &Clock,
        tried: &mut Tried,
        healthy: Option<(&[bool], &[Part])>,
    ) -> Option<u32> {
        let place = self.next_by_weight(worker, clock, tried, healthy)?;
        match self.beyond.as_deref() {
            Some(beyond) if !beyond.starts.is_empty() => {
                let chosen = self.past_slow_starts(beyond, place, worker, clock, tried, healthy);
                tried.places.pop();
                tried.places.push(chosen);
                Some(chosen)
            }
            _ => Some(place),
        }
    }

    #[inline]
    pub(crate) fn next_by_weight(
        &self,
        worker: usize,
        clock: &Clock,
        tried: &mut Tried,
        healthy: Option<(&[bool], &[Part])>,
    ) -> Option<u32> {
        for (number, group) in self.groups().iter().enumerate() {
            let part = healthy.and_then(|(_, parts)| parts.get(number));
            let members = Members::of(group, part);
            if tried.has_all(members) {
                continue;
            }
            let is_good = healthy.map(|(is_good, _)| is_good);
            let place = match &group.method {
                Method::RoundRobin(cycle) => {
                    let own = part.and_then(|part| part.cycle.as_ref());
                    next_in_cycle(members, own.unwrap_or(cycle), worker, tried)
                }
                Method::Chash(ring) => next_on_ring(group, number as u32, ring, tried, is_good),
                Method::Ewma(positions) => {
                    let now_ms = self.now_ms(clock);
                    self.quicker(members, positions, worker, now_ms, tried)
                }
                Method::LeastConn(least, positions) => {
                    self.least_busy(group, least, positions, worker, tried, is_good)
                }
            };
            if let Some(place) = place {
                tried.places.push(place);
                return Some(place);
            }
        }
        None
    }

    /// The quicker of two nodes found by chance among those that were not tried.
    #[inline]
    fn quicker(
        &self,
        members: Members<'_>,
        positions: &Positions,
        worker: usize,
        now_ms: u32,
        tried: &Tried,
    ) -> Option<u32> {
        let position = positions.of(worker)?;
        let mut state = position.load(Relaxed);
        if state == UNSET {
            let seed = (std::ptr::from_ref(position) as usize, worker);
            state = crate::node::hash_of(&seed) | 1;
        }
        let mut two = |count: u32| -> Option<(u32, u32)> {
            match count {
                0 => None,
                1 => Some((0, 0)),
                _ => {
                    let one = ewma::below(count, &mut state);
                    let other = ewma::below(count - 1, &mut state);
                    Some((one, if other >= one { other + 1 } else { other }))
                }
            }
        };
        let (one, other) = if tried.places.is_empty() {
            let (one, other) = two(members.len())?;
            (members.get(one)?, members.get(other)?)
        } else {
            let left: Vec<u32> = (0..members.len())
                .filter_map(|at| members.get(at))
                .filter(|place| !tried.has(*place))
                .collect();
            let (one, other) = two(left.len() as u32)?;
            (*left.get(one as usize)?, *left.get(other as usize)?)
        };
        position.store(state, Relaxed);
        let latency = |place: u32| {
            let latency = self.latencies.get(place as usize);
            latency.map_or(0.0, |latency| latency.at(now_ms))
        };
        Some(if one != other && latency(one) > latency(other) {
            other
        } else {
            one
        })
    }

    #[inline]
    fn least_busy(
        &self,
        group: &Group,
        least: &LeastConn,
        positions: &Positions,
        worker: usize,
        tried: &Tried,
        is_good: Option<&[bool]>,
    ) -> Option<u32> {
        let position = positions.of(worker)?;
        // Above how many picks there were, below where the next begins to look.
        let stored = match position.load(Relaxed) {
            UNSET => 0,
            stored => stored,
        };
        let (turn, first) = ((stored >> 32) as u32, stored as u32);
        let start = group.start as usize;
        let loads = self.loads.get(start..start + group.len as usize)?;
        let (first, turns) = (first as usize, turn as usize);
        let offset = if tried.places.is_empty() && is_good.is_none() {
            least.pick(loads, first, turns, &|_| true)
        } else {
            let is_left = |offset: usize| {
                is_used(is_good, start + offset) && !tried.has(group.start + offset as u32)
            };
            least.pick(loads, first, turns, &is_left)
        }? as u32;
        let next = u64::from(turn.wrapping_add(1)) << 32 | u64::from(offset + 1);
        position.store(next, Relaxed);
        Some(group.start + offset)
    }

    /// The group of a node, and where the node is in it.
    fn busy_group(&self, place: u32) -> Option<(&LeastConn, usize, &[crate::least_conn::Load])> {
        let holds = |group: &&Group| (group.start..group.start + group.len).contains(&place);
        let group = self.groups().iter().find(holds)?;
        let start = group.start as usize;
        match &group.method {
            Method::LeastConn(least, _) => Some((
                least,
                place as usize - start,
                self.loads.get(start..start + group.len as usize)?,
            )),
            _ => None,
        }
    }

    fn end(&self, place: u32) {
        if let Some(load) = self.loads.get(place as usize) {
            load.end();
        }
        if let Some((least, place, loads)) = self.busy_group(place) {
            least.fell(place, loads);
        }
    }

    /// The time that latencies are measured by.
    #[inline]
    fn now_ms(&self, clock: &Clock) -> u32 {
        let now_us = clock.monotonic_us(clock.recent());
        self.registry.latencies().millis(now_us)
    }
}

impl Tried {
    /// Has the checks begin, if they had not; whether they had when the request picked its first node.
    #[inline]
    pub(crate) fn watch(&mut self, health: &SetHealth) -> bool {
        let watched = *self.is_watched.get_or_insert_with(|| {
            if health.checker.start() {
                Watched::Yes
            } else {
                Watched::No
            }
        });
        watched == Watched::Yes
    }
}

/// Whether the node at a place is healthy, where any is not.
#[inline]
fn is_used(is_good: Option<&[bool]>, place: usize) -> bool {
    is_good.is_none_or(|is_good| is_good.get(place).copied().unwrap_or(true))
}

#[inline]
fn next_in_cycle(members: Members<'_>, cycle: &Cycle, worker: usize, tried: &Tried) -> Option<u32> {
    // The round goes on past nodes that were tried; somewhere in a whole one is a node that was not.
    for _ in 0..members.len().saturating_mul(64) {
        let place = members.get(cycle.next(worker)?)?;
        if tried.places.is_empty() || !tried.has(place) {
            return Some(place);
        }
    }
    // Very uneven weights: the heavy nodes were tried and the light ones are far off in the round.
    (0..members.len())
        .filter_map(|at| members.get(at))
        .find(|place| !tried.has(*place))
}

/// The next of the nodes with weight 0, when no other is healthy.
fn next_weightless(part: &Part, worker: usize, tried: &mut Tried) -> Option<u32> {
    let members = Members::Some(&part.places);
    if tried.has_all(members) {
        return None;
    }
    let place = next_in_cycle(members, part.cycle.as_ref()?, worker, tried)?;
    tried.places.push(place);
    Some(place)
}

/// The node that the hash belongs to, then those behind it.
#[inline]
fn next_on_ring(
    group: &Group,
    number: u32,
    ring: &Ring,
    tried: &mut Tried,
    is_good: Option<&[bool]>,
) -> Option<u32> {
    let mut point = match tried.point {
        Some((last, point)) if last == number => ring.next(point),
        _ => ring.find(tried.hash)?,
    };
    for _ in 0..ring.len() {
        let place = group.start + ring.member(point)?;
        if is_used(is_good, place as usize) && (tried.places.is_empty() || !tried.has(place)) {
            tried.point = Some((number, point));
            return Some(place);
        }
        point = ring.next(point);
    }
    None
}

#[cfg(test)]
#[path = "pick_tests.rs"]
mod tests;
