//! Compiled plugins that go on where their object is built again and nothing of theirs has changed.
//!
//! A route is built again when its service or its upstream is edited. What its plugins keep (whose turn it is, what they have opened)
//! shall not begin anew then, and an edit of what many routes share shall not compile the plugins of them all.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Weak},
};

use lockgate_model::resource::{self, UpstreamTls};
use lockgate_plugin::{
    PluginSet,
    host::{Instance, Slot},
};
use lockgate_upstream::Upstream;
use serde_json::Value;

use crate::{Compiler, client_cert, needs::Needs};

/// The plugins of all objects, with what each was made from.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    objects: HashMap<Arc<str>, Made>,
    seeds: [RandomState; 2],
}

/// The plugins of one object, as they are in force.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) set: Arc<PluginSet>,
    /// Of those that run.
    pub(crate) from: Vec<(&'static str, MadeFrom)>,
}

/// All that decides about an instance, besides its plugin and its object.
#[derive(Debug, Clone)]
pub(crate) struct MadeFrom {
    /// Of the configuration, secrets resolved.
    pub(crate) config: Fingerprint,
    /// What was asked of the compiler.
    pub(crate) found: Arc<[Found]>,
}

/// Stands for a configuration, without keeping it and its secrets: two that differ have the same one by a chance of 1 in 2^128, which
/// nobody can better without the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u64; 2]);

/// What a plugin was told when it was compiled.
#[derive(Debug)]
pub(crate) enum Found {
    /// The upstream of an id, if there was one.
    Upstream(Box<str>, Option<Weak<Upstream>>),
    /// An upstream that is written into the configuration, without its certificate, and the settings of TLS with it.
    Certificate(Box<resource::Upstream>, UpstreamTls),
    /// Whether a plugin within the configuration was switched on.
    Plugin(Box<str>, bool),
}

impl Instances {
    pub(crate) fn fingerprint(&self, config: &Value) -> Fingerprint {
        let text = config.to_string();
        Fingerprint(self.seeds.each_ref().map(|seed| seed.hash_one(&text)))
    }

    /// Gives out what is in force of an object, to be put back or replaced.
    pub(crate) fn take(&mut self, key: &str) -> Made {
        self.objects.remove(key).unwrap_or_default()
    }

    pub(crate) fn put(&mut self, key: &Arc<str>, made: Made) {
        if !made.from.is_empty() {
            self.objects.insert(key.clone(), made);
        }
    }

    /// Forgets an object: if it comes again, its plugins are others.
    pub(crate) fn forget(&mut self, key: &str) {
        self.objects.remove(key);
    }
}

impl Made {
    /// The instance of a plugin, and what it was made from.
    pub(crate) fn instance(&self, plugin: &str) -> Option<(&Arc<Instance>, &MadeFrom)> {
        let (_, from) = self.from.iter().find(|(name, _)| *name == plugin)?;
        match self.set.get(plugin)? {
            Slot::On(instance) => Some((instance, from)),
            Slot::Off(_) => None,
        }
    }

    /// Whether a set has the same instances, and nothing else.
    pub(crate) fn is(&self, set: &PluginSet) -> bool {
        let is_same = |one: (&str, &Slot), other: (&str, &Slot)| match (one, other) {
            ((name, Slot::On(one)), (same, Slot::On(other))) => {
                name == same && Arc::ptr_eq(one, other)
            }
            ((name, Slot::Off(_)), (same, Slot::Off(_))) => name == same,
            _ => false,
        };
        let (ours, theirs) = (self.set.iter(), set.iter());
        ours.clone().count() == theirs.clone().count()
            && ours.zip(theirs).all(|(one, other)| is_same(one, other))
    }
}

impl Compiler {
    /// Whether a plugin would be told the same as it was; notes what it needs for that.
    pub(crate) fn finds_again(&self, found: &Found, needs: &mut Needs) -> bool {
        match found {
            Found::Upstream(id, before) => {
                let now = self.find_upstream(id, needs);
                // The allocation is there as long as it is held weakly: no other upstream can have its address.
                before.as_ref().map(Weak::as_ptr) == now.map(Arc::as_ptr)
            }
            Found::Certificate(stored, before) => {
                let ssl = |id: &str| self.ssls.get(id);
                let now = client_cert::in_place(stored, &self.settings.secrets, ssl, needs);
                now.is_ok_and(|now| now.tls.as_ref() == Some(before))
            }
            Found::Plugin(name, was_on) => self.settings.plugins.find(name).is_some() == *was_on,
        }
    }

    /// The upstream of an id; notes that it is needed.
    pub(crate) fn find_upstream(&self, id: &str, needs: &mut Needs) -> Option<&Arc<Upstream>> {
        needs.object(format!("upstreams/{id}").into());
        self.upstreams.get(id)
    }
}
