//! Chains of routes with what consumers and their groups bring along, made when first asked for.
//!
//! A chain is found by the sets of plugins that it is made of: consumers who bring nothing of their own share the chains of their group,
//! and the credentials of a consumer those of the consumer. Chains that are asked for stay; of the others, half are forgotten at a time.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use lockgate_plugin::{Chain, Consumer, PluginSet};
use lockgate_snapshot::Route;

use crate::limits;

/// The chains of one worker and one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Chains(RefCell<Generations>);

/// Addresses of the route, and of the sets of the consumer and the group; 0 for what brings nothing.
type Place = [usize; 3];

/// What was asked for lately, and what had been before that.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Place, Brought>,
    old: HashMap<Place, Brought>,
}

#[derive(Debug, Clone)]
struct Brought {
    /// `None` where nothing is left to run.
    chain: Option<Rc<Chain>>,
    /// Invariant: as long as these are held, no other set has their addresses. The route lives as long as the snapshot.
    _sets: [Option<Arc<PluginSet>>; 2],
}

impl Chains {
    /// The chain of a route with what a consumer and the consumer's group bring along; `None` where they leave nothing to run.
    pub(crate) fn chain_for(
        &self,
        route: &Route,
        consumer: &Consumer,
        group: Option<&Arc<PluginSet>>,
    ) -> Option<Rc<Chain>> {
        let says_something = |set: &&Arc<PluginSet>| !set.is_empty();
        let own = Some(&consumer.plugins).filter(says_something);
        let group = group.filter(says_something);
        let address = |set: Option<&Arc<PluginSet>>| set.map_or(0, |set| Arc::as_ptr(set).addr());
        let place = [
            std::ptr::from_ref(route).addr(),
            address(own),
            address(group),
        ];
        self.0.borrow_mut().find(place, || {
            let none = PluginSet::default();
            let (below, above) = (group.map_or(&none, |it| it), own.map_or(&none, |it| it));
            Brought {
                chain: Chain::for_consumer(&route.plugins, &below.under(above)).map(Rc::new),
                _sets: [own.cloned(), group.cloned()],
            }
        })
    }
}

impl Generations {
    fn find(&mut self, place: Place, make: impl FnOnce() -> Brought) -> Option<Rc<Chain>> {
        if let Some(known) = self.young.get(&place) {
            return known.chain.clone();
        }
        let brought = self.old.remove(&place).unwrap_or_else(make);
        let chain = brought.chain.clone();
        if self.young.len() >= limits::BROUGHT_CHAINS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, brought);
        chain
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::{
        About, Access, Compile, ConfigError, Exchange, Flow, Hooks, Plugin, host::Slot, testing,
    };
    use lockgate_snapshot::Target;
    use serde_json::Value;

    use super::*;

    struct Nothing;

    impl Plugin for Nothing {
        const ABOUT: About = About::new("nothing", 1, "{}");
        type Config = Value;

        fn compile(_: Value, _: &Compile<'_>) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        fn hooks(self: Arc<Self>, on: &mut Hooks) {
            on.access(self);
        }
    }

    impl Access for Nothing {
        fn access(&self, _: &mut Exchange<'_>) -> Flow {
            Flow::Next
        }
    }

    /// A set of one plugin, as an object has it.
    fn set() -> Arc<PluginSet> {
        let kit = testing::Kit::new();
        let tested = kit.plugin::<Nothing>(&Value::Null).expect("valid");
        let mut set = PluginSet::default();
        let (instance, _) = tested.chain.plugins().next().expect("there is one");
        set.insert("nothing", Slot::On(instance.clone()));
        Arc::new(set)
    }

    fn route() -> Route {
        Route {
            id: "1".into(),
            name: None,
            service: None,
            target: Target::Missing,
            timeouts: None,
            allows_websocket: false,
            plugins: Arc::default(),
            chain: None,
        }
    }

    fn consumer(plugins: &Arc<PluginSet>) -> Consumer {
        let made_up = testing::consumer("jack");
        let mut consumer = Arc::into_inner(made_up).expect("nobody else has it");
        consumer.plugins = plugins.clone();
        consumer
    }

    #[test]
    fn those_who_bring_the_same_share_a_chain() {
        let chains = Chains::default();
        let (route, other_route) = (route(), route());
        let (none, nothing, own, other) = (Arc::default(), Arc::default(), set(), set());
        let (group, other_group) = (set(), set());
        let find = |route, own, group| {
            let chain = chains.chain_for(route, &consumer(own), group);
            chain.expect("something runs")
        };
        let first = find(&route, &none, Some(&group));
        for (route, own, group, is_same) in [
            (&route, &nothing, &group, true),
            (&other_route, &none, &group, false),
            (&route, &none, &other_group, false),
            (&route, &own, &group, false),
        ] {
            let found = find(route, own, Some(group));
            assert_eq!(Rc::ptr_eq(&first, &found), is_same);
        }
        let alone = find(&route, &own, None);
        assert!(Rc::ptr_eq(&alone, &find(&route, &own, Some(&none))));
        assert!(!Rc::ptr_eq(&alone, &find(&route, &other, None)));
        assert!(chains.chain_for(&route, &consumer(&none), None).is_none());
    }

    #[test]
    fn what_is_asked_for_stays_while_the_others_are_forgotten() {
        let chains = Chains::default();
        let route = route();
        let plugins = set();
        let asked = consumer(&plugins);
        let first = chains.chain_for(&route, &asked, None);
        let first = first.expect("something runs");
        for _ in 0..3 * limits::BROUGHT_CHAINS {
            // Each an address of its own, for the chains hold them.
            chains.chain_for(
                &route,
                &consumer(&Arc::new(PluginSet::clone(&plugins))),
                None,
            );
            let found = chains.chain_for(&route, &asked, None);
            assert!(found.is_some_and(|found| Rc::ptr_eq(&found, &first)));
        }
        let generations = chains.0.borrow();
        let count = generations.young.len() + generations.old.len();
        assert!(count <= limits::BROUGHT_CHAINS, "{count}");
    }
}
