//! Objects in, snapshot out; only what changed is built anew.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use lockgate_expr::Expr;
use lockgate_keyring::{PluginSecrets, Unread};
use lockgate_model::resource;
use lockgate_plugin::{Chain, PluginSet};
use lockgate_router::{Methods, Mode, RouteSpec, Table};
use lockgate_secret::Secrets;
use lockgate_store::{Change, Entry};
use lockgate_upstream::{Compile, Timeouts, Upstream};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::{
    Off, Plugins, Problem, Route, ServiceFacts, Snapshot, Target,
    client_cert::{self, Ssl},
    consumers::{self, StoredConsumers},
    inactive,
    instances::Instances,
    links::Links,
    needs::{Needing, Needs},
    off,
    plugins::{GlobalRules, Inline},
    problems::{ProblemChange, Problems},
    secrets,
};

/// What compiling depends on besides the objects.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `apisix.router.http`
    pub router: Mode,
    /// What upstreams are compiled with.
    pub upstream: Compile,
    /// What the secret fields of plugins are decrypted with.
    pub plugin_secrets: Arc<PluginSecrets>,
    /// What references to secrets stand for.
    pub secrets: Secrets,
    /// The plugins that are built in.
    pub plugins: Plugins,
}

/// Everything stored, and the newest snapshot made of it.
#[derive(Debug)]
pub struct Compiler {
    pub(crate) settings: Settings,
    table: Table<Arc<Route>>,
    /// Routes that are switched off.
    off: Table<Arc<Off>>,
    routes: HashMap<Arc<str>, StoredRoute>,
    services: HashMap<Arc<str>, Service>,
    pub(crate) upstreams: HashMap<Arc<str>, Arc<Upstream>>,
    /// Those that plugins have.
    pub(crate) inline: Inline,
    pub(crate) instances: Instances,
    pub(crate) plugin_configs: HashMap<Arc<str>, Arc<PluginSet>>,
    pub(crate) groups: Arc<HashMap<Arc<str>, Arc<PluginSet>>>,
    pub(crate) consumers: StoredConsumers,
    global_rules: GlobalRules,
    pub(crate) ssls: HashMap<Arc<str>, Ssl>,
    pub(crate) needing: Needing,
    of_service: Links,
    of_upstream: Links,
    pub(crate) of_plugin_config: Links,
    services_of_upstream: Links,
    pub(crate) problems: Problems,
    /// Objects of this batch with secrets that no key opens.
    unread: Vec<Arc<str>>,
    revision: u64,
}

/// A route as stored, and what it was built from.
#[derive(Debug)]
struct StoredRoute {
    value: Arc<[u8]>,
    /// Revision that made the key.
    created: u64,
    /// Revision that wrote it last.
    written: u64,
    uses: Uses,
    /// Its own plugins.
    plugins: Arc<PluginSet>,
    /// The upstream written into the route, whose state outlives edits, or what there is in place of it.
    own_upstream: Option<Target>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Uses {
    service: Option<Arc<str>>,
    upstream: Option<Arc<str>>,
    plugin_config: Option<Arc<str>>,
}

/// A compiled service.
#[derive(Debug)]
struct Service {
    facts: Arc<ServiceFacts>,
    hosts: Vec<String>,
    upstream_id: Option<Arc<str>>,
    own_upstream: Option<Target>,
    allows_websocket: bool,
    plugins: Arc<PluginSet>,
}

/// What a batch of changes touches.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) routes: BTreeSet<Arc<str>>,
    services: BTreeSet<Arc<str>>,
    consumers: BTreeSet<Arc<str>>,
    /// Keys of objects that need something that changed.
    needing: BTreeSet<Arc<str>>,
}

impl Compiler {
    /// Nothing stored yet.
    pub fn new(settings: Settings) -> Self {
        settings.plugins.serve();
        Self {
            table: Table::new(settings.router),
            off: Table::new(settings.router),
            settings,
            routes: HashMap::new(),
            services: HashMap::new(),
            upstreams: HashMap::new(),
            inline: Inline::default(),
            instances: Instances::default(),
            plugin_configs: HashMap::new(),
            groups: Arc::default(),
            consumers: StoredConsumers::default(),
            global_rules: GlobalRules::default(),
            ssls: HashMap::new(),
            needing: Needing::default(),
            of_service: Links::default(),
            of_upstream: Links::default(),
            of_plugin_config: Links::default(),
            services_of_upstream: Links::default(),
            problems: Problems::default(),
            unread: Vec::new(),
            revision: 0,
        }
    }

