//! The mutable owner of the routes, on the control thread.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::route::Route;
use crate::{Mode, RouteError, RouteSpec, Routes};

/// All routes, to be edited one by one.
///
/// [`Self::routes`] may be called after every edit: an edit copies the nodes it touches only if a view given out still holds them, so many edits
/// between two calls copy nothing twice.
pub struct Table<T> {
    routes: Routes<T>,
    ids: HashSet<ById<T>>,
    next_sequence: u64,
}

impl<T> Table<T> {
    /// A table without routes.
    pub fn new(mode: Mode) -> Self {
        Self {
            routes: Routes::new(mode),
            ids: HashSet::new(),
            next_sequence: 0,
        }
    }

    /// Puts a route in. One with the same id is replaced and keeps its place among equals; it stays if the new one is in error.
    pub fn insert(&mut self, spec: RouteSpec<T>) -> Result<(), RouteError> {
        let known = self
            .ids
            .get(spec.id.as_str())
            .map(|known| Arc::clone(&known.0));
        let sequence = known
            .as_ref()
            .map_or(self.next_sequence, |known| known.sequence);
        let route = Arc::new(Route::new(spec, sequence, self.routes.mode)?);
        match known {
            Some(known) => self.unlink(&known),
            None => self.next_sequence += 1,
        }
        self.link(&route);
        self.ids.replace(ById(route));
        Ok(())
    }

    /// Takes a route out, and says whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(ById(route)) = self.ids.take(id) else {
            return false;
        };
        self.unlink(&route);
        true
    }

    /// Whether there is a route with this id.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// The number of routes.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The routes as they are, for the workers. Later edits do not change it.
    pub fn routes(&self) -> Routes<T> {
        self.routes.clone()
    }

    fn link(&mut self, route: &Arc<Route<T>>) {
        self.routes.len += 1;
        if self.routes.mode == Mode::HostUri && !route.hosts.is_empty() {
            self.routes.hosts.insert(route);
        } else {
            self.routes.any_host.insert(route);
        }
    }

    fn unlink(&mut self, route: &Arc<Route<T>>) {
        self.routes.len -= 1;
        if self.routes.mode == Mode::HostUri && !route.hosts.is_empty() {
            self.routes.hosts.remove(route);
        } else {
            self.routes.any_host.remove(route);
        }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// A route that is told from others by its id.
struct ById<T>(Arc<Route<T>>);

impl<T> Borrow<str> for ById<T> {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl<T> PartialEq for ById<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl<T> Eq for ById<T> {}

impl<T> Hash for ById<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}
