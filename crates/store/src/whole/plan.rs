//! From the objects there are and the ones there shall be to what has to change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{Item, Object};
use crate::{Change, Entry, Revision};

/// What a replacement makes.
pub(super) struct Plan {
    pub(super) objects: BTreeMap<Arc<str>, Object>,
    /// Of the newest change; the one before where nothing changes.
    pub(super) revision: Revision,
    /// Each has a revision of its own.
    pub(super) changes: Vec<Change>,
}

pub(super) fn plan(
    old: &BTreeMap<Arc<str>, Object>,
    mut revision: Revision,
    items: Vec<Item>,
) -> Plan {
    let last: HashMap<String, usize> = items
        .iter()
        .enumerate()
        .map(|(place, item)| (item.key.clone(), place))
        .collect();
    let mut changes = Vec::new();
    for key in old.keys().filter(|key| !last.contains_key(&***key)) {
        revision += 1;
        changes.push(Change::Delete {
            key: key.clone(),
            revision,
        });
    }
    let mut objects = BTreeMap::new();
    // Invariant: within a kind, objects that come later were made later.
    let mut newest_of: HashMap<String, Revision> = HashMap::new();
    for (place, item) in items.into_iter().enumerate() {
        if last.get(&item.key) != Some(&place) {
            continue;
        }
        let kind = item.key.split('/').next().unwrap_or_default();
        let newest = newest_of.entry(kind.to_owned()).or_default();
        let kept = old.get(item.key.as_str());
        let stays = kept.filter(|object| object.is_same(&item));
        let is_in_order = |object: &&Object| object.entry.create_revision > *newest;
        let object = if let Some(object) = stays.filter(is_in_order) {
            object.clone()
        } else {
            revision += 1;
            let (value, version) = match stays {
                Some(object) => (object.entry.value.clone(), object.version.clone()),
                None => (item.value.into(), item.version),
            };
            let object = Object {
                entry: Entry {
                    key: kept.map_or_else(|| item.key.into(), |object| object.entry.key.clone()),
                    value,
                    create_revision: kept
                        .filter(is_in_order)
                        .map_or(revision, |object| object.entry.create_revision),
                    mod_revision: revision,
                },
                version,
            };
            changes.push(Change::Put(object.entry.clone()));
            object
        };
        *newest = object.entry.create_revision;
        objects.insert(object.entry.key.clone(), object);
    }
    Plan {
        objects,
        revision,
        changes,
    }
}

impl Object {
    /// Whether an item leaves the object as it is.
    fn is_same(&self, item: &Item) -> bool {
        match (&self.version, &item.version) {
            (Some(old), Some(new)) if old == new => true,
            (old, new) => old == new && *self.entry.value == *item.value,
        }
    }
}