    /// What is stored but not in force as it stands, by key.
    pub fn problems(&self) -> &BTreeMap<Arc<str>, Problem> {
        self.problems.all()
    }

    /// For which keys that has changed since this was asked last.
    pub(crate) fn take_problem_changes(&mut self) -> Vec<ProblemChange> {
        self.problems.take_changes()
    }

    /// The snapshot of what has been applied. Cheap: it shares structure with the one before.
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            routes: self.table.routes(),
            off: self.off.routes(),
            global: self.global_rules.chain(),
            is_waiting: self.global_rules.is_waiting(),
            groups: self.groups.clone(),
        }
    }

    /// Takes changes in and rebuilds what depends on them. Upstreams first, so that a route stored after its upstream in the
    /// same batch finds it.
    pub fn apply(&mut self, revision: u64, changes: &[Change]) {
        let mut dirty = Dirty::default();
        // Managers first: a secret that is referred to is asked for at once.
        for change in changes {
            self.take_manager(change);
        }
        for change in changes {
            match change {
                Change::Put(entry) => self.put(entry, &mut dirty),
                Change::Delete { key, .. } => self.delete(key, &mut dirty),
            }
        }
        self.rebuild(dirty);
        self.revision = revision;
    }

    /// Rebuilds what was built from these references, whose secrets changed.
    pub fn secrets_changed(&mut self, references: &[Arc<str>]) {
        let mut dirty = Dirty::default();
        for reference in references {
            dirty.needing.extend(self.needing.users(reference).cloned());
        }
        self.rebuild(dirty);
    }

    /// Lets the plugins that are switched on serve what they serve.
    pub(crate) fn serve_endpoints(&self) {
        self.settings.plugins.serve();
    }

    /// Tells that other plugins are switched on than before.
    pub(crate) fn switched(&self) -> Arc<Notify> {
        self.settings.plugins.switched.clone()
    }

    /// What references to secrets stand for.
    pub fn secrets(&self) -> &Secrets {
        &self.settings.secrets
    }

    fn rebuild(&mut self, mut dirty: Dirty) {
        // Upstreams first: each that becomes another marks the objects whose plugins need it, and those are built once, after all of
        // them. An upstream needs no other, and what is built below marks nothing here.
        let is_upstream = |key: &Arc<str>| key.starts_with("upstreams/");
        let upstreams = dirty.needing.iter().filter(|key| is_upstream(key));
        let upstreams: Vec<_> = upstreams
            .filter_map(|key| self.needing.entry(key))
            .collect();
        for entry in upstreams {
            self.put(&entry, &mut dirty);
        }
        for key in std::mem::take(&mut dirty.needing) {
            if is_upstream(&key) {
                continue;
            }
            if let Some(("routes", id)) = split(&key) {
                // Built from what is stored of it: what it was built from last may be older.
                dirty.routes.insert(id.into());
            } else if let Some((name, _)) = consumer_of(&key) {
                dirty.consumers.insert(name.into());
            } else if let Some(entry) = self.needing.entry(&key) {
                self.put(&entry, &mut dirty);
            }
        }
        for id in &dirty.services {
            dirty.routes.extend(self.of_service.users(id).cloned());
        }
        for id in std::mem::take(&mut dirty.routes) {
            self.build_route(&id);
        }
        for name in std::mem::take(&mut dirty.consumers) {
            self.build_consumer(&name);
        }
        if let Some(first) = self.unread.first() {
            // One line for a batch: with a wrong keyring it may be about every consumer.
            tracing::warn!(objects = self.unread.len(), %first, "no key of data_encryption.keyring decrypts secrets of stored objects: they are taken as they are");
        }
        self.unread.clear();
    }

    /// Takes in what keeps secrets.
    fn take_manager(&mut self, change: &Change) {
        match change {
            Change::Put(entry) => {
                let Some(id) = entry.key.strip_prefix("secrets/") else {
                    return;
                };
                self.problems.remove(&entry.key);
                if let Err(error) = self.settings.secrets.put_manager(id, &entry.value) {
                    self.note(&entry.key, Problem::Malformed(error.to_string()));
                }
            }
            Change::Delete { key, .. } => {
                if let Some(id) = key.strip_prefix("secrets/") {
                    self.settings.secrets.remove_manager(id);
                }
            }
        }
    }

    fn put(&mut self, entry: &Entry, dirty: &mut Dirty) {
        if let Some((name, credential)) = consumer_of(&entry.key) {
            self.consumers.put(name, credential, entry);
            dirty.consumers.insert(name.into());
            return;
        }
        match split(&entry.key) {
            Some(("routes", id)) => {
                let value = entry.value.clone();
                if let Some(stored) = self.routes.get_mut(id) {
                    stored.value = value;
                    stored.created = entry.create_revision;
                    stored.written = entry.mod_revision;
                } else {
                    let stored = StoredRoute {
                        value,
                        created: entry.create_revision,
                        written: entry.mod_revision,
                        uses: Uses::default(),
                        plugins: Arc::default(),
                        own_upstream: None,
                    };
                    self.routes.insert(id.into(), stored);
                }
                dirty.routes.insert(id.into());
            }
            Some(("services", id)) => {
                if let Some(stored) = self.read::<resource::Service>(entry) {
                    self.put_service(&id.into(), entry, stored);
                    dirty.services.insert(id.into());
                }
            }
            Some(("upstreams", id)) => {
                if let Some(stored) = self.read::<resource::Upstream>(entry) {
                    let previous = self.upstreams.get(id).cloned();
                    let needs = Needs::default();
                    let target = self.upstream(entry, &stored, previous.as_ref(), needs);
                    if let Target::Upstream(upstream) = target {
                        self.upstreams.insert(id.into(), upstream);
                        self.mark_upstream(id, dirty);
                    }
                }
            }
            Some(("plugin_metadata", name)) => {
                self.put_metadata(name, entry);
            }
            Some(("plugin_configs", id)) => self.put_plugin_config(id, entry, dirty),
            Some(("consumer_groups", id)) => self.put_group(id, entry),
            Some(("global_rules", id)) => {
                if let Some(set) = self.put_holder(entry) {
                    self.global_rules.put(id, set);
                } else if self.problems.is_waiting(&entry.key) {
                    self.global_rules.wait(id);
                } else {
                    self.global_rules.give_up(id);
                }
            }
            Some(("stream_routes", _)) => {
                self.problems.remove(&entry.key);
                let problem = Problem::NotHonoured(inactive::STREAM.into());
                self.problems.add(&entry.key, problem);
            }
            Some(("ssls", id)) => {
                if let Some(ssl) = self.read::<Ssl>(entry) {
                    self.ssls.insert(id.into(), ssl);
                    dirty
                        .needing
                        .extend(self.needing.users(&entry.key).cloned());
                }
            }
            _ => {}
        }
    }

    fn delete(&mut self, key: &str, dirty: &mut Dirty) {
        self.problems.remove(key);
        self.needing.release(key);
        self.instances.forget(key);
        if let Some((name, credential)) = consumer_of(key) {
            self.consumers.remove(name, credential);
            dirty.consumers.insert(name.into());
            return;
        }
        match split(key) {
            Some(("routes", id)) => {
                if let Some(stored) = self.routes.remove(id) {
                    retire(in_force(stored.own_upstream.as_ref()));
                    self.unlink(id, &stored.uses);
                }
                self.table.remove(id);
                self.off.remove(id);
                dirty.routes.remove(id);
            }
            Some(("services", id)) => {
                if let Some(service) = self.services.remove(id) {
                    retire(in_force(service.own_upstream.as_ref()));
                    if let Some(upstream) = &service.upstream_id {
                        self.services_of_upstream.remove(upstream, id);
                    }
                }
                dirty.services.insert(id.into());
            }
            Some(("upstreams", id)) => {
                retire(self.upstreams.remove(id).as_ref());
                self.mark_upstream(id, dirty);
            }
            Some(("plugin_configs", id)) => {
                self.plugin_configs.remove(id);
                dirty
                    .routes
                    .extend(self.of_plugin_config.users(id).cloned());
            }
            Some(("consumer_groups", id)) => {
                Arc::make_mut(&mut self.groups).remove(id);
            }
            Some(("global_rules", id)) => self.global_rules.remove(id),
            Some(("plugin_metadata", name)) => self.remove_metadata(name),
            Some(("ssls", id)) => {
                self.ssls.remove(id);
                dirty.needing.extend(self.needing.users(key).cloned());
            }
            _ => {}
        }
    }

    fn mark_upstream(&self, id: &str, dirty: &mut Dirty) {
        let key = format!("upstreams/{id}");
        dirty.needing.extend(self.needing.users(&key).cloned());
        dirty.routes.extend(self.of_upstream.users(id).cloned());
        dirty
            .services
            .extend(self.services_of_upstream.users(id).cloned());
    }

    fn put_service(&mut self, id: &Arc<str>, entry: &Entry, mut stored: resource::Service) {
        let mut needs = Needs::default();
        let plugins = match self.compile_plugins(entry, &mut stored.plugins, &mut needs) {
            Ok(plugins) => plugins,
            Err(problem) => {
                // Without its plugins it would serve what it must not: it stays as it was.
                self.needing.hold(entry, needs);
                self.note(&entry.key, problem);
                return;
            }
        };
        let previous = self.services.remove(id);
        if let Some(Service {
            upstream_id: Some(upstream),
            ..
        }) = &previous
        {
            self.services_of_upstream.remove(upstream, id);
        }
        let previous = previous.and_then(|service| service.own_upstream);
        let own_upstream = if let Some(own) = &stored.upstream {
            Some(self.upstream(entry, own, in_force(previous.as_ref()), needs))
        } else {
            self.needing.hold(entry, needs);
            retire(in_force(previous.as_ref()));
            None
        };
        let upstream_id = stored.upstream_id.as_deref().map(Arc::from);
        if let Some(upstream) = &upstream_id {
            self.services_of_upstream.add(upstream, id);
        }
        let facts = Arc::new(ServiceFacts {
            id: id.clone(),
            name: stored.name.as_deref().map(Arc::from),
        });
        let allows_websocket = stored.enable_websocket.unwrap_or(false);
        let service = Service {
            facts,
            hosts: stored.hosts,
            upstream_id,
            own_upstream,
            allows_websocket,
            plugins,
        };
        self.services.insert(id.clone(), service);
    }

    /// Compiles an upstream, whose object needs this already; on failure notes why and gives what was in force before, or where that
    /// leaves requests.
    fn upstream(
        &mut self,
        entry: &Entry,
        stored: &resource::Upstream,
        previous: Option<&Arc<Upstream>>,
        mut needs: Needs,
    ) -> Target {
        let key = &entry.key;
        let secrets = &self.settings.secrets;
        let ssl = |id: &str| self.ssls.get(id);
        let stored = client_cert::in_place(stored, secrets, ssl, &mut needs);
        self.needing.hold(entry, needs);
        let stored = match stored {
            Ok(stored) => stored,
            Err(problem) => {
                self.note(key, problem);
                return or_before(previous, Target::NoCertificate);
            }
        };
        match Upstream::compile(
            &stored,
            &self.settings.upstream,
            key,
            previous.map(Arc::as_ref),
        ) {
            Ok(compiled) => {
                for warning in &compiled.warnings {
                    self.note(key, Problem::NotHonoured(warning.to_string()));
                }
                Target::Upstream(compiled.upstream)
            }
            Err(error) => {
                self.note(key, Problem::Malformed(error.to_string()));
                or_before(previous, Target::Unusable)
            }
        }
    }

    /// Builds a route from its stored value and everything that it refers to.
    fn build_route(&mut self, id: &Arc<str>) {
        let Some(mut stored) = self.routes.remove(id) else {
            return;
        };
        let key: Arc<str> = format!("routes/{id}").into();
        self.problems.remove(&key);
        match parse::<resource::Route>(&stored.value) {
            Err(problem) => {
                self.needing.release(&key);
                self.note(&key, problem);
            }
            Ok(mut route) => {
                let entry = Entry {
                    key: key.clone(),
                    value: stored.value.clone(),
                    create_revision: stored.created,
                    mod_revision: stored.written,
                };
                let mut needs = Needs::default();
                match self.compile_plugins(&entry, &mut route.plugins, &mut needs) {
                    Ok(plugins) => stored.plugins = plugins,
                    Err(problem) => {
                        // Without its plugins it would serve what it must not: it stays as it was.
                        self.needing.hold(&entry, needs);
                        self.note(&key, problem);
                        self.routes.insert(id.clone(), stored);
                        return;
                    }
                }
                let uses = Uses {
                    service: route.service_id.as_deref().map(Arc::from),
                    upstream: route.upstream_id.as_deref().map(Arc::from),
                    plugin_config: route.plugin_config_id.as_deref().map(Arc::from),
                };
                if uses != stored.uses {
                    self.unlink(id, &stored.uses);
                    self.link(id, &uses);
                    stored.uses = uses;
                }
                stored.own_upstream = if let Some(own) = &route.upstream {
                    let previous = in_force(stored.own_upstream.as_ref());
                    Some(self.upstream(&entry, own, previous, needs))
                } else {
                    self.needing.hold(&entry, needs);
                    retire(in_force(stored.own_upstream.as_ref()));
                    None
                };
                if let Err(problem) = self.insert(id, &route, &stored) {
                    self.note(&key, problem);
                }
            }
        }
        self.routes.insert(id.clone(), stored);
    }

    fn insert(
        &mut self,
        id: &Arc<str>,
        route: &resource::Route,
        stored: &StoredRoute,
    ) -> Result<(), Problem> {
        if let Some(why) = off::why(route) {
            self.table.remove(id);
            let name = route.name.as_deref().map(Arc::from);
            self.off.remove(id);
            // Without conditions it cannot be told which requests it would take.
            if let Ok(spec) = self.conditions(id, route, stored) {
                let _left_out = self
                    .off
                    .insert(spec.with_value(Arc::new(Off { name, why })));
            }
            return match why {
                off::STATUS => Ok(()),
                // Serving more requests than the author meant, or without the script, is worse than serving none.
                _ => Err(Problem::Malformed(why.into())),
            };
        }
        self.off.remove(id);
        let malformed = |error: &dyn std::error::Error| Problem::Malformed(error.to_string());
        let spec = self.conditions(id, route, stored)?;
        let service = stored
            .uses
            .service
            .as_ref()
            .map(|service| self.services.get(service));
        let plugins = self.plugins_of(stored, service.flatten());
        let compiled = Route {
            id: id.clone(),
            name: route.name.as_deref().map(Arc::from),
            service: service.flatten().map(|service| service.facts.clone()),
            target: self.target(stored),
            timeouts: route.timeout.as_ref().map(Timeouts::from),
            allows_websocket: route.enable_websocket.unwrap_or_else(|| {
                service
                    .flatten()
                    .is_some_and(|service| service.allows_websocket)
            }),
            chain: Chain::of(&plugins).map(Box::new),
            plugins,
        };
        let inserted = self.table.insert(spec.with_value(Arc::new(compiled)));
        inserted.map_err(|error| malformed(&error))
    }

    /// Which requests a route takes.
    fn conditions(
        &self,
        id: &Arc<str>,
        route: &resource::Route,
        stored: &StoredRoute,
    ) -> Result<RouteSpec<()>, Problem> {
        let vars = match &route.vars {
            Some(vars) => Some(Arc::new(
                Expr::compile(vars).map_err(|error| Problem::Malformed(error.to_string()))?,
            )),
            None => None,
        };
        let mut hosts: Vec<String> = route.all_hosts().map(str::to_owned).collect();
        if hosts.is_empty()
            && let Some(service) = &stored.uses.service
            && let Some(service) = self.services.get(service)
        {
            hosts.clone_from(&service.hosts);
        }
        Ok(RouteSpec {
            id: id.to_string(),
            hosts,
            paths: route.paths().map(str::to_owned).collect(),
            methods: route.methods.iter().fold(Methods::NONE, |all, name| {
                all | Methods::of(name.as_bytes())
            }),
            remote_addrs: route.all_remote_addrs().map(str::to_owned).collect(),
            vars,
            priority: route.priority.unwrap_or(0),
            created: stored.created,
            value: (),
        })
    }

    /// The plugins of a route: its own count most, those of its service least.
    fn plugins_of(&self, stored: &StoredRoute, service: Option<&Service>) -> Arc<PluginSet> {
        let shared = stored.uses.plugin_config.as_ref();
        let shared = shared.and_then(|id| self.plugin_configs.get(id));
        let layers = [
            service.map(|service| &service.plugins),
            shared,
            Some(&stored.plugins),
        ];
        let mut layers = layers
            .into_iter()
            .flatten()
            .filter(|layer| !layer.is_empty());
        let Some(lowest) = layers.next() else {
            return Arc::default();
        };
        layers.fold(lowest.clone(), |below, above| Arc::new(below.under(above)))
    }

    /// Where the requests of a route go: its upstream by id, its own, its service's by id, its service's own.
    fn target(&self, stored: &StoredRoute) -> Target {
        let by_id = |id: &Arc<str>| {
            self.upstreams
                .get(id)
                .map_or(Target::NoUpstream, |found| Target::Upstream(found.clone()))
        };
        if let Some(id) = &stored.uses.plugin_config
            && !self.plugin_configs.contains_key(id)
        {
            return Target::NoPluginConfig;
        }
        let service = match &stored.uses.service {
            None => None,
            Some(id) => match self.services.get(id) {
                Some(service) => Some(service),
                None => return Target::NoService,
            },
        };
        if let Some(id) = &stored.uses.upstream {
            return by_id(id);
        }
        if let Some(own) = &stored.own_upstream {
            return own.clone();
        }
        match service {
            Some(Service {
                upstream_id: Some(id),
                ..
            }) => by_id(id),
            Some(Service {
                own_upstream: Some(own),
                ..
            }) => own.clone(),
            _ => Target::Missing,
        }
    }

    fn link(&mut self, id: &Arc<str>, uses: &Uses) {
        for (links, used) in [
            (&mut self.of_service, &uses.service),
            (&mut self.of_upstream, &uses.upstream),
            (&mut self.of_plugin_config, &uses.plugin_config),
        ] {
            if let Some(used) = used {
                links.add(used, id);
            }
        }
    }

    fn unlink(&mut self, id: &str, uses: &Uses) {
        for (links, used) in [
            (&mut self.of_service, &uses.service),
            (&mut self.of_upstream, &uses.upstream),
            (&mut self.of_plugin_config, &uses.plugin_config),
        ] {
            if let Some(used) = used {
                links.remove(used, id);
            }
        }
    }

    /// Reads a stored value; what cannot be read is noted, and what was in force before stays as it is: it is not what is
    /// stored, and is not built again when something that it needs changes.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, entry: &Entry) -> Option<T> {
        self.problems.remove(&entry.key);
        parse(&entry.value)
            .map_err(|problem| {
                self.needing.release(&entry.key);
                self.note(&entry.key, problem);
            })
            .ok()
    }

    /// Notes secrets that no key opens; plugins get them as they are stored.
    pub(crate) fn note_unread(&mut self, key: &Arc<str>, unread: &[Unread]) {
        if let Some(sentence) = secrets::sentence(unread) {
            self.problems.add(key, Problem::NotHonoured(sentence));
            self.unread.push(key.clone());
        }
    }

    pub(crate) fn note(&mut self, key: &Arc<str>, problem: Problem) {
        // What waits says itself what came of it.
        if !matches!(problem, Problem::Waiting(_)) {
            tracing::warn!(%key, %problem, "a stored object is not in force as it stands");
        }
        self.problems.add(key, problem);
    }
}

