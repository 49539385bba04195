//! Which node is next where an upstream goes beyond the reference: names from cookies, nodes that are full, slow starts.

use std::hash::{BuildHasher as _, RandomState};

use lockgate_net::clock::Clock;

use crate::{NodeSet, Picked, Tried, health::Part, limits::SLOW_START_CHOICES, node::SetBeyond};

/// A choice among nodes of which some may be full.
#[derive(Debug)]
pub enum Room<'a> {
    /// This one has room.
    Node(Picked<'a>),
    /// Those that were not tried have none.
    Full,
    /// All have been tried.
    None,
}

impl NodeSet {
    /// The node of this name, where it is healthy, gets traffic and has not been tried.
    pub fn pick_named(&self, name: &[u8], tried: &mut Tried) -> Option<Picked<'_>> {
        let place = self.beyond.as_ref()?.names.find(name)?;
        if place as usize >= self.len() || tried.has(place) {
            return None;
        }
        let mut is_watched = false;
        if let Some(health) = self.health.get() {
            is_watched = tried.watch(health);
            if !health.is_good(place) {
                return None;
            }
        }
        tried.places.push(place);
        self.picked(place, is_watched)
    }

    /// Whether a request that tried these would find another.
    pub fn has_other(&self, tried: &Tried) -> bool {
        self.len() <= 1 || tried.places.len() < self.len()
    }

    /// The node to try next that is not full, as `is_full` says of a node that the request is counted at.
    pub fn pick_with_room(
        &self,
        worker: usize,
        clock: &Clock,
        tried: &mut Tried,
        is_full: impl Fn(&Picked<'_>) -> bool,
    ) -> Room<'_> {
        let mut seen = tried.clone();
        let mut is_any_full = false;
        for _ in 0..=self.len() {
            let Some(picked) = self.pick(worker, clock, &mut seen) else {
                break;
            };
            if is_full(&picked) {
                is_any_full = true;
                continue;
            }
            // What is full may be asked when the request is sent again.
            tried.places.push(picked.place);
            (tried.point, tried.is_watched) = (seen.point, seen.is_watched);
            return Room::Node(picked);
        }
        if is_any_full { Room::Full } else { Room::None }
    }

    /// `place`, or another where chance is against it because it has but a part of its share.
    pub(crate) fn past_slow_starts(
        &self,
        beyond: &SetBeyond,
        place: u32,
        worker: usize,
        clock: &Clock,
        tried: &Tried,
        healthy: Option<(&[bool], &[Part])>,
    ) -> u32 {
        let now_us = clock.monotonic_us(clock.recent());
        let share = |place: u32| {
            let start = beyond.starts.get(place as usize);
            start.map_or(1.0, |start| start.share(now_us, beyond.window))
        };
        let mut chosen = place;
        let mut seen = tried.clone();
        for _ in 0..SLOW_START_CHOICES {
            let chance = RandomState::new().hash_one(0) as u32 as f32 / u32::MAX as f32;
            if chance <= share(chosen) {
                return chosen;
            }
            let Some(other) = self.next_by_weight(worker, clock, &mut seen, healthy) else {
                return place;
            };
            chosen = other;
        }
        chosen
    }
}
