//! What a registry is known to have, and who waits for changes of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use lockgate_model::resource::Node;
use tokio::sync::{Notify, watch};

use crate::lock;

/// The nodes of a service.
pub(crate) type Nodes = Arc<[Node]>;

/// Services and their nodes.
pub(crate) type Services = BTreeMap<String, Nodes>;

/// The nodes of one service, now and as they change.
#[derive(Debug, Clone)]
pub struct Subscription {
    state: watch::Receiver<State>,
}

impl Subscription {
    /// The nodes at present, which counts as having seen them.
    pub fn nodes(&mut self) -> Arc<[Node]> {
        self.state.borrow_and_update().nodes.clone()
    }

    /// Whether the registry has been asked, with success or without.
    pub fn is_settled(&self) -> bool {
        self.state.borrow().is_settled
    }

    /// Waits until the nodes are others than seen last, or the registry was asked for the first time. False when it is not
    /// followed any more.
    pub async fn changed(&mut self) -> bool {
        self.state.changed().await.is_ok()
    }
}

/// What is known of one service.
#[derive(Debug, Clone, PartialEq)]
struct State {
    nodes: Nodes,
    is_settled: bool,
}

/// What is known of the services of a registry, by source: servers may know different ones.
#[derive(Debug)]
pub(crate) struct Board {
    inner: Mutex<Inner>,
    /// Somebody wants a service that nobody wanted before.
    wanted: Notify,
    /// The nodes of services that are not known.
    fallback: Option<Nodes>,
}

#[derive(Debug)]
struct Inner {
    sources: Vec<Source>,
    watched: BTreeMap<String, watch::Sender<State>>,
    /// Counts what sources have said.
    age: u64,
}

#[derive(Debug, Default)]
struct Source {
    services: BTreeMap<String, (u64, Nodes)>,
    is_asked: bool,
}

impl Board {
    /// Nothing known, from so many sources.
    pub(crate) fn new(sources: usize, fallback: Option<Node>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                sources: (0..sources).map(|_| Source::default()).collect(),
                watched: BTreeMap::new(),
                age: 0,
            }),
            wanted: Notify::new(),
            fallback: fallback.map(|node| [node].into()),
        }
    }

    pub(crate) fn subscribe(&self, key: String) -> Subscription {
        let mut inner = lock(&self.inner);
        if let Some(sender) = inner.watched.get(&key) {
            let state = sender.subscribe();
            if sender.receiver_count() == 1 {
                // It was about to be forgotten.
                self.wanted.notify_one();
            }
            return Subscription { state };
        }
        let (sender, state) = watch::channel(inner.state(&key, self.fallback.as_ref()));
        inner.watched.insert(key, sender);
        self.wanted.notify_one();
        Subscription { state }
    }

    /// Waits until a service is wanted that was not before.
    pub(crate) async fn wait_for_wanted(&self) {
        self.wanted.notified().await;
    }

    /// The services that somebody subscribes to.
    pub(crate) fn wanted(&self) -> Vec<String> {
        let inner = lock(&self.inner);
        let wanted = inner.watched.iter().filter(|it| it.1.receiver_count() > 0);
        wanted.map(|(key, _)| key.clone()).collect()
    }

    /// Whether somebody subscribes to a service; where not, it is forgotten.
    pub(crate) fn keep(&self, key: &str) -> bool {
        let mut inner = lock(&self.inner);
        let is_wanted = inner
            .watched
            .get(key)
            .is_some_and(|sender| sender.receiver_count() > 0);
        if !is_wanted {
            inner.watched.remove(key);
            for source in &mut inner.sources {
                source.services.remove(key);
            }
        }
        is_wanted
    }

    /// All that a source has.
    pub(crate) fn replace(&self, source: usize, services: Services) {
        let mut inner = lock(&self.inner);
        inner.age += 1;
        let age = inner.age;
        if let Some(source) = inner.sources.get_mut(source) {
            let aged = services.into_iter().map(|(key, nodes)| (key, (age, nodes)));
            source.services = aged.collect();
            source.is_asked = true;
        }
        inner.tell(self.fallback.as_ref());
    }

    /// What one service of a source has; `None` where it is gone.
    pub(crate) fn put(&self, source: usize, key: &str, nodes: Option<Nodes>) {
        let mut inner = lock(&self.inner);
        inner.age += 1;
        let age = inner.age;
        if let Some(source) = inner.sources.get_mut(source) {
            match nodes {
                Some(nodes) => source.services.insert(key.to_owned(), (age, nodes)),
                None => source.services.remove(key),
            };
        }
        inner.tell_of(key, self.fallback.as_ref());
    }

    /// A source was asked in vain: what it said before stays.
    pub(crate) fn settle(&self, source: usize) {
        let mut inner = lock(&self.inner);
        if let Some(source) = inner.sources.get_mut(source)
            && !source.is_asked
        {
            source.is_asked = true;
            inner.tell(self.fallback.as_ref());
        }
    }

    /// A service was asked for in vain: what was known before stays.
    pub(crate) fn settle_one(&self, source: usize, key: &str) {
        let is_known = self.get(source, key).is_some();
        if !is_known {
            self.put(source, key, Some([].into()));
        }
    }

    /// What a source said of a service.
    pub(crate) fn get(&self, source: usize, key: &str) -> Option<Nodes> {
        let inner = lock(&self.inner);
        let found = inner.sources.get(source)?.services.get(key)?;
        Some(found.1.clone())
    }

    /// All that a source has said.
    pub(crate) fn all_of(&self, source: usize) -> Services {
        let inner = lock(&self.inner);
        let source = inner.sources.get(source).into_iter();
        let said = source.flat_map(|source| &source.services);
        said.map(|(key, (_, nodes))| (key.clone(), nodes.clone()))
            .collect()
    }

    /// Everything known.
    pub(crate) fn all(&self) -> Services {
        let inner = lock(&self.inner);
        let keys = inner.sources.iter().flat_map(|it| it.services.keys());
        let found = keys.filter_map(|key| Some((key.clone(), inner.newest(key)?.clone())));
        found.collect()
    }
}

