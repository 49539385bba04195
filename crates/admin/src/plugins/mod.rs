//! The plugins that objects may name: what is known of each, and whether a configuration fits (`apisix/plugin.lua`).
//!
//! Nothing here runs a plugin. Start at [`Plugins`]; what the schema of a plugin cannot say is in `checks`, one file per plugin.

pub(crate) mod api;
mod checks;
mod inactive;
mod lists;
mod plugin;
mod records;

pub(crate) use inactive::named_in as inactive_in;
pub use lists::{ListSource, PluginLists};
pub(crate) use plugin::Plugin;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use lockgate_keyring::PluginFields;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::{environment::Environment, lua_syntax, lua_value::is_table, resources::Rules};

/// For which of its uses a configuration of a plugin is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// In `plugins` of a route and of most other objects.
    Plugin,
    /// In `plugins` of a consumer or a credential.
    Consumer,
    /// As plugin metadata.
    Metadata,
}

/// Every plugin of both subsystems, and which of them are switched on. Both APIs share one.
pub struct Plugins {
    http: Subsystem,
    stream: Subsystem,
    groups: checks::Groups,
    lists: RwLock<PluginLists>,
    source: Option<ListSource>,
    switched: Arc<Notify>,
}

/// The plugins of one subsystem.
pub(crate) struct Subsystem {
    by_priority: Vec<&'static str>,
    by_name: BTreeMap<&'static str, Plugin>,
}

/// What the check of a plugin may look at.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    plugin: &'a Plugin,
    purpose: Purpose,
    plugins: &'a Plugins,
    environment: &'a Environment,
    /// The stored metadata of the plugin, where its check asks for it.
    metadata: Option<&'a Value>,
    /// Unix seconds.
    now: u64,
}

impl Default for Plugins {
    fn default() -> Self {
        Self::new(PluginLists::default())
    }
}

impl Plugins {
    /// The plugins, with those of the lists switched on. Their schemas are read when they are first asked for.
    pub fn new(lists: PluginLists) -> Self {
        let plugins = Self {
            http: Subsystem::new(records::HTTP),
            stream: Subsystem::new(records::STREAM),
            groups: checks::Groups::default(),
            lists: RwLock::default(),
            source: None,
            switched: Arc::default(),
        };
        plugins.switch(lists);
        plugins
    }

    /// Every plugin there is, switched on.
    pub(crate) fn every() -> Self {
        Self::new(PluginLists::every())
    }

    /// Reads the lists from `source` when the plugins are to be loaded anew.
    #[must_use]
    pub fn reading(mut self, source: ListSource) -> Self {
        self.source = Some(source);
        self
    }

    /// Tells whoever waits that other plugins are switched on than before.
    pub fn switched(&self) -> Arc<Notify> {
        self.switched.clone()
    }

    /// Whether the HTTP plugin of this name is switched on.
    pub fn has(&self, name: &str) -> bool {
        self.http.get(name).is_some()
    }

    /// Reads the lists again. They stay as they are where that fails, which whoever reads them has logged.
    pub(crate) async fn reload(&self) {
        if let Some(source) = self.source.clone() {
            // It reads a file.
            match tokio::task::spawn_blocking(move || source()).await {
                Ok(Some(lists)) => self.switch(lists),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the lists of plugins are not read anew"),
            }
        }
        tracing::info!("the lists of plugins were loaded");
    }

    /// The lists as they are stored for the other nodes.
    pub(crate) fn stored(&self) -> Value {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        lists.stored()
    }

    fn switch(&self, lists: PluginLists) {
        self.http.switch(&lists.http, "http");
        self.stream.switch(&lists.stream, "stream");
        *self.lists.write().unwrap_or_else(PoisonError::into_inner) = lists;
        self.switched.notify_one();
    }

