//! Who was built from whom.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Users of each object of one kind, by id.
#[derive(Debug, Default)]
pub(crate) struct Links {
    users: HashMap<Arc<str>, HashSet<Arc<str>>>,
}

impl Links {
    /// Notes that `user` is built from `used`.
    pub(crate) fn add(&mut self, used: &Arc<str>, user: &Arc<str>) {
        self.users
            .entry(used.clone())
            .or_default()
            .insert(user.clone());
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, used: &str, user: &str) {
        if let Some(users) = self.users.get_mut(used) {
            users.remove(user);
            if users.is_empty() {
                self.users.remove(used);
            }
        }
    }

    /// All users of `used`, in no order.
    pub(crate) fn users(&self, used: &str) -> impl Iterator<Item = &Arc<str>> {
        self.users.get(used).into_iter().flatten()
    }
}
