//! The plugins that objects may name: what is known of each, and whether a configuration fits (`apisix/plugin.lua`).
//!
//! Nothing here runs a plugin. Start at [`Plugins`]; what the schema of a plugin cannot say is in `checks`, one file per plugin.

pub(crate) mod api;
mod checks;
mod inactive;
mod plugin;
mod records;

pub(crate) use inactive::named_in as inactive_in;
pub(crate) use plugin::Plugin;

use std::collections::BTreeMap;

use lockgate_keyring::PluginFields;
use serde_json::{Map, Value};

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

/// Every plugin of both subsystems.
pub(crate) struct Plugins {
    http: Subsystem,
    stream: Subsystem,
    groups: checks::Groups,
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

impl Plugins {
    /// The plugins. Their schemas are read when they are first asked for.
    pub(crate) fn new() -> Self {
        Self {
            http: Subsystem::new(records::HTTP),
            stream: Subsystem::new(records::STREAM),
            groups: checks::Groups::default(),
        }
    }

    /// The HTTP plugin of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Plugin> {
        self.http.get(name)
    }

    /// The fields of HTTP plugins that are encrypted when they are stored, by plugin. Stream plugins have none: the reference encrypts nothing in
    /// the `plugins` of stream routes.
    pub(crate) fn secret_fields(&self) -> impl Iterator<Item = (String, PluginFields)> {
        self.http.iter().filter_map(|plugin| {
            let fields = plugin.secret_fields()?;
            Some((plugin.name().to_owned(), fields))
        })
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
            if let Err(why) = scope.check(&mut config)
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

    /// Checks the metadata of a plugin. A plugin without a schema for it takes any object.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn check_metadata(&self, name: &str, config: &Value) -> Result<(), String> {
        if !self.knows(name) {
            return Err("invalid plugin name".into());
        }
        let finding = self.metadata_finding(name, config);
        finding.map_or(Ok(()), |why| Err(format!("invalid configuration: {why}")))
    }

    /// Whether there is a plugin of this name, for HTTP or for streams.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.of_any(name).is_some()
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
        self.http.get(name).or_else(|| self.stream.get(name))
    }
}

impl Subsystem {
    fn new(records: records::Records) -> Self {
        let plugins = records
            .iter()
            .map(|(name, record)| (*name, Plugin::new(name, record)));
        Self {
            by_priority: records.iter().map(|(name, _)| *name).collect(),
            by_name: plugins.collect(),
        }
    }

    /// The plugin of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Plugin> {
        self.by_name.get(name)
    }

    /// All plugins, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.by_name.values()
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
