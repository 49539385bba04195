//! The routes on one path or prefix, in the order in which they are tried.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::hash_trie::Keyed;
use crate::path::PathRule;
use crate::route::Route;

/// One or more routes on the same key.
pub(crate) enum Bucket<T> {
    One {
        /// Index into the route's paths.
        path: u32,
        route: Arc<Route<T>>,
    },
    /// Invariant: at least two, sorted by [`Entry::order`].
    Many(Arc<Many<T>>),
}

/// Behind an `Arc`, so that a bucket is small and only copied when it is edited.
pub(crate) struct Many<T>(Vec<Entry<T>>);

/// A route and the path of it that leads here.
pub(crate) struct Entry<T> {
    path: u32,
    route: Arc<Route<T>>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            path: self.path,
            route: Arc::clone(&self.route),
        }
    }
}

impl<T> Clone for Many<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        match self {
            Self::One { path, route } => Self::One {
                path: *path,
                route: Arc::clone(route),
            },
            Self::Many(many) => Self::Many(Arc::clone(many)),
        }
    }
}

impl<T> Entry<T> {
    /// Higher priority, then longer configured path, then earlier (`sort_route` in `resty/radixtree.lua`).
    fn order(&self) -> impl Ord + use<T> {
        let length = rule_of(&self.route, self.path).map_or(0, |rule| rule.text().len());
        (
            Reverse(self.route.priority),
            Reverse(length),
            self.route.created,
            self.route.sequence,
            self.path,
        )
    }
}

fn rule_of<T>(route: &Route<T>, path: u32) -> Option<&PathRule> {
    route.paths.get(path as usize)
}

impl<T> Bucket<T> {
    pub(crate) fn new(route: Arc<Route<T>>, path: u32) -> Self {
        Self::One { path, route }
    }

    pub(crate) fn insert(&mut self, route: Arc<Route<T>>, path: u32) {
        let new = Entry { path, route };
        match self {
            Self::One { path, route } => {
                let mut both = vec![
                    Entry {
                        path: *path,
                        route: Arc::clone(route),
                    },
                    new,
                ];
                both.sort_by_key(Entry::order);
                *self = Self::Many(Arc::new(Many(both)));
            }
            Self::Many(many) => {
                let entries = &mut Arc::make_mut(many).0;
                let order = new.order();
                let at = entries.partition_point(|entry| entry.order() < order);
                entries.insert(at, new);
            }
        }
    }

    /// Takes the route's path out and says whether the bucket is empty, which it then must not stay.
    pub(crate) fn remove(&mut self, route: &Arc<Route<T>>, path: u32) -> bool {
        match self {
            Self::One { .. } => true,
            Self::Many(many) => {
                let entries = &mut Arc::make_mut(many).0;
                let order = Entry {
                    path,
                    route: Arc::clone(route),
                }
                .order();
                let at = entries.partition_point(|entry| entry.order() < order);
                if at < entries.len() {
                    entries.remove(at);
                }
                if let [last] = &**entries {
                    *self = Self::One {
                        path: last.path,
                        route: Arc::clone(&last.route),
                    };
                }
                false
            }
        }
    }

    /// The routes with their paths, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Route<T>, &PathRule)> {
        let (one, many) = match self {
            Self::One { path, route } => (Some((route, *path)), &[][..]),
            Self::Many(many) => (None, &many.0[..]),
        };
        one.into_iter()
            .chain(many.iter().map(|entry| (&entry.route, entry.path)))
            .filter_map(|(route, path)| Some((&**route, rule_of(route, path)?)))
    }
}

impl<T> Keyed for Bucket<T> {
    fn key(&self) -> &[u8] {
        let first = match self {
            Self::One { path, route } => rule_of(route, *path),
            Self::Many(many) => many
                .0
                .first()
                .and_then(|entry| rule_of(&entry.route, entry.path)),
        };
        first.map_or(&[], PathRule::key)
    }
}
