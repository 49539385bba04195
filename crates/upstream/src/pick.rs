//! Which node is next.

use std::{ops::Deref, sync::atomic::Ordering::Relaxed};

use lockgate_net::clock::Clock;
use smallvec::SmallVec;

use crate::{
    Node, NodeSet,
    balancer::{Group, Method},
    chash::Ring,
    ewma,
    least_conn::LeastConn,
    round_robin::{Cycle, Positions, UNSET},
};

/// What a request has tried, and its hash.
#[derive(Debug, Default)]
pub struct Tried {
    places: SmallVec<[u32; 8]>,
    hash: u32,
    /// Of the node tried last: its group, and its place in the group's ring.
    point: Option<(u32, u32)>,
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
    fn has(&self, place: u32) -> bool {
        self.places.contains(&place)
    }

    /// Whether every node of a group was tried.
    #[inline]
    fn has_all(&self, group: &Group) -> bool {
        self.places.len() >= group.len as usize
            && (group.start..group.start + group.len).all(|place| self.has(place))
    }
}

/// A node that a request goes to. The request counts as in flight there until this is dropped.
#[derive(Debug)]
pub struct Picked<'a> {
    set: &'a NodeSet,
    node: &'a Node,
    place: u32,
}

impl Deref for Picked<'_> {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        self.node
    }
}

impl Picked<'_> {
    /// The node answered, and its whole answer took this long.
    #[inline]
    pub fn answered(&self, took_us: u64, clock: &Clock) {
        if let Some(latency) = self.set.latencies.get(self.place as usize) {
            let now_ms = self.set.now_ms(clock);
            latency.observe(took_us as f32 / 1e6, now_ms);
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
    /// in the reference.
    #[inline]
    pub fn pick(&self, worker: usize, clock: &Clock, tried: &mut Tried) -> Option<Picked<'_>> {
        let place = if self.len() <= 1 {
            0
        } else {
            self.next(worker, clock, tried)?
        };
        let node = self.get(place)?;
        if let Some(load) = self.loads.get(place as usize) {
            load.begin();
        }
        Some(Picked {
            set: self,
            node,
            place,
        })
    }

    #[inline]
    fn next(&self, worker: usize, clock: &Clock, tried: &mut Tried) -> Option<u32> {
        for (number, group) in self.groups().iter().enumerate() {
            if tried.has_all(group) {
                continue;
            }
            let place = match &group.method {
                Method::RoundRobin(cycle) => next_in_cycle(group, cycle, worker, tried),
                Method::Chash(ring) => next_on_ring(group, number as u32, ring, tried),
                Method::Ewma(positions) => {
                    let now_ms = self.now_ms(clock);
                    self.quicker(group, positions, worker, now_ms, tried)
                }
                Method::LeastConn(least, positions) => {
                    self.least_busy(group, least, positions, worker, tried)
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
        group: &Group,
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
            two(group.len).map(|(one, other)| (group.start + one, group.start + other))?
        } else {
            let left: Vec<u32> = (group.start..group.start + group.len)
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
        let offset = if tried.places.is_empty() {
            least.pick(loads, first, turns, &|_| true)
        } else {
            let is_left = |offset: usize| !tried.has(group.start + offset as u32);
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

#[inline]
fn next_in_cycle(group: &Group, cycle: &Cycle, worker: usize, tried: &Tried) -> Option<u32> {
    // The round goes on past nodes that were tried; somewhere in a whole one is a node that was not.
    for _ in 0..group.len.saturating_mul(64) {
        let place = group.start + cycle.next(worker)?;
        if tried.places.is_empty() || !tried.has(place) {
            return Some(place);
        }
    }
    // Very uneven weights: the heavy nodes were tried and the light ones are far off in the round.
    (group.start..group.start + group.len).find(|place| !tried.has(*place))
}

/// The node that the hash belongs to, then those behind it.
#[inline]
fn next_on_ring(group: &Group, number: u32, ring: &Ring, tried: &mut Tried) -> Option<u32> {
    let mut point = match tried.point {
        Some((last, point)) if last == number => ring.next(point),
        _ => ring.find(tried.hash)?,
    };
    for _ in 0..ring.len() {
        let place = group.start + ring.member(point)?;
        if tried.places.is_empty() || !tried.has(place) {
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
