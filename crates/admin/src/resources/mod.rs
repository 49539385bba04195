//! The objects that the Admin API keeps: one file and one line of [`KINDS`] each.

mod conf;
mod consumer;
mod consumer_group;
mod credential;
mod global_rule;
mod graphql_cost_decoration;
mod holders;
mod owned;
mod place;
mod plugin_config;
mod plugin_metadata;
mod proto;
mod reference;
mod route;
mod sealed;
mod secret;
mod service;
mod ssl;
mod stream_route;
mod upstream;
mod verbs;

pub(crate) mod loaded;

pub(crate) use holders::Holders;
pub(crate) use place::{Misplaced, Place};
pub(crate) use sealed::Sealed;
pub(crate) use verbs::{Demand, answer};

use std::collections::BTreeSet;

use http::Method;
use lockgate_keyring::{Keyring, PluginSecrets};
use lockgate_store::{BoxFuture, Entry, Store, StoreError};
use serde_json::{Map, Value};

use crate::{
    environment::Environment,
    plugins::{Plugins, Purpose},
    schemas::{self, Schemas},
};

/// Every kind of object.
pub(crate) static KINDS: &[Kind] = &[
    consumer::KIND,
    consumer_group::KIND,
    credential::KIND,
    global_rule::KIND,
    graphql_cost_decoration::KIND,
    plugin_config::KIND,
    plugin_metadata::KIND,
    proto::KIND,
    route::KIND,
    secret::KIND,
    service::KIND,
    ssl::KIND,
    stream_route::KIND,
    upstream::KIND,
];

/// One kind of object.
pub(crate) struct Kind {
    /// The name in paths and keys, such as `plugin_configs`.
    pub(crate) plural: &'static str,
    /// The name in messages, such as `plugin config`.
    pub(crate) words: &'static str,
    /// Name of the schema; `None` where which one counts depends on the object.
    pub(crate) schema: Option<&'static str>,
    /// Further schemas that the check uses.
    pub(crate) schemas: &'static [&'static str],
    /// What an object is called by.
    pub(crate) identity: Identity,
    /// Verbs that the kind does not have.
    pub(crate) unsupported: &'static [Method],
    /// Checks an object before it is stored.
    pub(crate) check: CheckFn,
    /// Says why an object cannot be removed, where others may refer to it.
    pub(crate) find_user: Option<FindUserFn>,
    /// Objects that lie inside one of this kind and go away with it: the name in their keys.
    pub(crate) owned: Option<&'static str>,
    /// Fields by which listings can be filtered.
    pub(crate) filters: &'static [&'static str],
    /// Fields that are not shown.
    pub(crate) hidden: &'static [&'static str],
    /// What is encrypted when it is stored.
    pub(crate) sealed: Sealed,
}

/// What an object is called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// An `id`, which is stored with the object.
    Id,
    /// A field of the object.
    Field(&'static str),
    /// The path alone. Such an object has no times.
    Path,
}

/// An object to check, and where it is to be stored.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) conf: &'a Value,
    /// The id in the path or, where the kind has ids, of the object.
    pub(crate) id: Option<&'a str>,
    /// What the object lies inside: the consumer of a credential, the manager of a secret.
    pub(crate) parent: Option<&'a str>,
}

/// Checks an object; the message is what the client reads.
pub(crate) type CheckFn =
    for<'a> fn(&'a Rules<'a>, Subject<'a>) -> BoxFuture<'a, Result<(), String>>;

/// Finds an object that refers to the one of an id, and says so.
pub(crate) type FindUserFn =
    for<'a> fn(&'a dyn Store, &'a str) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

/// What a check may look at.
pub(crate) struct Rules<'a> {
    /// Where the objects are that others refer to.
    pub(crate) store: &'a dyn Store,
    /// Who has which keys of consumers, where single objects are written.
    pub(crate) holders: Option<&'a Holders>,
    /// The schemas.
    pub(crate) schemas: &'a Schemas,
    /// The plugins.
    pub(crate) plugins: &'a Plugins,
    /// What else the checks depend on.
    pub(crate) environment: &'a Environment,
    /// What stored secrets of plugins are decrypted with.
    pub(crate) secrets: &'a PluginSecrets,
    /// Unix seconds.
    pub(crate) now: u64,
    /// References to other objects need not lead anywhere.
    pub(crate) skips_references: bool,
    /// Objects of a whole configuration may say with `modifiedIndex` whether they have changed.
    pub(crate) takes_modified_index: bool,
}

impl Kind {
    /// A kind of which most is as usual: ids, all verbs, nobody refers to it.
    const fn plain(
        plural: &'static str,
        words: &'static str,
        schema: &'static str,
        check: CheckFn,
    ) -> Self {
        Self {
            plural,
            words,
            schema: Some(schema),
            schemas: &[],
            identity: Identity::Id,
            unsupported: &[],
            check,
            find_user: None,
            owned: None,
            filters: &[],
            hidden: &[],
            sealed: Sealed::NOTHING,
        }
    }

    /// The kind of this plural name.
    pub(crate) fn find(plural: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.plural == plural)
    }

    /// An entry as clients see it: without the fields that are not shown.
    pub(crate) fn shown(&self, mut entry: Entry) -> Entry {
        if self.hidden.is_empty() {
            return entry;
        }
        let read = serde_json::from_slice::<Map<String, Value>>(&entry.value);
        if let Ok(mut fields) = read {
            for name in self.hidden {
                fields.shift_remove(*name);
            }
            entry.value = Value::Object(fields).to_string().into_bytes().into();
        }
        entry
    }

    /// Names of all schemas that the kind uses.
    pub(crate) fn schema_names(&self) -> impl Iterator<Item = &'static str> {
        self.schema.iter().chain(self.schemas).copied()
    }
}

impl Rules<'_> {
    /// What private keys are decrypted with.
    fn keyring(&self) -> &Keyring {
        &self.environment.keyring
    }

    /// Whether the plugin of this name is switched on.
    pub(crate) fn has_plugin(&self, name: &str) -> bool {
        has(self.environment.plugins.as_ref(), name)
    }

    /// Whether the plugin of this name is switched on for streams.
    pub(crate) fn has_stream_plugin(&self, name: &str) -> bool {
        has(self.environment.stream_plugins.as_ref(), name)
    }

    /// Checks a value, as part of an object, against a schema.
    ///
    /// # Errors
    /// The first finding, in the words that the Admin API puts before it.
    fn schema(&self, name: &str, value: &Value) -> Result<(), String> {
        self.schemas
            .check(schemas::in_force(name, self.plugins), value)
            .map_err(|finding| format!("invalid configuration: {finding}"))
    }

    /// Checks the `plugins` of an object, where it has any.
    ///
    /// # Errors
    /// What the reference says of the first that does not fit.
    async fn plugins(&self, conf: &Value, purpose: Purpose) -> Result<(), String> {
        match conf.get("plugins").and_then(Value::as_object) {
            Some(configs) => self.plugins.check(configs, purpose, self).await,
            None => Ok(()),
        }
    }
}

fn has(names: Option<&BTreeSet<String>>, name: &str) -> bool {
    names.is_none_or(|names| names.contains(name))
}