/// The upstream that requests go to, if it is one.
fn in_force(target: Option<&Target>) -> Option<&Arc<Upstream>> {
    match target {
        Some(Target::Upstream(upstream)) => Some(upstream),
        _ => None,
    }
}

fn or_before(previous: Option<&Arc<Upstream>>, otherwise: Target) -> Target {
    previous.map_or(otherwise, |previous| Target::Upstream(previous.clone()))
}

/// Ends the background work of an upstream that leaves for good.
fn retire(upstream: Option<&Arc<Upstream>>) {
    if let Some(upstream) = upstream {
        upstream.retire();
    }
}

/// Reads an object. A list would be read as the values of its fields.
fn parse<T: DeserializeOwned>(value: &[u8]) -> Result<T, Problem> {
    if value.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::Malformed("it is not an object".into()));
    }
    serde_json::from_slice(value).map_err(|error| Problem::Malformed(error.to_string()))
}

/// Of a key below `consumers/`, name and credential.
fn consumer_of(key: &str) -> Option<(&str, Option<&str>)> {
    key.strip_prefix("consumers/").and_then(consumers::split)
}

/// Kind and id of a key; `None` for what is no object (`gen_id`) or lies deeper (credentials).
fn split(key: &str) -> Option<(&str, &str)> {
    key.split_once('/')
        .filter(|(_, id)| !id.is_empty() && !id.contains('/'))
}