    /// The HTTP plugin of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Plugin> {
        self.http.get(name)
    }

    /// The fields of HTTP plugins that are encrypted when they are stored, by plugin, switched on or not. Stream plugins have none: the reference
    /// encrypts nothing in the `plugins` of stream routes.
    pub(crate) fn secret_fields(&self) -> impl Iterator<Item = (String, PluginFields)> {
        self.http.by_name.values().filter_map(|plugin| {
            let fields = plugin.secret_fields()?;
            Some((plugin.name().to_owned(), fields))
        })
    }

    /// The names of the HTTP plugins that are switched on, by falling priority.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.http.names()
    }

    /// Makes configurations that were checked before what plugins get to see: with the defaults of their schemas, and with a
    /// place for what goes for all plugins (`set_plugins_meta_parent`).
    pub(crate) fn fill(&self, configs: &mut Map<String, Value>) {
        for (name, config) in configs {
            let schema = self
                .get(name)
                .and_then(|plugin| plugin.schema(Purpose::Plugin));
            if let Some(Err(finding)) = schema.map(|schema| schema.fill(config)) {
                tracing::debug!(name, %finding, "a stored configuration does not fit its schema");
            }
            if let Some(config) = config.as_object_mut() {
                config
                    .entry("_meta")
                    .or_insert_with(|| Value::Object(Map::new()));
            }
        }
    }

    /// Checks the `plugins` of an object.
    ///
    /// # Errors
    /// What the reference says of the first that does not fit (`check_single_plugin_schema`).
    pub(crate) async fn check(
        &self,
        configs: &Map<String, Value>,
        purpose: Purpose,
        rules: &Rules<'_>,
    ) -> Result<(), String> {
        for (name, config) in configs {
            if !is_table(config) {
                return Err(format!("invalid plugin conf {config} for plugin [{name}]"));
            }
            let known = self.http.get(name).filter(|_| rules.has_plugin(name));
            let Some(plugin) = known else {
                return Err(format!("unknown plugin [{name}]"));
            };
            if checks::takes_anything(name) {
                continue;
            }
            let metadata = plugin.metadata(rules.store).await?;
            let scope = Scope {
                plugin,
                purpose,
                plugins: self,
                environment: rules.environment,
                metadata: metadata.as_ref(),
                now: rules.now,
            };
            let mut config = config.clone();
            let found = scope.check(&mut config);
            let found = found.and_then(|()| match purpose {
                Purpose::Plugin => rules.environment.ask(name, &config),
                Purpose::Consumer | Purpose::Metadata => Ok(()),
            });
            if let Err(why) = found
                && !is_disabled(&config)
            {
                return Err(format!(
                    "failed to check the configuration of plugin {name} err: {why}"
                ));
            }
            check_meta(name, &config)?;
        }
        Ok(())
    }

    /// Checks the `plugins` of a stream route.
    ///
    /// # Errors
    /// What the reference says of the first that does not fit (`stream_check_schema`).
    pub(crate) fn check_stream(
        &self,
        configs: &Map<String, Value>,
        rules: &Rules<'_>,
    ) -> Result<(), String> {
        for (name, config) in configs {
            if !is_table(config) {
                return Err(format!("invalid plugin conf {config} for plugin [{name}]"));
            }
            let known = self.stream.get(name);
            let Some(plugin) = known.filter(|_| rules.has_stream_plugin(name)) else {
                return Err(format!("unknown plugin [{name}]"));
            };
            let scope = Scope {
                plugin,
                purpose: Purpose::Plugin,
                plugins: self,
                environment: rules.environment,
                metadata: None,
                now: rules.now,
            };
            let mut config = config.clone();
            if let Err(why) = scope.check(&mut config)
                && !is_disabled(&config)
            {
                return Err(format!(
                    "failed to check the configuration of stream plugin [{name}]: {why}"
                ));
            }
        }
        Ok(())
    }

    /// Checks the metadata of a plugin, switched on or not. A plugin without a schema for it takes any object.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn check_metadata(&self, name: &str, config: &Value) -> Result<(), String> {
        if self.of_any(name).is_none() {
            return Err("invalid plugin name".into());
        }
        let finding = self.metadata_finding(name, config);
        finding.map_or(Ok(()), |why| Err(format!("invalid configuration: {why}")))
    }

    /// Whether a plugin of this name is switched on, for HTTP or for streams.
    pub(crate) fn runs(&self, name: &str) -> bool {
        self.http
            .get(name)
            .or_else(|| self.stream.get(name))
            .is_some()
    }

    /// What does not fit in the metadata of a plugin.
    pub(crate) fn metadata_finding(&self, name: &str, config: &Value) -> Option<String> {
        let schema = self.of_any(name)?.schema(Purpose::Metadata)?;
        schema
            .check(config)
            .err()
            .map(|finding| finding.to_string())
    }

    fn of_any(&self, name: &str) -> Option<&Plugin> {
        self.http.known(name).or_else(|| self.stream.known(name))
    }
}

impl Subsystem {
    fn new(records: records::Records) -> Self {
        let plugins = records
            .iter()
            .map(|(name, record, _)| (*name, Plugin::new(name, record)));
        Self {
            by_priority: records.iter().map(|(name, ..)| *name).collect(),
            by_name: plugins.collect(),
        }
    }

    /// The plugin of this name, if it is switched on.
    pub(crate) fn get(&self, name: &str) -> Option<&Plugin> {
        self.known(name).filter(|plugin| plugin.is_on())
    }

    /// The plugin of this name, switched on or not. Some plugins check parts of theirs as another one does.
    pub(crate) fn known(&self, name: &str) -> Option<&Plugin> {
        self.by_name.get(name)
    }

    /// Those that are switched on, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.by_name.values().filter(|plugin| plugin.is_on())
    }

    /// The names of those that are switched on, by falling priority.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let names = self.by_priority.iter().copied();
        names.filter(|name| self.get(name).is_some()).collect()
    }

    fn switch(&self, names: &[String], subsystem: &str) {
        for plugin in self.by_name.values() {
            plugin.switch(names.iter().any(|name| name == plugin.name()));
        }
        for name in names.iter().filter(|name| self.known(name).is_none()) {
            tracing::error!(
                name,
                subsystem,
                "failed to load plugin: there is none of this name"
            );
        }
    }
}

impl Scope<'_> {
    /// Checks a configuration and writes the defaults of its schema into it.
    fn check(&self, config: &mut Value) -> Result<(), String> {
        match self.plugin.check() {
            Some(check) => check(self, config),
            None => self.schema(config),
        }
    }

    /// Checks by the schema alone, and writes its defaults.
    fn schema(&self, config: &mut Value) -> Result<(), String> {
        let Some(schema) = self.plugin.schema(self.purpose) else {
            return Ok(());
        };
        schema.fill(config).map_err(|finding| finding.to_string())
    }
}

fn is_disabled(config: &Value) -> bool {
    let meta = config.get("_meta");
    meta.and_then(|meta| meta.get("disable")) == Some(&Value::Bool(true))
}

/// What every plugin may have besides its own configuration.
fn check_meta(name: &str, config: &Value) -> Result<(), String> {
    let Some(meta) = config.get("_meta") else {
        return Ok(());
    };
    if let Some(filter) = meta.get("filter") {
        checks::expression(Some(filter), "vars")?;
    }
    if let Some(source) = meta.get("pre_function").and_then(Value::as_str) {
        lua_syntax::check_named(source, "meta pre_function")
            .map_err(|why| format!("failed to load _meta.pre_function in plugin {name}: {why}"))?;
    }
    Ok(())
}
