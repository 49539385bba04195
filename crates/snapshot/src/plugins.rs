//! From the plugin configurations of an object to compiled plugins.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Weak},
};

use lockgate_keyring::Part;
use lockgate_model::resource;
use lockgate_plugin::{
    Chain, Compile, CompileHost, ConfigError, Descriptor, Node, Parent, PluginSet, host::Slot,
};
use lockgate_secret::has_reference;
use lockgate_store::Entry;
use lockgate_upstream::{Prepared, Upstream};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::{
    Compiler, Problem, client_cert,
    compile::Dirty,
    inactive,
    instances::{Found, Made, MadeFrom},
    needs::Needs,
    secrets,
};

/// The plugins that are built in, and what they share.
#[derive(Clone)]
pub struct Plugins {
    /// What all workers share on behalf of plugins.
    pub node: Node,
    known: Arc<HashMap<&'static str, &'static Descriptor>>,
    is_on: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Tells that others are switched on than before.
    pub(crate) switched: Arc<Notify>,
}

impl Plugins {
    /// These plugins, of which those run that `is_on` says.
    pub fn new(
        node: Node,
        known: impl IntoIterator<Item = &'static Descriptor>,
        is_on: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let known = known.into_iter().map(|plugin| (plugin.about.name, plugin));
        Self {
            node,
            known: Arc::new(known.collect()),
            is_on: Arc::new(is_on),
            switched: Arc::default(),
        }
    }

    /// The same, of which `switched` tells that others are switched on than before.
    #[must_use]
    pub fn switched_by(self, switched: Arc<Notify>) -> Self {
        Self { switched, ..self }
    }

    /// Whether a plugin is built in.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// Lets those that are switched on serve what they serve.
    pub(crate) fn serve(&self) {
        let known = self.known.values().copied();
        self.node
            .serve(known.filter(|plugin| (self.is_on)(plugin.about.name)));
    }

    /// A plugin that is built in and switched on.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Descriptor> {
        self.known
            .get(name)
            .copied()
            .filter(|plugin| (self.is_on)(plugin.about.name))
    }
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.known.keys()).finish()
    }
}

/// An object of which only the plugins matter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Holder {
    plugins: resource::Plugins,
}

/// The compiler as plugins see it.
struct Host<'a> {
    compiler: &'a Compiler,
    plugin: &'static str,
    parent: &'a Parent,
    /// Where the plugin is configured: the object's key, and within another plugin that one and the part of its configuration.
    place: &'a str,
    needs: RefCell<&'a mut Needs>,
    told: RefCell<Told>,
}

/// What a plugin was told while it was compiled.
#[derive(Debug, Default)]
struct Told {
    found: Vec<Found>,
    /// Those written into its configuration. They are put in force with the object as a whole: where it stays as it was, so does what is
    /// known of the nodes of those before.
    upstreams: Vec<Prepared>,
}

/// Upstreams that are written into configurations of plugins, by the object, the plugin and where in it: `routes/1#traffic-split#0#0`.
/// Where plugins are within others, all of them: `routes/1#outer#0#traffic-split#0#0`.
///
/// They belong to the plugins, and end with them; here is only what an edit needs to find the one before.
#[derive(Debug, Default)]
pub(crate) struct Inline(HashMap<Arc<str>, Weak<Upstream>>);

impl Inline {
    /// Upstreams that are gone may be forgotten once in this many.
    const SWEEP: usize = 64;

    fn get(&self, key: &str) -> Option<Arc<Upstream>> {
        self.0.get(key).and_then(Weak::upgrade)
    }

    /// Lets these follow those before.
    fn put_in_force(&mut self, upstreams: Vec<Prepared>) {
        for prepared in upstreams {
            let upstream = prepared.put_in_force().upstream;
            if self.0.len() % Self::SWEEP == Self::SWEEP - 1 {
                self.0.retain(|_, upstream| upstream.strong_count() > 0);
            }
            let key = upstream.about().key.clone();
            self.0.insert(key, Arc::downgrade(&upstream));
        }
    }
}

impl Host<'_> {
    /// Where a part of the plugin's configuration is.
    fn within(&self, part: &str) -> String {
        format!("{}#{}#{part}", self.place, self.plugin)
    }
}

