//! The table under all counters: shards of open addressing, each behind a lock that is held for nanoseconds.
//!
//! An entry lies in the slot its hash names or in the next free one. What a shard does beyond finding an entry, it does when a
//! new one comes: a hand goes round the slots, and each new entry moves it on by a few. Entries that count nothing any more go
//! as it passes; in a full shard it evicts by second chance: an entry that was used since it last passed stays, the first
//! that was not goes. This is the least recently used one, near enough, and costs one bit per use instead of a list.
//!
//! No lock is ever held while another is taken, and none across anything that waits. The longest that one is held is when a
//! shard doubles its slots.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    key::Key,
    limits::{EVICTION_SLOTS, FIRST_SLOTS, SHARDS, SWEPT_SLOTS},
};

/// What is kept per key.
pub(crate) trait State {
    /// Whether an absent entry would answer the same from `now_ms` on: it may go.
    fn is_dead(&self, now_ms: u64) -> bool;
}

/// How full a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Entries, with those that count nothing any more and were not come across yet.
    pub entries: usize,
    /// Entries that still counted and were removed for want of room, since the table began.
    pub evicted: u64,
}

/// A map of keys to states, for any number of threads.
#[derive(Debug)]
pub(crate) struct Table<S> {
    shards: [Aligned<S>; SHARDS],
    /// Most entries of one shard.
    share: usize,
}

/// A shard on cache lines of its own, so that workers at different shards do not disturb each other. Two, since lines are
/// fetched in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Aligned<S>(Mutex<Shard<S>>);

#[derive(Debug)]
struct Shard<S> {
    /// None before the first entry; else a power of two, of which a quarter is free at least.
    slots: Box<[Option<Entry<S>>]>,
    entries: usize,
    /// The slot that the next new entry begins to look at.
    hand: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Entry<S> {
    key: Key,
    /// Whether it was found since the hand last passed.
    is_recent: bool,
    state: S,
}

impl<S: State> Table<S> {
    /// A table of `entries` at most, in equal shares per shard and rounded up to them.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Aligned(Mutex::new(Shard::new()))),
            share: entries.div_ceil(SHARDS).max(1),
        }
    }

    /// Answers with what `found` makes of the entry of a key, or `absent` where there is none; its state is kept then. Both
    /// run under the lock.
    #[inline]
    pub(crate) fn update<R>(
        &self,
        key: Key,
        now_ms: u64,
        found: impl FnOnce(&mut S) -> R,
        absent: impl FnOnce() -> (S, R),
    ) -> R {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.find(key) {
            entry.is_recent = true;
            return found(&mut entry.state);
        }
        let (state, answer) = absent();
        shard.insert(key, state, self.share, now_ms);
        answer
    }

    pub(crate) fn usage(&self) -> Usage {
        let mut usage = Usage {
            entries: 0,
            evicted: 0,
        };
        for Aligned(shard) in &self.shards {
            let shard = lock(shard);
            usage.entries += shard.entries;
            usage.evicted += shard.evicted;
        }
        usage
    }

    #[inline]
    fn shard(&self, key: Key) -> MutexGuard<'_, Shard<S>> {
        let Aligned(shard) = self
            .shards
            .get((key.check >> (64 - SHARDS.ilog2())) as usize)
            .expect("invariant: as many bits as there are shards");
        lock(shard)
    }
}

