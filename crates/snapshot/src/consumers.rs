//! Consumers and their credentials: from stored objects to the indices that authentication plugins look them up in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lockgate_model::resource;
use lockgate_plugin::{Consumer, Parent, PluginSet, Secret};
use lockgate_store::Entry;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Compiler, Problem, needs::Needs};

/// A consumer as it is stored; the credentials have the same fields, as far as they matter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stored {
    username: Option<String>,
    group_id: Option<Value>,
    labels: Map<String, Value>,
    plugins: resource::Plugins,
}

/// Everything stored of consumers, by name.
#[derive(Debug, Default)]
pub(crate) struct StoredConsumers {
    by_name: HashMap<Arc<str>, OfName>,
    /// What is to be told to the indices, by plugin.
    news: BTreeMap<&'static str, Vec<News>>,
}

/// A key of an index, and who is found by it from then on.
type News = (Box<[u8]>, Option<Arc<Consumer>>);

/// What is stored under one name.
#[derive(Debug, Default)]
struct OfName {
    consumer: Option<Entry>,
    credentials: BTreeMap<Box<str>, Entry>,
    /// Where the consumer can be found: plugin, and key in its index.
    found_by: Vec<(&'static str, Box<[u8]>)>,
}

/// Name of the consumer, and id of the credential where it is one, of a key below `consumers/`.
pub(crate) fn split(rest: &str) -> Option<(&str, Option<&str>)> {
    match rest.split_once('/') {
        None => Some((rest, None)),
        Some((name, inside)) => {
            let id = inside.strip_prefix("credentials/")?;
            (!id.is_empty() && !id.contains('/')).then_some((name, Some(id)))
        }
    }
    .filter(|(name, _)| !name.is_empty())
}

impl StoredConsumers {
    pub(crate) fn put(&mut self, name: &str, credential: Option<&str>, entry: &Entry) {
        let of_name = self.by_name.entry(name.into()).or_default();
        match credential {
            None => of_name.consumer = Some(entry.clone()),
            Some(id) => {
                of_name.credentials.insert(id.into(), entry.clone());
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str, credential: Option<&str>) {
        if let Some(of_name) = self.by_name.get_mut(name) {
            match credential {
                None => of_name.consumer = None,
                Some(id) => {
                    of_name.credentials.remove(id);
                }
            }
        }
    }

    fn tell(&mut self, plugin: &'static str, key: Box<[u8]>, consumer: Option<Arc<Consumer>>) {
        self.news.entry(plugin).or_default().push((key, consumer));
    }
}

impl Compiler {
    /// Builds a consumer from its stored value and its credentials.
    pub(crate) fn build_consumer(&mut self, name: &Arc<str>) {
        let Some(mut of_name) = self.consumers.by_name.remove(name) else {
            return;
        };
        for (plugin, key) in std::mem::take(&mut of_name.found_by) {
            self.consumers.tell(plugin, key, None);
        }
        if let Some(entry) = &of_name.consumer {
            of_name.found_by = self.consumer(name, entry, &of_name.credentials);
        } else {
            for entry in of_name.credentials.values() {
                tracing::warn!(key = %entry.key, "a credential belongs to no consumer");
                // What is wrong with it shall be known before it has one.
                if let Some(mut stored) = self.read::<Stored>(entry) {
                    self.decrypt_plugins(&entry.key, &mut stored.plugins);
                }
            }
        }
        if of_name.consumer.is_some() || !of_name.credentials.is_empty() {
            self.consumers.by_name.insert(name.clone(), of_name);
        }
    }

    /// Tells the indices what has changed.
    pub(crate) fn publish_consumers(&mut self) {
        let node = &self.settings.plugins.node;
        for (plugin, news) in std::mem::take(&mut self.consumers.news) {
            node.consumers(plugin).update(news);
        }
    }

    fn consumer(
        &mut self,
        name: &Arc<str>,
        entry: &Entry,
        credentials: &BTreeMap<Box<str>, Entry>,
    ) -> Vec<(&'static str, Box<[u8]>)> {
        let Some(mut stored) = self.read::<Stored>(entry) else {
            return Vec::new();
        };
        let mut needs = Needs::default();
        let plugins = self.compile_consumers_own(entry, &mut stored.plugins, &mut needs);
        self.needing.hold(entry, needs);
        let plugins = match plugins {
            Ok(plugins) => plugins,
            Err(problem) => {
                self.note(&entry.key, problem);
                return Vec::new();
            }
        };
        let label = |name: &str| stored.labels.get(name).and_then(Value::as_str);
        let facts = Consumer {
            name: name.clone(),
            username: stored
                .username
                .as_deref()
                .map_or_else(|| name.clone(), Arc::from),
            group_id: stored.group_id.as_ref().map(|id| match id {
                Value::String(text) => text.as_str().into(),
                other => other.to_string().into(),
            }),
            credential_id: None,
            custom_id: label("custom_id").map(Arc::from),
            labels: stored.labels,
            credential: Secret(Arc::new(())),
            plugins,
            revision: entry.mod_revision,
        };
        let mut found_by = vec![("", Box::from(name.as_bytes()))];
        self.consumers.tell(
            "",
            name.as_bytes().into(),
            Some(Arc::new(copy(&facts, None))),
        );
        self.add_credentials(entry, &stored.plugins, &facts, &mut found_by);
        for (id, entry) in credentials {
            if let Some(mut stored) = self.read::<Stored>(entry) {
                self.decrypt_plugins(&entry.key, &mut stored.plugins);
                let facts = Consumer {
                    credential_id: Some(id.as_ref().into()),
                    ..copy(&facts, None)
                };
                self.add_credentials(entry, &stored.plugins, &facts, &mut found_by);
            }
        }
        found_by
    }

    /// The plugins that a consumer brings along: those that authenticate are credentials, and none of them.
    fn compile_consumers_own(
        &mut self,
        entry: &Entry,
        plugins: &mut resource::Plugins,
        needs: &mut Needs,
    ) -> Result<Arc<PluginSet>, Problem> {
        self.decrypt_plugins(&entry.key, plugins);
        let mut brought = plugins.clone();
        let is_credential = |name: &str| {
            let plugin = self.settings.plugins.find(name);
            plugin.is_some_and(|plugin| plugin.credential.is_some())
        };
        brought.retain(|name, _| !is_credential(name));
        self.compile_decrypted(entry, &brought, needs)
    }

    /// Makes a consumer known by each credential among these plugins.
    fn add_credentials(
        &mut self,
        entry: &Entry,
        plugins: &resource::Plugins,
        facts: &Consumer,
        found_by: &mut Vec<(&'static str, Box<[u8]>)>,
    ) {
        let parent = Parent {
            key: entry.key.clone(),
            revision: entry.mod_revision,
        };
        let mut needs = Needs::default();
        for (name, config) in plugins {
            let Some(plugin) = self.settings.plugins.find(name) else {
                continue;
            };
            let Some(of) = plugin.credential else {
                continue;
            };
            let compiled = self.with_context(plugin, &parent, config, &mut needs, |config, cx| {
                let secret = of.compile(config, cx)?;
                Ok((
                    config
                        .get(of.key)
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                    secret,
                ))
            });
            match compiled {
                Ok((Some(key), secret)) => {
                    let key: Box<[u8]> = key.into_bytes().into();
                    found_by.push((plugin.about.name, key.clone()));
                    let consumer = Arc::new(copy(facts, Some(secret)));
                    self.consumers.tell(plugin.about.name, key, Some(consumer));
                }
                Ok((None, _)) => {
                    let sentence = format!("missing consumer auth credential '{}'", of.key);
                    self.note(&entry.key, Problem::NotHonoured(sentence));
                }
                Err(problem) => self.note(&entry.key, problem),
            }
        }
        self.needing.hold_also(entry, needs);
    }
}

fn copy(facts: &Consumer, credential: Option<Secret>) -> Consumer {
    Consumer {
        name: facts.name.clone(),
        username: facts.username.clone(),
        group_id: facts.group_id.clone(),
        credential_id: facts.credential_id.clone(),
        custom_id: facts.custom_id.clone(),
        labels: facts.labels.clone(),
        credential: credential.unwrap_or_else(|| facts.credential.clone()),
        plugins: facts.plugins.clone(),
        revision: facts.revision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_consumers_from_credentials() {
        for (rest, expected) in [
            ("jack", Some(("jack", None))),
            ("jack/credentials/1", Some(("jack", Some("1")))),
            ("jack/credentials/", None),
            ("jack/credentials/1/2", None),
            ("jack/others/1", None),
            ("", None),
        ] {
            assert_eq!(split(rest), expected, "{rest}");
        }
    }
}
