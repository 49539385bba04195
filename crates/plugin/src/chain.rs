//! Chains: the hooks of all plugins that run on a request, by phase, in the order in which they run.

use std::sync::Arc;

use crate::{
    About, Body, Exchange, Flow, Kind, PluginSet, Reply,
    hooks::{Answering, Hooks, Noting},
    instance::{Instance, Slot},
};

/// A phase whose hooks may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `rewrite`
    Rewrite,
    /// `access`
    Access,
    /// `before_proxy`
    BeforeProxy,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Access => "access",
            Self::BeforeProxy => "before_proxy",
        }
    }
}

/// One hook of one plugin in a chain.
struct Step<H> {
    of: Arc<Instance>,
    hook: H,
}

type Steps<H> = Box<[Step<H>]>;

/// The plugins that run on a request. A phase without hooks costs the look at a length.
#[derive(Default)]
pub struct Chain {
    rewrite: Steps<Answering>,
    access: Steps<Answering>,
    before_proxy: Steps<Answering>,
    header_filter: Steps<Noting>,
    log: Steps<Noting>,
    /// In the order in which they run.
    plugins: Box<[Arc<Instance>]>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.names()).finish()
    }
}

impl Chain {
    /// The chain of a set of plugins; `None` where none runs.
    pub fn of(set: &PluginSet) -> Option<Self> {
        Self::build(set, |_| true)
    }

    /// The chain of a route for a consumer who brings plugins along, group and all: what the consumer says counts more than what the
    /// route says. Of plugins that the route has too, `rewrite` has run before the consumer was known, and is left out.
    pub fn for_consumer(route: &PluginSet, brought: &PluginSet) -> Option<Self> {
        Self::build(&route.under(brought), |about| {
            about.kind != Kind::Auth && route.get(about.name).is_none()
        })
    }

    fn build(set: &PluginSet, rewrites: impl Fn(&About) -> bool) -> Option<Self> {
        let mut plugins: Vec<Arc<Instance>> = set
            .iter()
            .filter_map(|(_, slot)| match slot {
                Slot::On(instance) => Some(instance.clone()),
                Slot::Off(_) => None,
            })
            .collect();
        if plugins.is_empty() {
            return None;
        }
        // Own priorities win; of equal ones the plugins' own order decides.
        plugins.sort_by_key(|one| std::cmp::Reverse((one.priority, one.about.priority)));
        let rewrite = steps(&plugins, |of| {
            of.hooks.rewrite.clone().filter(|_| rewrites(of.about))
        });
        Some(Self {
            rewrite,
            access: steps(&plugins, |of| of.hooks.access.clone()),
            before_proxy: steps(&plugins, |of| of.hooks.before_proxy.clone()),
            header_filter: steps(&plugins, |of| of.hooks.header_filter.clone()),
            log: steps(&plugins, |of| of.hooks.log.clone()),
            plugins: plugins.into(),
        })
    }

    /// The plugins, in the order in which they run, and the phases that each runs in.
    pub fn plugins(&self) -> impl Iterator<Item = (&Arc<Instance>, Vec<&'static str>)> {
        self.plugins.iter().map(|one| {
            let rewrites = self.rewrite.iter().any(|step| Arc::ptr_eq(&step.of, one));
            let phases = one.hooks.phases();
            let phases = phases.filter(|phase| *phase != Phase::Rewrite.name() || rewrites);
            (one, phases.collect())
        })
    }

    /// Names of the plugins, in the order in which they run.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().map(|one| one.about.name)
    }

    /// Whether a plugin is among them.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    /// Whether anything runs in a phase.
    #[inline]
    pub fn runs(&self, phase: Phase) -> bool {
        !self.steps(phase).is_empty()
    }

    #[inline]
    fn steps(&self, phase: Phase) -> &[Step<Answering>] {
        match phase {
            Phase::Rewrite => &self.rewrite,
            Phase::Access => &self.access,
            Phase::BeforeProxy => &self.before_proxy,
        }
    }

    /// Whether somebody looks at heads of responses.
    #[inline]
    pub fn filters_head(&self) -> bool {
        !self.header_filter.is_empty()
    }

    /// Whether somebody takes note of exchanges that have ended.
    #[inline]
    pub fn logs(&self) -> bool {
        !self.log.is_empty()
    }

    /// Plugins that see bodies or logs, for the debug header: it is sent before they run.
    pub fn expected(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let of = |phase: &'static str, is_in: fn(&Hooks) -> bool| {
            self.plugins
                .iter()
                .filter(move |one| is_in(&one.hooks))
                .map(move |one| (one.about.name, phase))
        };
        of("body_filter", |hooks| hooks.filters_body).chain(of("log", |hooks| hooks.log.is_some()))
    }

    /// Runs a phase of plugins that are written into another's configuration ([`CompileHost::plugins`](crate::CompileHost::plugins)), until
    /// one answers. What becomes of the answer is up to the plugin that they are written into, and so is saying so: nothing is logged.
    pub async fn run(&self, phase: Phase, ex: &mut Exchange<'_>) -> Flow {
        match first_answer(self, phase, None, ex).await {
            None => Flow::Next,
            Some((_, reply)) => Flow::Reply(reply),
        }
    }

    /// Runs the hooks of `header_filter`. `beside` is the chain of the route where this is that of the global rules.
    pub fn filter_head(&self, beside: Option<&Self>, ex: &mut Exchange<'_>) {
        note(&self.header_filter, "header_filter", beside, ex);
    }

    /// Runs the hooks of `log`.
    pub fn log(&self, beside: Option<&Self>, ex: &mut Exchange<'_>) {
        note(&self.log, "log", beside, ex);
    }
}