/// A panic under a lock would be in arithmetic that cannot panic; the state is whole either way.
#[inline]
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: State> Shard<S> {
    fn new() -> Self {
        Self {
            slots: Box::default(),
            entries: 0,
            hand: 0,
            evicted: 0,
        }
    }

    /// The slot that `place` names, round the end.
    #[inline]
    fn slot(&self, place: usize) -> usize {
        place & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn entry(&self, slot: usize) -> Option<&Entry<S>> {
        self.slots.get(slot)?.as_ref()
    }

    #[inline]
    fn find(&mut self, key: Key) -> Option<&mut Entry<S>> {
        let mut slot = self.slot(key.tag.get() as usize);
        // Ends: a quarter of the slots is free, or there are none.
        while self.entry(slot)?.key != key {
            slot = self.slot(slot + 1);
        }
        self.slots.get_mut(slot)?.as_mut()
    }

    #[inline(never)]
    fn insert(&mut self, key: Key, state: S, share: usize, now_ms: u64) {
        self.sweep(now_ms);
        if self.entries >= share {
            self.evict(now_ms);
        }
        if (self.entries + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.entries += 1;
        self.put(Entry {
            key,
            is_recent: false,
            state,
        });
    }

    /// Into the first free slot behind the one that its key names.
    fn put(&mut self, entry: Entry<S>) {
        let mut slot = self.slot(entry.key.tag.get() as usize);
        while self.entry(slot).is_some() {
            slot = self.slot(slot + 1);
        }
        if let Some(free) = self.slots.get_mut(slot) {
            *free = Some(entry);
        }
    }

    /// Moves the hand on, and removes what is dead on its way.
    fn sweep(&mut self, now_ms: u64) {
        for _ in 0..SWEPT_SLOTS.min(self.slots.len()) {
            match self.entry(self.hand) {
                Some(entry) if entry.state.is_dead(now_ms) => self.remove(self.hand),
                _ => self.hand = self.slot(self.hand + 1),
            }
        }
    }

    /// Removes one entry; there is one.
    fn evict(&mut self, now_ms: u64) {
        let mut spared = 0;
        // Ends: an entry that is not spared is met within a round, and spared are a bounded number.
        for _ in 0..self.slots.len() + EVICTION_SLOTS {
            let hand = self.hand;
            if let Some(entry) = self.slots.get_mut(hand).and_then(Option::as_mut) {
                let is_dead = entry.state.is_dead(now_ms);
                if is_dead || !entry.is_recent || spared == EVICTION_SLOTS {
                    self.evicted += u64::from(!is_dead);
                    self.remove(hand);
                    return;
                }
                entry.is_recent = false;
                spared += 1;
            }
            self.hand = self.slot(hand + 1);
        }
    }

    /// Takes an entry out, and moves those behind it nearer to the slots that their keys name, so that no search ends early.
    fn remove(&mut self, slot: usize) {
        let mut free = slot;
        if let Some(entry) = self.slots.get_mut(free) {
            *entry = None;
            self.entries -= 1;
        }
        let mut next = self.slot(slot + 1);
        while let Some(entry) = self.entry(next) {
            let home = entry.key.tag.get() as usize;
            // How far it is from home, and how far from the free slot: it may move back if that is not before its home.
            if self.slot(next.wrapping_sub(home)) >= self.slot(next.wrapping_sub(free)) {
                self.slots.swap(free, next);
                free = next;
            }
            next = self.slot(next + 1);
        }
    }

    #[cold]
    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(FIRST_SLOTS);
        let old = std::mem::replace(&mut self.slots, (0..slots).map(|_| None).collect());
        self.hand = 0;
        for entry in old.into_iter().flatten() {
            self.put(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    /// Dead from this time on.
    #[derive(Debug, Clone, Copy)]
    struct Until(u64);

    impl State for Until {
        fn is_dead(&self, now_ms: u64) -> bool {
            self.0 <= now_ms
        }
    }

    /// Keys of the same shard; those of the same remainder by 16 want the same of sixteen slots.
    fn key(tag: u64) -> Key {
        Key {
            tag: NonZeroU64::new(tag).expect("not 0"),
            check: 7,
        }
    }

    fn spread(number: u64) -> Key {
        let hash = number
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(0x1234_5677);
        Key {
            tag: NonZeroU64::new(hash | 1).expect("odd"),
            check: hash.rotate_left(29) ^ number,
        }
    }

    /// Whether the entry was there; it is afterwards.
    fn touch(table: &Table<Until>, key: Key, until: u64, now_ms: u64) -> bool {
        table.update(key, now_ms, |_| true, || (Until(until), false))
    }

    #[test]
    fn finds_what_collides_and_what_is_left_when_entries_go() {
        let mut shard = Shard::new();
        // Eight keys for three neighbouring slots of sixteen, over the end.
        let tags = [14, 15, 30, 31, 46, 47, 16, 32];
        for tag in tags {
            shard.insert(key(tag), Until(tag), 100, 0);
        }
        assert_eq!(shard.slots.len(), 16);
        for (gone, tag) in tags.into_iter().enumerate() {
            for (place, tag) in tags.into_iter().enumerate() {
                let found = shard.find(key(tag)).map(|entry| entry.state.0);
                assert_eq!(found, (place >= gone).then_some(tag), "{gone} gone");
            }
            let slot = (0..16).find(|slot| {
                shard
                    .entry(*slot)
                    .is_some_and(|entry| entry.key == key(tag))
            });
            shard.remove(slot.expect("present"));
        }
        assert_eq!(shard.entries, 0);
    }

    #[test]
    fn holds_its_bound_and_spares_what_is_used() {
        let table = Table::new(1024);
        for number in 0..100_000 {
            // Used after every 16 new ones, many times in the round of the hand.
            if number % 16 == 0 {
                let present = touch(&table, spread(u64::MAX), u64::MAX, 0);
                assert!(present || number == 0, "lost before {number}");
            }
            touch(&table, spread(number), u64::MAX, 0);
            assert!(number % 512 != 0 || table.usage().entries <= 1024);
        }
        let Usage { entries, evicted } = table.usage();
        assert_eq!(entries, 1024);
        assert_eq!(evicted, 100_001 - 1024);
    }

    #[test]
    fn evicts_one_when_all_are_in_use() {
        let mut shard = Shard::new();
        for tag in 1..=3000 {
            shard.insert(key(tag), Until(u64::MAX), 2000, 0);
            for entry in shard.slots.iter_mut().flatten() {
                entry.is_recent = true;
            }
        }
        assert_eq!((shard.entries, shard.evicted), (2000, 1000));
    }

    #[test]
    fn dead_entries_go_as_new_ones_come() {
        let table = Table::new(1 << 20);
        // Ten thousand live at a time, of a million.
        let mut most = 0;
        for number in 0..1_000_000 {
            touch(&table, spread(number), number + 10_000, number);
            if number % 1000 == 0 {
                most = most.max(table.usage().entries);
            }
        }
        assert!(most < 20_000, "{most} entries");
        assert_eq!(table.usage().evicted, 0);
    }

    #[test]
    fn a_dead_entry_that_is_met_makes_room() {
        let mut shard = Shard::new();
        for tag in 1..=6 {
            shard.insert(key(tag), Until(if tag == 6 { 10 } else { 99 }), 6, 0);
        }
        shard.insert(key(7), Until(99), 6, 10);
        assert_eq!((shard.entries, shard.evicted), (6, 0));
        assert!(shard.find(key(6)).is_none());
    }

    #[test]
    fn a_bound_of_nothing_is_one_entry_per_shard() {
        let table = Table::new(0);
        for number in 0..1000 {
            touch(&table, spread(number), u64::MAX, 0);
        }
        assert_eq!(table.usage().entries, SHARDS);
    }
}
