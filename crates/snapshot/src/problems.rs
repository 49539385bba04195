//! Why objects are not in force as they are stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use thiserror::Error;

/// Why an object is not in force as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// It is not what its kind should be.
    #[error("{0}")]
    Malformed(String),
    /// It is in force, but for this.
    #[error("{0}")]
    NotHonoured(String),
    /// It stays out of force, or as it was, until a secret has been looked up.
    #[error("{0} is being looked up")]
    Waiting(String),
}

/// Problems by key, and the keys for which they have changed.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    by_key: BTreeMap<Arc<str>, Problem>,
    changed: BTreeSet<Arc<str>>,
}

/// A key, and what is wrong with it from then on.
pub(crate) type ProblemChange = (Arc<str>, Option<Problem>);

impl Problems {
    /// All of them.
    pub(crate) fn all(&self) -> &BTreeMap<Arc<str>, Problem> {
        &self.by_key
    }

    /// Whether an object waits for a secret.
    pub(crate) fn is_waiting(&self, key: &str) -> bool {
        matches!(self.by_key.get(key), Some(Problem::Waiting(_)))
    }

    /// Forgets the problem of a key.
    pub(crate) fn remove(&mut self, key: &str) {
        if let Some((key, _)) = self.by_key.remove_entry(key) {
            self.changed.insert(key);
        }
    }

    /// Keeps a problem of an object. What keeps it out of force hides what is only not honoured.
    pub(crate) fn add(&mut self, key: &Arc<str>, problem: Problem) {
        let noted = match (self.by_key.remove(key), problem) {
            (Some(Problem::NotHonoured(first)), Problem::NotHonoured(further)) => {
                Problem::NotHonoured(format!("{first}; {further}"))
            }
            (
                Some(worse @ (Problem::Malformed(_) | Problem::Waiting(_))),
                Problem::NotHonoured(_),
            ) => worse,
            (_, problem) => problem,
        };
        self.by_key.insert(key.clone(), noted);
        self.changed.insert(key.clone());
    }

    /// What has changed since this was asked last.
    pub(crate) fn take_changes(&mut self) -> Vec<ProblemChange> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed
            .map(|key| {
                let problem = self.by_key.get(&key).cloned();
                (key, problem)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_has_changed_and_nothing_else() {
        let key = |text: &str| Arc::<str>::from(text);
        let off = |text: &str| Problem::NotHonoured(text.to_owned());
        let bad = Problem::Malformed("bad".to_owned());
        let mut problems = Problems::default();
        problems.add(&key("a"), off("one"));
        problems.add(&key("a"), off("two"));
        problems.add(&key("b"), bad.clone());
        problems.add(&key("b"), off("one"));
        problems.remove("c");
        assert_eq!(
            problems.take_changes(),
            [
                (key("a"), Some(off("one; two"))),
                (key("b"), Some(bad.clone()))
            ]
        );
        assert_eq!(problems.take_changes(), []);
        problems.remove("a");
        assert_eq!(problems.take_changes(), [(key("a"), None)]);
        assert_eq!(problems.all().len(), 1);
        assert_eq!(problems.all().get("b"), Some(&bad));
    }
}
