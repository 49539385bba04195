//! From the text of a configuration file to the objects of a store.

use std::{collections::BTreeSet, time::SystemTime};

use lockgate_keyring::PluginSecrets;
use lockgate_model::document::{self, Document, LISTS, NoObject, PLUGIN_METADATA, PLUGINS};
use lockgate_store::{Item, Reading, Rejected, Whole};
use serde_json::Value;

use crate::{
    environment::Environment,
    plugins::Plugins,
    resources::{KINDS, Kind, Rules, loaded},
    schemas::Schemas,
};

/// Checks the objects of a configuration file one by one: what does not fit is left out, and harms no other.
pub struct Loader {
    schemas: Schemas,
    plugins: Plugins,
    secrets: PluginSecrets,
    environment: Environment,
}

impl Loader {
    /// Checks objects as a process with these settings does.
    pub fn new(environment: Environment) -> Self {
        let names = KINDS.iter().flat_map(Kind::schema_names);
        Self {
            schemas: Schemas::load(names.chain([PLUGINS])),
            plugins: Plugins::every(),
            secrets: environment.plugin_secrets(),
            environment,
        }
    }

    /// Makes objects of a configuration.
    pub async fn load(&self, document: &Document) -> Reading {
        for name in document::unknown_members(document) {
            tracing::warn!(
                name,
                "the configuration file has a member that nothing reads"
            );
        }
        let mut reading = Reading::default();
        let mut environment = self.environment.clone();
        if let Some(list) = document::plugins(document) {
            self.take_plugins(list, &mut environment, &mut reading)
                .await;
        }
        // Checks of plugins look at their metadata.
        let metadata = Whole::new();
        let rules = self.rules(&metadata, &environment);
        take_list(&rules, document, PLUGIN_METADATA, &mut reading).await;
        metadata.replace(reading.items.clone());
        for list in LISTS.iter().filter(|list| **list != PLUGIN_METADATA) {
            take_list(&rules, document, list, &mut reading).await;
        }
        reading
    }

    /// Takes the list of the plugins that are switched on, which counts instead of the one in `config.yaml`.
    async fn take_plugins(
        &self,
        list: Value,
        environment: &mut Environment,
        reading: &mut Reading,
    ) {
        let nothing = Whole::new();
        let rules = self.rules(&nothing, environment);
        if let Err(reason) = loaded::check(&rules, PLUGINS, PLUGINS, &list).await {
            reading.rejected.push(Rejected {
                key: PLUGINS.to_owned(),
                reason,
            });
            return;
        }
        let names = |is_stream: bool| -> BTreeSet<String> {
            let entries = list.as_array().into_iter().flatten();
            entries
                .filter(|entry| (entry.get("stream") == Some(&Value::Bool(true))) == is_stream)
                .filter_map(|entry| entry.get("name")?.as_str().map(str::to_owned))
                .collect()
        };
        environment.plugins = Some(names(false));
        environment.stream_plugins = Some(names(true));
        reading.items.push(Item {
            key: PLUGINS.to_owned(),
            value: list.to_string().into_bytes(),
            version: None,
        });
    }

    fn rules<'a>(&'a self, store: &'a Whole, environment: &'a Environment) -> Rules<'a> {
        Rules {
            store,
            holders: None,
            schemas: &self.schemas,
            plugins: &self.plugins,
            environment,
            secrets: &self.secrets,
            now: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |elapsed| elapsed.as_secs()),
            skips_references: true,
            takes_modified_index: false,
        }
    }
}

async fn take_list(rules: &Rules<'_>, document: &Document, list: &str, reading: &mut Reading) {
    for item in document::items(document, list) {
        let checked = match item {
            Err(error @ NoObject { .. }) => Err(Rejected {
                reason: error.to_string(),
                key: error.key,
            }),
            Ok(item) => {
                let written = Value::Object(item.written.clone());
                match loaded::check(rules, list, &item.key, &written).await {
                    Ok(()) => Ok(item),
                    Err(reason) => Err(Rejected {
                        key: item.key,
                        reason,
                    }),
                }
            }
        };
        match checked {
            Ok(item) => reading.items.push(stored(item, None)),
            Err(rejected) => reading.rejected.push(rejected),
        }
    }
}

/// An object as it lies in a store.
pub(super) fn stored(item: document::Item, version: Option<String>) -> Item {
    Item {
        key: item.key.clone(),
        value: item.stored().to_string().into_bytes(),
        version,
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Loader")
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}