impl Inner {
    fn newest(&self, key: &str) -> Option<&Nodes> {
        let said = self.sources.iter().filter_map(|it| it.services.get(key));
        said.max_by_key(|(age, _)| *age).map(|(_, nodes)| nodes)
    }

    fn state(&self, key: &str, fallback: Option<&Nodes>) -> State {
        let known = self.newest(key);
        State {
            is_settled: known.is_some() || self.sources.iter().all(|source| source.is_asked),
            nodes: known.or(fallback).cloned().unwrap_or_else(|| [].into()),
        }
    }

    fn tell(&mut self, fallback: Option<&Nodes>) {
        self.watched.retain(|_, sender| sender.receiver_count() > 0);
        for (key, sender) in &self.watched {
            self.update(key, sender, fallback);
        }
    }

    fn tell_of(&self, key: &str, fallback: Option<&Nodes>) {
        if let Some(sender) = self.watched.get(key) {
            self.update(key, sender, fallback);
        }
    }

    fn update(&self, key: &str, sender: &watch::Sender<State>, fallback: Option<&Nodes>) {
        let fresh = self.state(key, fallback);
        sender.send_if_modified(|state| {
            let is_other = *state != fresh;
            if is_other {
                *state = fresh;
            }
            is_other
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Node {
        Node {
            host: "10.0.0.1".into(),
            port: Some(port),
            weight: 1,
            priority: 0,
            metadata: None,
        }
    }

    fn services(all: &[(&str, u16)]) -> Services {
        let one = |&(key, port): &(&str, u16)| (key.to_owned(), [node(port)].into());
        all.iter().map(one).collect()
    }

    fn ports(subscription: &mut Subscription) -> Vec<Option<u16>> {
        subscription.nodes().iter().map(|node| node.port).collect()
    }

    #[test]
    fn sources_add_up_and_the_newest_word_counts() {
        let board = Board::new(2, None);
        let mut a = board.subscribe("a".into());
        assert!(!a.is_settled());
        board.replace(0, services(&[("a", 1), ("b", 2)]));
        assert_eq!((ports(&mut a), a.is_settled()), (vec![Some(1)], true));
        let c = board.subscribe("c".into());
        assert!(!c.is_settled(), "the other may know it");
        board.replace(1, services(&[("a", 3)]));
        assert_eq!(ports(&mut a), [Some(3)]);
        assert!(c.is_settled());
        board.replace(1, Services::new());
        assert_eq!(ports(&mut a), [Some(1)]);
        assert_eq!(board.all().len(), 2);
    }

    #[test]
    fn what_was_known_stays_when_a_source_fails() {
        let board = Board::new(1, None);
        board.replace(0, services(&[("a", 1)]));
        board.settle(0);
        board.settle_one(0, "a");
        assert_eq!(ports(&mut board.subscribe("a".into())), [Some(1)]);
    }

    #[test]
    fn unknown_services_have_the_fallback() {
        let board = Board::new(1, Some(node(9)));
        let mut a = board.subscribe("a".into());
        assert_eq!(ports(&mut a), [Some(9)]);
        board.put(0, "a", Some([].into()));
        assert_eq!(ports(&mut a), []);
        board.put(0, "a", None);
        assert_eq!(ports(&mut a), [Some(9)]);
    }

    #[tokio::test]
    async fn tells_of_changes_alone() {
        let board = Board::new(1, None);
        let mut a = board.subscribe("a".into());
        board.replace(0, services(&[("a", 1)]));
        assert!(a.changed().await);
        board.replace(0, services(&[("a", 1), ("b", 1)]));
        assert!(!a.state.has_changed().expect("followed"));
        board.replace(0, services(&[("b", 1)]));
        assert!(a.changed().await);
        drop(board);
        assert!(!a.changed().await);
    }

    #[test]
    fn forgets_what_nobody_wants() {
        let board = Board::new(1, None);
        let a = board.subscribe("a".into());
        board.put(0, "a", Some([node(1)].into()));
        assert_eq!((board.wanted(), board.keep("a")), (vec!["a".into()], true));
        drop(a);
        assert!(board.wanted().is_empty() && !board.keep("a"));
        assert!(board.all().is_empty());
    }
}
