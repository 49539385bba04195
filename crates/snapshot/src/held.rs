//! What the compiler was given, so that a new reading of the whole store costs no more than what has changed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;
use lockgate_store::{Change, Entry, Listing, Revision};

/// Everything stored, as it was taken in last.
#[derive(Debug, Default)]
pub(crate) struct Held {
    objects: HashMap<Arc<str>, Object, RandomState>,
}

#[derive(Debug)]
struct Object {
    value: Arc<[u8]>,
    created: Revision,
    /// By the write that was taken in last.
    written: Revision,
}

impl Held {
    /// Whether nothing is stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Everything, in the order in which it came to be.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let objects = self.objects.iter();
        let mut entries: Vec<Entry> = objects
            .map(|(key, object)| Entry {
                key: key.clone(),
                value: object.value.clone(),
                create_revision: object.created,
                mod_revision: object.written,
            })
            .collect();
        entries
            .sort_unstable_by(|a, b| (a.create_revision, &a.key).cmp(&(b.create_revision, &b.key)));
        entries
    }

    /// Takes changes in.
    pub(crate) fn take(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(entry) => {
                    let object = Object {
                        value: entry.value.clone(),
                        created: entry.create_revision,
                        written: entry.mod_revision,
                    };
                    self.objects.insert(entry.key.clone(), object);
                }
                Change::Delete { key, .. } => {
                    self.objects.remove(key);
                }
            }
        }
    }

    /// What has to be done to get to a listing: removals first, then what is new or another than before, in the order of the
    /// listing.
    ///
    /// Values are compared, and not only the revisions of their writes: those of a store that was made anew, or restored, say
    /// nothing about what was there before.
    pub(crate) fn changes_to(&self, listing: Listing) -> Vec<Change> {
        let listed: HashSet<&Arc<str>, RandomState> =
            listing.entries.iter().map(|entry| &entry.key).collect();
        let mut gone: Vec<&Arc<str>> = self
            .objects
            .keys()
            .filter(|key| !listed.contains(key))
            .collect();
        gone.sort_unstable();
        let mut changes: Vec<Change> = gone
            .into_iter()
            .map(|key| Change::Delete {
                key: key.clone(),
                revision: listing.revision,
            })
            .collect();
        let is_new = |entry: &Entry| {
            !self
                .objects
                .get(&entry.key)
                .is_some_and(|held| held.is(entry))
        };
        let entries = listing.entries.into_iter();
        changes.extend(entries.filter(is_new).map(Change::Put));
        changes
    }
}

impl Object {
    fn is(&self, entry: &Entry) -> bool {
        self.created == entry.create_revision
            && (Arc::ptr_eq(&self.value, &entry.value) || self.value == entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str, created: Revision) -> Entry {
        Entry {
            key: key.into(),
            value: value.as_bytes().into(),
            create_revision: created,
            mod_revision: created,
        }
    }

    #[test]
    fn tells_what_a_listing_changes() {
        let mut held = Held::default();
        assert!(held.is_empty());
        let delete = |key: &str, revision| Change::Delete {
            key: key.into(),
            revision,
        };
        held.take(&[
            Change::Put(entry("routes/gone", "a", 1)),
            Change::Put(entry("routes/same", "b", 2)),
            Change::Put(entry("routes/other", "c", 3)),
            Change::Put(entry("routes/again", "d", 4)),
            Change::Put(entry("routes/before", "e", 5)),
            delete("routes/before", 6),
        ]);
        let edited = Entry {
            mod_revision: 7,
            ..entry("routes/other", "C", 3)
        };
        let listing = Listing {
            revision: 9,
            entries: vec![
                entry("routes/same", "b", 2),
                edited.clone(),
                // Removed and made again: its place among others is a new one.
                entry("routes/again", "d", 8),
                entry("routes/new", "f", 9),
            ],
        };
        let changes = held.changes_to(listing.clone());
        assert_eq!(
            changes,
            [
                delete("routes/gone", 9),
                Change::Put(edited),
                Change::Put(entry("routes/again", "d", 8)),
                Change::Put(entry("routes/new", "f", 9)),
            ]
        );
        held.take(&changes);
        assert_eq!(held.changes_to(listing.clone()), []);
        assert_eq!(held.entries(), listing.entries);
    }
}
