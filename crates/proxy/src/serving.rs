//! Which workers serve: they hold a snapshot, accept connections, and have not ended.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Tells of each worker whether it serves. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Serving(Arc<[AtomicBool]>);

/// Ends with the worker, however that ends.
pub(crate) struct Serves {
    all: Serving,
    id: usize,
}

impl Serving {
    /// Of so many workers none serves.
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicBool::new(false)).collect())
    }

    /// The first worker that does not serve.
    pub fn missing(&self) -> Option<usize> {
        self.0.iter().position(|one| !one.load(Ordering::Acquire))
    }

    /// Notes that a worker serves, until what is returned is dropped.
    pub(crate) fn enter(&self, id: usize) -> Serves {
        self.set(id, true);
        Serves {
            all: self.clone(),
            id,
        }
    }

    fn set(&self, id: usize, serves: bool) {
        if let Some(one) = self.0.get(id) {
            one.store(serves, Ordering::Release);
        }
    }
}

impl Drop for Serves {
    fn drop(&mut self) {
        self.all.set(self.id, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_worker_that_does_not_serve() {
        let serving = Serving::new(3);
        let told = serving.clone();
        assert_eq!(serving.missing(), Some(0));
        let (first, third) = (serving.enter(0), serving.enter(2));
        assert_eq!(serving.missing(), Some(1));
        let second = serving.enter(1);
        assert_eq!(told.missing(), None);
        drop(third);
        assert_eq!(serving.missing(), Some(2));
        drop((first, second));
        assert_eq!(serving.missing(), Some(0));
        assert_eq!(Serving::new(0).missing(), None);
    }
}
