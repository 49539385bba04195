//! Objects built from what is no part of their own value: secrets, certificates stored elsewhere.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use lockgate_secret::Used;
use lockgate_store::Entry;

use crate::links::Links;

/// What an object needs besides its value.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    names: BTreeSet<Arc<str>>,
    uses: Vec<Used>,
}

impl Needs {
    /// Notes an object, by its key.
    pub(crate) fn object(&mut self, key: Arc<str>) {
        self.names.insert(key);
    }

    /// Notes references to secrets.
    pub(crate) fn secrets(&mut self, uses: Vec<Used>) {
        self.names
            .extend(uses.iter().map(|used| used.reference().clone()));
        self.uses.extend(uses);
    }
}

/// The objects that need something, as they are stored: one whose newest value cannot be read is not among them.
#[derive(Debug, Default)]
pub(crate) struct Needing {
    objects: HashMap<Arc<str>, Object>,
    of: Links,
}

#[derive(Debug)]
struct Object {
    entry: Entry,
    needs: Needs,
}

impl Needing {
    /// Notes what an object needs, in place of what it needed before.
    pub(crate) fn hold(&mut self, entry: &Entry, needs: Needs) {
        self.release(&entry.key);
        if needs.names.is_empty() {
            return;
        }
        for name in &needs.names {
            self.of.add(name, &entry.key);
        }
        let entry = entry.clone();
        self.objects
            .insert(entry.key.clone(), Object { entry, needs });
    }

    /// Notes what an object needs besides what it is known to need.
    pub(crate) fn hold_also(&mut self, entry: &Entry, mut needs: Needs) {
        if let Some(object) = self.objects.remove(&entry.key) {
            for name in &object.needs.names {
                self.of.remove(name, &entry.key);
            }
            needs.names.extend(object.needs.names);
            needs.uses.extend(object.needs.uses);
        }
        self.hold(entry, needs);
    }

    /// Forgets an object.
    pub(crate) fn release(&mut self, key: &str) {
        if let Some(object) = self.objects.remove(key) {
            for name in &object.needs.names {
                self.of.remove(name, key);
            }
        }
    }

    /// An object as it is stored.
    pub(crate) fn entry(&self, key: &str) -> Option<Entry> {
        self.objects.get(key).map(|object| object.entry.clone())
    }

    /// Keys of the objects that need this: a reference, or an object's key.
    pub(crate) fn users(&self, name: &str) -> impl Iterator<Item = &Arc<str>> {
        self.of.users(name)
    }
}