impl CompileHost for Host<'_> {
    fn upstream(&self, part: &str, config: &Value) -> Result<Arc<Upstream>, ConfigError> {
        let malformed = |error: &dyn std::fmt::Display| ConfigError::new(error.to_string());
        let stored: resource::Upstream =
            serde_json::from_value(config.clone()).map_err(|error| malformed(&error))?;
        let Compiler {
            settings,
            ssls,
            inline,
            ..
        } = self.compiler;
        let ssl = |id: &str| ssls.get(id);
        let mut needs = self.needs.borrow_mut();
        let told = &mut *self.told.borrow_mut();
        let shown = client_cert::in_place(&stored, &settings.secrets, ssl, &mut needs);
        let shown = shown.map_err(|problem| malformed(&problem))?;
        if let Cow::Owned(resource::Upstream { tls: Some(tls), .. }) = &shown {
            let found = Found::Certificate(Box::new(stored.clone()), tls.clone());
            told.found.push(found);
        }
        let key: Arc<str> = self.within(part).into();
        let previous = inline.get(&key);
        let prepared = Upstream::prepare(&shown, &settings.upstream, &key, previous.as_deref());
        let prepared = prepared.map_err(|error| malformed(&error))?;
        let upstream = prepared.upstream().clone();
        told.upstreams.push(prepared);
        Ok(upstream)
    }

    fn upstream_by_id(&self, id: &str) -> Option<Arc<Upstream>> {
        let found = self
            .compiler
            .find_upstream(id, &mut self.needs.borrow_mut());
        let weak = found.map(Arc::downgrade);
        let mut told = self.told.borrow_mut();
        told.found.push(Found::Upstream(id.into(), weak));
        found.cloned()
    }

    fn plugins(&self, part: &str, plugins: &Map<String, Value>) -> Result<PluginSet, ConfigError> {
        let place = self.within(part);
        let mut needs = self.needs.borrow_mut();
        let mut told = self.told.borrow_mut();
        let compiled =
            self.compiler
                .compile_within(self.parent, &place, plugins, &mut needs, &mut told);
        compiled.map_err(|problem| ConfigError::new(problem.to_string()))
    }
}

impl Compiler {
    /// Compiles the plugins of an object, and notes what they need besides.
    ///
    /// # Errors
    /// One of them cannot be honoured, or waits for a secret: the object stays as it was.
    pub(crate) fn compile_plugins(
        &mut self,
        entry: &Entry,
        plugins: &mut resource::Plugins,
        needs: &mut Needs,
    ) -> Result<Arc<PluginSet>, Problem> {
        if plugins.is_empty() {
            self.instances.forget(&entry.key);
            return Ok(Arc::default());
        }
        self.decrypt_plugins(&entry.key, plugins);
        self.compile_decrypted(entry, plugins, needs)
    }

    /// The same of plugins that have been decrypted. Those that would be compiled to what they are go on.
    pub(crate) fn compile_decrypted(
        &mut self,
        entry: &Entry,
        plugins: &resource::Plugins,
        needs: &mut Needs,
    ) -> Result<Arc<PluginSet>, Problem> {
        let before = self.instances.take(&entry.key);
        let compiled = self.compile_all(&parent(entry), plugins, needs, &before);
        let (made, compiled) = match compiled {
            Ok((made, upstreams)) => {
                self.inline.put_in_force(upstreams);
                let set = made.set.clone();
                (made, Ok(set))
            }
            // The object stays as it was.
            Err(problem) => (before, Err(problem)),
        };
        self.instances.put(&entry.key, made);
        compiled
    }

    /// All plugins of an object, and the upstreams written into them, which are in force when the caller puts them there.
    fn compile_all(
        &self,
        parent: &Parent,
        plugins: &Map<String, Value>,
        needs: &mut Needs,
        before: &Made,
    ) -> Result<(Made, Vec<Prepared>), Problem> {
        // Nothing is compiled for an object that waits, and all secrets that it needs are asked for at once.
        let mut resolved = Vec::new();
        let mut waits = None;
        for (name, config) in plugins {
            if let Some(plugin) = self.settings.plugins.find(name) {
                match self.resolve(config, needs) {
                    Ok(config) => resolved.push((plugin, config)),
                    Err(problem) => waits = waits.or(Some(problem)),
                }
            }
        }
        if let Some(problem) = waits {
            return Err(problem);
        }
        let mut set = PluginSet::default();
        let mut all_from = Vec::new();
        let mut upstreams = Vec::new();
        for (plugin, config) in resolved {
            let name = plugin.about.name;
            let slot = self.keep_or_compile(plugin, parent, &config, needs, before);
            let (slot, from, own) = slot.map_err(|problem| named(name, problem))?;
            set.insert(name, slot);
            all_from.extend(from.map(|from| (name, from)));
            upstreams.extend(own);
        }
        // Whoever compares sets by their addresses sees that nothing has changed.
        let set = if before.is(&set) {
            before.set.clone()
        } else {
            Arc::new(set)
        };
        let made = Made {
            set,
            from: all_from,
        };
        Ok((made, upstreams))
    }