fn steps<H>(plugins: &[Arc<Instance>], hook: impl Fn(&Instance) -> Option<H>) -> Steps<H> {
    plugins
        .iter()
        .filter_map(|of| {
            Some(Step {
                hook: hook(of)?,
                of: of.clone(),
            })
        })
        .collect()
}

impl<H> Step<H> {
    /// Whether it runs on this request.
    #[inline]
    fn applies(&self, beside: Option<&Chain>, ex: &mut Exchange<'_>) -> bool {
        let about = self.of.about;
        !(about.prefers_route && beside.is_some_and(|route| route.has(about.name)))
            && self.of.applies(ex)
    }

    fn trace(&self, phase: &'static str, ex: &mut Exchange<'_>) {
        let state = ex.state_mut();
        if state.is_traced {
            state.trace.push((self.of.about.name, phase));
        }
    }
}

/// Runs the hooks of a phase, until one answers. `beside` is the chain of the route where these are hooks of the global rules.
pub async fn run(
    chain: &Chain,
    phase: Phase,
    beside: Option<&Chain>,
    ex: &mut Exchange<'_>,
) -> Flow {
    match first_answer(chain, phase, beside, ex).await {
        None => Flow::Next,
        Some((of, reply)) => {
            if reply.status >= 400 {
                // The words are the reference's, for who searches logs for them.
                let (name, status) = (of.about.name, reply.status);
                if of.warns_at(ex.now()) {
                    tracing::warn!("{name} exits with http status code {status}");
                } else {
                    tracing::info!("{name} exits with http status code {status}");
                }
            }
            Flow::Reply(reply)
        }
    }
}

/// Runs the hooks of a phase, until one answers; who does, and with what.
#[inline]
async fn first_answer<'c>(
    chain: &'c Chain,
    phase: Phase,
    beside: Option<&Chain>,
    ex: &mut Exchange<'_>,
) -> Option<(&'c Instance, Box<Reply>)> {
    for step in chain.steps(phase) {
        if !step.applies(beside, ex) {
            continue;
        }
        step.trace(phase.name(), ex);
        let flow = match &step.hook {
            Answering::Plain(hook) => hook.call(ex),
            Answering::Waiting(hook) => hook.call(ex).await,
        };
        if let Flow::Reply(mut reply) = flow {
            reply.by = step.of.about.name;
            if let Some(body) = &step.of.error_body
                && reply.status >= 400
            {
                reply.body = Body::Bytes(body.clone());
            }
            return Some((&step.of, reply));
        }
    }
    None
}

fn note(
    steps: &[Step<Noting>],
    phase: &'static str,
    beside: Option<&Chain>,
    ex: &mut Exchange<'_>,
) {
    for step in steps {
        if step.applies(beside, ex) {
            step.trace(phase, ex);
            step.hook.call(ex);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        Access, Compile, ConfigError, Plugin,
        testing::{Kit, Request},
    };

    struct Closed;

    impl Plugin for Closed {
        const ABOUT: About = About::new("closed", 1, "{}");
        type Config = serde_json::Value;

        fn compile(_: Self::Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        fn hooks(self: Arc<Self>, on: &mut Hooks) {
            on.access(self);
        }
    }

    impl Access for Closed {
        fn access(&self, _: &mut Exchange<'_>) -> Flow {
            Flow::message(403, "closed")
        }
    }

    #[test]
    fn what_nested_plugins_answer_is_the_outer_ones_to_pass_on() {
        let kit = Kit::new();
        let config = json!({"_meta": {"error_response": "no"}});
        let inner = kit.plugin::<Closed>(&config).unwrap();
        let mut request = Request::get("/");
        let mut ex = Exchange::new(&mut request);
        let flow = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(inner.chain.run(Phase::Access, &mut ex));
        let Flow::Reply(reply) = flow else {
            panic!("it answers");
        };
        assert_eq!((reply.status, reply.by), (403, "closed"));
        assert_eq!(reply.text(), "no");
        let (instance, _) = inner.chain.plugins().next().expect("one");
        assert!(instance.warns_at(Duration::from_secs(5)), "nobody warned");
    }

    #[test]
    fn warns_of_the_first_refusal_in_a_second() {
        let plugin = Kit::new().plugin::<Closed>(&json!({})).unwrap();
        let (instance, _) = plugin.chain.plugins().next().expect("one");
        let warned = [5_000, 5_000, 5_999, 6_000, 6_001]
            .map(|now_ms| instance.warns_at(Duration::from_millis(now_ms)));
        assert_eq!(warned, [true, false, false, true, false]);
    }
}
