//! The plugins that would run, in the order in which they run, and which of them would not and why.

use std::{borrow::Cow, sync::Arc};

use lockgate_expr::{Lookup, PartialLookup, Value as Kinded, Variable, Verdict};
use lockgate_plugin::{
    Chain, Consumer, Kind, PluginSet,
    host::{Instance, Slot},
};
use lockgate_proxy::Imagined;
use lockgate_router::{Match, Params, Request as _};
use lockgate_snapshot::Route;
use serde_json::{Map, Value, json};

use crate::{limits::LISTED, why::comparison};

/// A request that has its route.
pub(crate) struct Routed<'a> {
    pub(crate) request: &'a Imagined,
    pub(crate) found: Option<(Match<'a, Arc<Route>>, &'a Params)>,
    pub(crate) consumer: Option<&'a Consumer>,
}

impl<'a> Routed<'a> {
    pub(crate) fn route(&self) -> Option<&'a Route> {
        self.found.map(|(found, _)| &**found.value())
    }

    /// The chain of the route.
    pub(crate) fn chain(&self) -> Option<&'a Chain> {
        self.route()?.chain.as_deref()
    }

    fn text(&self, variable: &Variable) -> Option<&[u8]> {
        let service = || self.route()?.service.as_deref();
        match variable {
            Variable::RouteId => Some(self.route()?.id.as_bytes()),
            Variable::RouteName => self.route()?.name.as_deref().map(str::as_bytes),
            Variable::ServiceId => Some(service()?.id.as_bytes()),
            Variable::ServiceName => service()?.name.as_deref().map(str::as_bytes),
            Variable::ConsumerName => Some(self.consumer?.username.as_bytes()),
            Variable::ConsumerGroupId => self.consumer?.group_id.as_deref().map(str::as_bytes),
            Variable::UriParam(name) => {
                let (found, params) = self.found?;
                found.param(self.request.path(), params, name)
            }
            // Unlike routes, plugins see slashes decoded.
            Variable::Uri => Some(self.request.uri()),
            _ => None,
        }
    }

    /// Whether the value is told by [`Self::text`].
    fn is_own(variable: &Variable) -> bool {
        matches!(
            variable,
            Variable::RouteId
                | Variable::RouteName
                | Variable::ServiceId
                | Variable::ServiceName
                | Variable::ConsumerName
                | Variable::ConsumerGroupId
                | Variable::UriParam(_)
                | Variable::Uri
        )
    }
}

impl Lookup for Routed<'_> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        if Self::is_own(variable) {
            return self.text(variable).map(Cow::Borrowed);
        }
        self.request.lookup(variable)
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Kinded<'a>> {
        if Self::is_own(variable) {
            return self.lookup(variable).map(Kinded::Text);
        }
        self.request.value(variable)
    }
}

impl PartialLookup for Routed<'_> {
    fn is_known(&self, variable: &Variable) -> bool {
        match variable {
            // Whether there is a consumer shows when an authentication plugin has run; and plugins may set variables of their own.
            Variable::ConsumerName | Variable::ConsumerGroupId => self.consumer.is_some(),
            Variable::Unknown(_) => false,
            _ => Self::is_own(variable) || self.request.is_known(variable),
        }
    }
}

/// The plugins of the global rules.
pub(crate) fn global(chain: Option<&Chain>, routed: &Routed<'_>) -> Vec<Value> {
    let Some(chain) = chain else {
        return Vec::new();
    };
    let yields = |one: &Instance| {
        let about = one.about;
        about.prefers_route && routed.chain().is_some_and(|route| route.has(about.name))
    };
    let plugins = chain.plugins().map(|(one, phases)| {
        let why_not = yields(one).then_some("the plugin of the route runs in its place");
        shown(one, &phases, why_not, routed)
    });
    plugins.collect()
}

/// The plugins of the route, and of the consumer `brought` is of.
pub(crate) fn of_route(brought: Option<&PluginSet>, routed: &Routed<'_>) -> Vec<Value> {
    let Some(route) = routed.route() else {
        return Vec::new();
    };
    let (chain, set) = match brought {
        None => (None, Cow::Borrowed(&*route.plugins)),
        Some(brought) => (
            Chain::for_consumer(&route.plugins, brought),
            Cow::Owned(route.plugins.under(brought)),
        ),
    };
    let chain = match brought {
        None => route.chain.as_deref(),
        Some(_) => chain.as_ref(),
    };
    let later: Vec<_> = chain.into_iter().flat_map(Chain::plugins).collect();
    // Before the consumer is known, `rewrite` runs as the route alone has it.
    let is_later = |one: &Arc<Instance>| later.iter().any(|(other, _)| Arc::ptr_eq(one, other));
    let before = route.chain.iter().flat_map(|chain| chain.plugins());
    let replaced = before
        .filter(|(one, phases)| phases.contains(&"rewrite") && !is_later(one))
        .map(|(one, _)| shown(one, &["rewrite"], None, routed));
    let rewrites_first = |one: &Arc<Instance>| {
        let mut own = route.chain.iter().flat_map(|chain| chain.plugins());
        own.any(|(other, phases)| Arc::ptr_eq(one, other) && phases.contains(&"rewrite"))
    };
    let running = later.iter().map(|(one, phases)| {
        let mut phases = phases.clone();
        if !phases.contains(&"rewrite") && rewrites_first(one) {
            phases.insert(0, "rewrite");
        }
        shown(one, &phases, None, routed)
    });
    replaced.chain(running).chain(off(&set)).collect()
}

/// Whether an authentication plugin would find out who sends the request.
pub(crate) fn authenticates(global: Option<&Chain>, routed: &Routed<'_>) -> bool {
    let chains = global.into_iter().chain(routed.chain());
    chains
        .flat_map(Chain::plugins)
        .any(|(one, _)| one.about.kind == Kind::Auth)
}

/// Plugins that are configured and switched off.
fn off(set: &PluginSet) -> impl Iterator<Item = Value> {
    set.iter().filter_map(|(name, slot)| match slot {
        Slot::On(_) => None,
        Slot::Off(from) => Some(json!({
            "name": name, "from": &**from, "runs": false, "why": "it is switched off (_meta.disable)",
        })),
    })
}

fn shown(one: &Instance, phases: &[&str], why_not: Option<&str>, routed: &Routed<'_>) -> Value {
    let mut shown = Map::new();
    shown.insert("name".into(), json!(one.about.name));
    shown.insert("from".into(), json!(&*one.from));
    shown.insert("priority".into(), json!(one.priority()));
    shown.insert("phases".into(), json!(phases));
    let verdict = one
        .filter()
        .map_or(Verdict::Holds, |filter| filter.explain(routed));
    // Null where it depends.
    let (runs, why) = match (why_not, verdict) {
        (Some(why), _) => (Some(false), Some(why.to_owned())),
        (None, Verdict::Holds) => (Some(true), None),
        (None, Verdict::Fails(blamed)) => {
            let blamed: Vec<String> = blamed.iter().take(LISTED).map(comparison).collect();
            (
                Some(false),
                Some(format!("_meta.filter: {}", blamed.join("; "))),
            )
        }
        (None, Verdict::Depends(names)) => {
            let names = names.join(", ");
            (
                None,
                Some(format!(
                    "_meta.filter depends on {names}, which is not known"
                )),
            )
        }
    };
    shown.insert("runs".into(), json!(runs));
    if let Some(why) = why {
        shown.insert("why".into(), json!(why));
    }
    Value::Object(shown)
}
