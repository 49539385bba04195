//! What a plugin is given when a configuration is compiled.

use std::sync::Arc;

use lockgate_upstream::Upstream;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{About, Consumers, Metadata, MetadataHandle, Node, PluginSet};

/// Why a configuration cannot be honoured: one sentence for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    /// With this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// The object that holds a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its key without the prefix, such as `routes/1`.
    pub key: Arc<str>,
    /// Revision of the store that had written it last (`modifiedIndex`). What was compiled goes on while the object is edited elsewhere,
    /// with the revision that it was compiled at.
    pub revision: u64,
}

/// What the compiler of snapshots does for plugins. What is asked for is a dependency: when it changes, the plugin is compiled anew.
/// While that, the configuration and the object's key stay the same, the compiled plugin goes on.
pub trait CompileHost {
    /// Compiles an upstream written into a plugin's configuration. `part` is where in it, such as `0#1`; what was compiled for the
    /// same part of the same object before hands over where its rounds stand and what is known of its nodes. What goes on in the
    /// background for the upstream ends when it is dropped.
    ///
    /// # Errors
    /// It is no upstream.
    fn upstream(&self, part: &str, config: &Value) -> Result<Arc<Upstream>, ConfigError>;

    /// The upstream of this id.
    fn upstream_by_id(&self, id: &str) -> Option<Arc<Upstream>>;

    /// Compiles plugins that are written into a plugin's configuration. `part` is where in it, such as `0#1`, another for each set:
    /// what is compiled within is told apart by it.
    ///
    /// # Errors
    /// One of them cannot be honoured.
    fn plugins(&self, part: &str, plugins: &Map<String, Value>) -> Result<PluginSet, ConfigError>;
}

/// Everything that a plugin may ask for while a configuration is compiled.
#[derive(Clone, Copy)]
pub struct Compile<'a> {
    /// What is shared by all workers and outlives configurations.
    pub node: &'a Node,
    /// The plugin.
    pub about: &'static About,
    /// The object that holds the configuration.
    pub parent: &'a Parent,
    /// The configuration as it is stored, with the defaults of its schema, secrets decrypted and references to them resolved.
    pub config: &'a Value,
    /// The compiler.
    pub host: &'a dyn CompileHost,
}

impl Compile<'_> {
    /// `plugin_attr.<name>` of `config.yaml`, in the type that the plugin reads it as; the type's default where there is none.
    ///
    /// # Errors
    /// The attributes do not fit the type.
    pub fn attributes<T: DeserializeOwned + Default>(&self) -> Result<T, ConfigError> {
        self.node
            .attributes(self.about.name)
            .map_or_else(|| Ok(T::default()), |value| parse(&value))
    }

    /// The configuration in a further type: for members that some configurations have and others do not.
    ///
    /// # Errors
    /// It does not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        parse(self.config)
    }

    /// The plugin's metadata, as it will be when the hooks run.
    pub fn metadata<T: Metadata>(&self) -> MetadataHandle<T> {
        MetadataHandle::new(self.node.metadata(self.about.name))
    }

    /// The consumers that have credentials for this plugin, as they will be when the hooks run.
    pub fn consumers(&self) -> Arc<Consumers> {
        self.node.consumers(self.about.name)
    }

    /// All consumers by their names, as they will be when the hooks run.
    pub fn consumers_by_name(&self) -> Arc<Consumers> {
        self.node.consumers("")
    }
}

/// Reads a configuration. Numbers without a fraction are integers, however they are written: to the reference both are the same.
pub(crate) fn parse<T: DeserializeOwned>(config: &Value) -> Result<T, ConfigError> {
    let mut config = config.clone();
    normalize(&mut config);
    serde_path_to_error::deserialize(config).map_err(|error| ConfigError(error.to_string()))
}

fn normalize(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Exact below 2^53; above, JSON of the reference has no exact integers either.
            if let Some(float) = number.as_f64()
                && number.is_f64()
                && float.fract() == 0.0
                && float.abs() < 9_007_199_254_740_992.0
            {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(normalize),
        Value::Object(members) => members.values_mut().for_each(normalize),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Config {
        count: u32,
        ratio: f64,
    }

    #[test]
    fn takes_whole_numbers_for_integers() {
        for (config, expected) in [
            (json!({"count": 1.0, "ratio": 1}), Some((1, 1.0))),
            (json!({"count": 2, "ratio": 0.5}), Some((2, 0.5))),
            (json!({"count": 1.5, "ratio": 1}), None),
        ] {
            let expected = expected.map(|(count, ratio)| Config { count, ratio });
            assert_eq!(parse::<Config>(&config).ok(), expected, "{config}");
        }
    }

    #[test]
    fn says_where_a_configuration_does_not_fit() {
        let error = parse::<Config>(&json!({"count": "x", "ratio": 1})).unwrap_err();
        assert!(error.0.starts_with("count: invalid type"), "{error}");
    }
}