    /// The instance that was made `before`, if it would be the same; what it is made from is `None` of one that does not run. Last come
    /// the upstreams of one that is made.
    fn keep_or_compile(
        &self,
        plugin: &Descriptor,
        parent: &Parent,
        config: &Value,
        needs: &mut Needs,
        before: &Made,
    ) -> Result<(Slot, Option<MadeFrom>, Vec<Prepared>), Problem> {
        let fingerprint = self.instances.fingerprint(config);
        if let Some((instance, from)) = before.instance(plugin.about.name)
            && from.config == fingerprint
            && from
                .found
                .iter()
                .all(|found| self.finds_again(found, needs))
        {
            return Ok((Slot::On(instance.clone()), Some(from.clone()), Vec::new()));
        }
        let place = &parent.key;
        let (slot, told) = self.compile(plugin, parent, place, config, needs, |config, cx| {
            Slot::compile(plugin, config, cx)
        })?;
        let from = MadeFrom {
            config: fingerprint,
            found: told.found.into(),
        };
        let from = matches!(slot, Slot::On(_)).then_some(from);
        Ok((slot, from, told.upstreams))
    }

    /// Compiles plugins that are written into the configuration of another.
    fn compile_within(
        &self,
        parent: &Parent,
        place: &str,
        plugins: &Map<String, Value>,
        needs: &mut Needs,
        told: &mut Told,
    ) -> Result<PluginSet, Problem> {
        let mut set = PluginSet::default();
        for (name, config) in plugins {
            let plugin = self.settings.plugins.find(name);
            let found = Found::Plugin(name.as_str().into(), plugin.is_some());
            told.found.push(found);
            let Some(plugin) = plugin else { continue };
            let config = &*self.resolve(config, needs)?;
            let slot = self.compile(plugin, parent, place, config, needs, |config, cx| {
                Slot::compile(plugin, config, cx)
            });
            let (slot, within) = slot.map_err(|problem| named(name, problem))?;
            set.insert(plugin.about.name, slot);
            told.found.extend(within.found);
            told.upstreams.extend(within.upstreams);
        }
        Ok(set)
    }

    /// Compiles something of a plugin's: references to secrets are resolved, and noted as what it needs.
    pub(crate) fn with_context<T>(
        &mut self,
        plugin: &Descriptor,
        parent: &Parent,
        config: &Value,
        needs: &mut Needs,
        compile: impl FnOnce(&Value, &Compile<'_>) -> Result<T, ConfigError>,
    ) -> Result<T, Problem> {
        let config = self.resolve(config, needs)?;
        let (compiled, told) =
            self.compile(plugin, parent, &parent.key, &config, needs, compile)?;
        self.inline.put_in_force(told.upstreams);
        Ok(compiled)
    }

    /// A configuration with secrets in the places of references to them, which are noted as needed.
    fn resolve<'v>(&self, config: &'v Value, needs: &mut Needs) -> Result<Cow<'v, Value>, Problem> {
        if !has_reference(config) {
            return Ok(Cow::Borrowed(config));
        }
        let answer = self.settings.secrets.resolve(config);
        needs.secrets(answer.uses);
        match answer.pending.first() {
            Some(reference) => Err(Problem::Waiting(reference.to_string())),
            None => Ok(Cow::Owned(answer.value)),
        }
    }

    /// Compiles something of a plugin's, whose references have been resolved; what it was told comes second.
    fn compile<T>(
        &self,
        plugin: &Descriptor,
        parent: &Parent,
        place: &str,
        config: &Value,
        needs: &mut Needs,
        compile: impl FnOnce(&Value, &Compile<'_>) -> Result<T, ConfigError>,
    ) -> Result<(T, Told), Problem> {
        let host = Host {
            compiler: self,
            plugin: plugin.about.name,
            parent,
            place,
            needs: RefCell::new(needs),
            told: RefCell::default(),
        };
        let cx = Compile {
            node: &self.settings.plugins.node,
            about: plugin.about,
            parent,
            config,
            host: &host,
        };
        let compiled = compile(config, &cx);
        let compiled = compiled.map_err(|error| Problem::Malformed(error.to_string()))?;
        Ok((compiled, host.told.into_inner()))
    }

    /// Decrypts the plugin configurations of an object, and notes those that do nothing.
    pub(crate) fn decrypt_plugins(&mut self, key: &Arc<str>, plugins: &mut resource::Plugins) {
        let part = secrets::part_of(key);
        let unread = self.settings.plugin_secrets.decrypt_all(plugins, part);
        self.note_unread(key, &unread);
        // Nobody shall find that out by traffic. Whoever stores them is warned by the Admin API; a line here would come again for
        // every route that is rebuilt.
        if let Some(sentence) = inactive::sentence(plugins, &self.settings.plugins) {
            self.problems.add(key, Problem::NotHonoured(sentence));
        }
    }

    /// Takes in an object that is nothing but plugins; what was in force stays where it cannot be honoured.
    pub(crate) fn put_holder(&mut self, entry: &Entry) -> Option<Arc<PluginSet>> {
        let mut holder = self.read::<Holder>(entry)?;
        let mut needs = Needs::default();
        let compiled = self.compile_plugins(entry, &mut holder.plugins, &mut needs);
        self.needing.hold(entry, needs);
        compiled
            .map_err(|problem| self.note(&entry.key, problem))
            .ok()
    }

    /// Takes in the metadata of a plugin.
    pub(crate) fn put_metadata(&mut self, name: &str, entry: &Entry) {
        let Some(mut config) = self.read::<Value>(entry) else {
            return;
        };
        let secrets = &self.settings.plugin_secrets;
        let unread = secrets.decrypt(name, Part::Metadata, &mut config);
        self.note_unread(&entry.key, &unread);
        let Some(plugin) = self.settings.plugins.find(name) else {
            return;
        };
        let Some(of) = plugin.metadata else { return };
        let parent = parent(entry);
        let mut needs = Needs::default();
        let node = self.settings.plugins.node.clone();
        let done = self.with_context(plugin, &parent, &config, &mut needs, |config, cx| {
            node.set_metadata(of, config, cx)
        });
        self.needing.hold(entry, needs);
        if let Err(problem) = done {
            self.note(&entry.key, problem);
        }
    }

    /// Ends the metadata of a plugin.
    pub(crate) fn remove_metadata(&self, name: &str) {
        if let Some(plugin) = self.settings.plugins.find(name) {
            self.settings
                .plugins
                .node
                .remove_metadata(plugin.about.name);
        }
    }
}

