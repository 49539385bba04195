//! Consumers and their credentials: from stored objects to the indices that authentication plugins look them up in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lockgate_model::resource;
use lockgate_plugin::{Consumer, PluginSet, Removed, Secret};
use lockgate_store::Entry;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Compiler, Problem, needs::Needs, plugins::parent};

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
    /// What a consumer brings along who brings nothing: one for all, so that requests find it in the cache of their core.
    nothing: Arc<PluginSet>,
    /// What is to be told to the indices, by plugin.
    news: BTreeMap<&'static str, News>,
}

/// What an index is to be told.
#[derive(Debug, Default)]
struct News {
    removed: Vec<Removed>,
    put: Vec<(Box<[u8]>, Arc<Consumer>)>,
}

/// What is stored under one name.
#[derive(Debug, Default)]
struct OfName {
    consumer: Option<Entry>,
    credentials: BTreeMap<Box<str>, Entry>,
    /// How the consumer is found: plugin, and key in its index.
    found_by: Vec<(&'static str, Removed)>,
    /// What the consumer brought along when that could be compiled last.
    plugins: Option<Arc<PluginSet>>,
}

/// A consumer, and how to be found: plugin, and key in its index.
type Found = (&'static str, Box<[u8]>, Arc<Consumer>);

/// A credential that waits for a secret, and is what it was until then: plugin and id.
type Kept = (&'static str, Option<Arc<str>>);

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
}

impl Compiler {
    /// Builds a consumer from its stored value and its credentials. What cannot be built, or not yet, stays as it was; what is no
    /// longer stored does not.
    pub(crate) fn build_consumer(&mut self, name: &Arc<str>) {
        let Some(mut of_name) = self.consumers.by_name.remove(name) else {
            return;
        };
        let built = if let Some(entry) = &of_name.consumer {
            let before = of_name.plugins.take();
            self.consumer(name, entry, &of_name.credentials, before)
        } else {
            self.note_orphans(&of_name.credentials);
            Some((Vec::new(), Vec::new()))
        };
        let is_stored = |credential: &Option<Arc<str>>| {
            let credential = credential.as_deref();
            credential.is_none_or(|id| of_name.credentials.contains_key(id))
        };
        let stays = |plugin: &'static str, removed: &Removed| match &built {
            None => is_stored(&removed.credential_id),
            Some((_, kept)) => kept
                .iter()
                .any(|(whose, id)| *whose == plugin && *id == removed.credential_id),
        };
        let news = &mut self.consumers.news;
        let mut found_by = Vec::new();
        for (plugin, removed) in std::mem::take(&mut of_name.found_by) {
            if stays(plugin, &removed) {
                found_by.push((plugin, removed));
            } else {
                news.entry(plugin).or_default().removed.push(removed);
            }
        }
        for (plugin, key, consumer) in built.map(|(found, _)| found).into_iter().flatten() {
            if plugin.is_empty() {
                of_name.plugins = Some(consumer.plugins.clone());
            }
            let removed = Removed {
                key: key.clone(),
                name: name.clone(),
                credential_id: consumer.credential_id.clone(),
            };
            found_by.push((plugin, removed));
            news.entry(plugin).or_default().put.push((key, consumer));
        }
        of_name.found_by = found_by;
        if of_name.consumer.is_some() || !of_name.credentials.is_empty() {
            self.consumers.by_name.insert(name.clone(), of_name);
        }
    }

    /// Tells the indices what has changed. To be called when the snapshot that belongs to it has been published: consumers name groups
    /// that are in it.
    pub fn publish_consumers(&mut self) {
        let node = &self.settings.plugins.node;
        for (plugin, News { removed, put }) in std::mem::take(&mut self.consumers.news) {
            node.consumers(plugin).update(removed, put);
        }
    }

    /// What is wrong with credentials shall be known before they have a consumer.
    fn note_orphans(&mut self, credentials: &BTreeMap<Box<str>, Entry>) {
        for entry in credentials.values() {
            tracing::warn!(key = %entry.key, "a credential belongs to no consumer");
            if let Some(mut stored) = self.read::<Stored>(entry) {
                self.decrypt_plugins(&entry.key, &mut stored.plugins);
            }
        }
    }

    /// Builds a consumer, who brings along what was brought `before` where the newest plugins cannot be honoured; `None` where that
    /// cannot be done, or not yet.
    fn consumer(
        &mut self,
        name: &Arc<str>,
        entry: &Entry,
        credentials: &BTreeMap<Box<str>, Entry>,
        before: Option<Arc<PluginSet>>,
    ) -> Option<(Vec<Found>, Vec<Kept>)> {
        let mut stored = self.read::<Stored>(entry)?;
        let mut needs = Needs::default();
        let plugins = self.compile_consumers_own(entry, &mut stored.plugins, &mut needs);
        self.needing.hold(entry, needs);
        let plugins = match plugins {
            Ok(plugins) => plugins,
            Err(problem) => {
                self.note(&entry.key, problem);
                before?
            }
        };
        let label = |name: &str| stored.labels.get(name).and_then(Value::as_str);
        // As a rule they are the same, and then the same text.
        let username = stored.username.as_deref().filter(|it| **it != **name);
        let facts = Consumer {
            name: name.clone(),
            username: username.map_or_else(|| name.clone(), Arc::from),
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
        let by_name = (
            "",
            Box::from(name.as_bytes()),
            Arc::new(copy(&facts, facts.credential.clone())),
        );
        let mut found = vec![by_name];
        let mut kept = self.add_credentials(entry, &stored.plugins, &facts, &mut found);
        for (id, entry) in credentials {
            if let Some(mut stored) = self.read::<Stored>(entry) {
                self.decrypt_plugins(&entry.key, &mut stored.plugins);
                let facts = Consumer {
                    credential_id: Some(id.as_ref().into()),
                    ..copy(&facts, facts.credential.clone())
                };
                kept.extend(self.add_credentials(entry, &stored.plugins, &facts, &mut found));
            }
        }
        Some((found, kept))
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
        if brought.is_empty() {
            self.instances.forget(&entry.key);
            return Ok(self.consumers.nothing.clone());
        }
        self.compile_decrypted(entry, &brought, needs)
    }

    /// Adds a consumer for each credential among these plugins; returns those that wait for a secret.
    fn add_credentials(
        &mut self,
        entry: &Entry,
        plugins: &resource::Plugins,
        facts: &Consumer,
        found: &mut Vec<Found>,
    ) -> Vec<Kept> {
        let parent = parent(entry);
        let mut needs = Needs::default();
        let mut waiting = Vec::new();
        for (name, config) in plugins {
            let Some(plugin) = self.settings.plugins.find(name) else {
                continue;
            };
            let Some(of) = plugin.credential else {
                continue;
            };
            let compiled = self.with_context(plugin, &parent, config, &mut needs, |config, cx| {
                of.compile(config, cx)
            });
            match compiled {
                Ok((key, secret)) => {
                    found.push((plugin.about.name, key, Arc::new(copy(facts, secret))));
                }
                Err(problem) => {
                    if matches!(problem, Problem::Waiting(_)) {
                        waiting.push((plugin.about.name, facts.credential_id.clone()));
                    }
                    self.note(&entry.key, problem);
                }
            }
        }
        self.needing.hold_also(entry, needs);
        waiting
    }
}

fn copy(facts: &Consumer, credential: Secret) -> Consumer {
    Consumer {
        name: facts.name.clone(),
        username: facts.username.clone(),
        group_id: facts.group_id.clone(),
        credential_id: facts.credential_id.clone(),
        custom_id: facts.custom_id.clone(),
        labels: facts.labels.clone(),
        credential,
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