/// The rules that go for every request.
#[derive(Debug, Default)]
pub(crate) struct GlobalRules {
    by_id: BTreeMap<Arc<str>, Arc<PluginSet>>,
    chain: Option<Arc<Chain>>,
    /// Rules that wait for secrets and were never in force.
    waiting: HashSet<Arc<str>>,
}

impl GlobalRules {
    /// A rule cannot be put in force before a secret has been looked up: until then no request is served, for it might keep it out.
    pub(crate) fn wait(&mut self, id: &str) {
        if !self.by_id.contains_key(id) {
            self.waiting.insert(id.into());
        }
    }

    /// A rule that waited turned out to be none: as one that was none from the start, it is passed over.
    pub(crate) fn give_up(&mut self, id: &str) {
        self.waiting.remove(id);
    }

    /// Whether one is waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn put(&mut self, id: &str, set: Arc<PluginSet>) {
        self.waiting.remove(id);
        self.by_id.insert(id.into(), set);
        self.build();
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.waiting.remove(id);
        self.by_id.remove(id);
        self.build();
    }

    pub(crate) fn chain(&self) -> Option<Arc<Chain>> {
        self.chain.clone()
    }

    /// All rules run as one chain. A plugin that several configure runs by none of them (`merge_global_rules` in
    /// `apisix/plugin.lua`).
    fn build(&mut self) {
        let mut seen = HashSet::new();
        let mut twice = HashSet::new();
        for (name, _) in self.by_id.values().flat_map(|set| set.iter()) {
            if !seen.insert(name) && twice.insert(name) {
                tracing::error!(
                    "Found {name} configured across different global rules. Removing it from execution list"
                );
            }
        }
        let mut all = PluginSet::default();
        for (name, slot) in self.by_id.values().flat_map(|set| set.iter()) {
            if !twice.contains(name) {
                all.insert(name, slot.clone());
            }
        }
        self.chain = Chain::of(&all).map(Arc::new);
    }
}

impl Compiler {
    pub(crate) fn put_plugin_config(&mut self, id: &str, entry: &Entry, dirty: &mut Dirty) {
        // One that was never in force does not exist: routes that name it would serve what they must not.
        if let Some(set) = self.put_holder(entry) {
            self.plugin_configs.insert(id.into(), set);
        }
        dirty
            .routes
            .extend(self.of_plugin_config.users(id).cloned());
    }

    pub(crate) fn put_group(&mut self, id: &str, entry: &Entry) {
        if let Some(set) = self.put_holder(entry) {
            Arc::make_mut(&mut self.groups).insert(id.into(), set);
        }
    }
}

/// An object as plugins are told of it.
pub(crate) fn parent(entry: &Entry) -> Parent {
    Parent {
        key: entry.key.clone(),
        revision: entry.mod_revision,
    }
}

/// Names the plugin that a problem is about.
fn named(name: &str, problem: Problem) -> Problem {
    match problem {
        Problem::Malformed(sentence) => Problem::Malformed(format!(
            "failed to check the configuration of plugin {name} err: {sentence}"
        )),
        other => other,
    }
}
