//! The objects that the Admin API keeps: one file and one line of [`KINDS`] each.

mod conf;
mod reference;
mod route;
mod service;
mod upstream;
mod verbs;

pub(crate) use verbs::{Demand, answer};

use lockgate_store::{BoxFuture, Store, StoreError};
use serde_json::Value;

use crate::{
    environment::Environment,
    plugins::{Plugins, Purpose},
    schemas::Schemas,
};

/// Every kind of object.
pub(crate) static KINDS: &[Kind] = &[route::KIND, service::KIND, upstream::KIND];

/// One kind of object.
pub(crate) struct Kind {
    /// The name in paths and keys, such as `routes`.
    pub(crate) plural: &'static str,
    /// The name in messages and of the schema, such as `route`.
    pub(crate) singular: &'static str,
    /// Further schemas that the check uses.
    pub(crate) schemas: &'static [&'static str],
    /// Checks an object before it is stored.
    pub(crate) check: CheckFn,
    /// Says why an object cannot be removed, where others may refer to it.
    pub(crate) find_user: Option<FindUserFn>,
    /// Fields by which listings can be filtered.
    pub(crate) filters: &'static [&'static str],
}

/// Checks an object; the message is what the client reads.
pub(crate) type CheckFn = for<'a> fn(&'a Rules<'a>, &'a Value) -> BoxFuture<'a, Result<(), String>>;

/// Finds an object that refers to the one of an id, and says so.
pub(crate) type FindUserFn =
    for<'a> fn(&'a dyn Store, &'a str) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

/// What a check may look at.
pub(crate) struct Rules<'a> {
    /// Where the objects are that others refer to.
    pub(crate) store: &'a dyn Store,
    /// The schemas.
    pub(crate) schemas: &'a Schemas,
    /// The plugins.
    pub(crate) plugins: &'a Plugins,
    /// What else the checks depend on.
    pub(crate) environment: &'a Environment,
    /// Unix seconds.
    pub(crate) now: u64,
}

impl Kind {
    /// The kind of this plural name.
    pub(crate) fn find(plural: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.plural == plural)
    }
}

impl Rules<'_> {
    /// Checks a value, as part of an object, against a schema.
    ///
    /// # Errors
    /// The first finding, in the words that the Admin API puts before it.
    fn schema(&self, name: &str, value: &Value) -> Result<(), String> {
        self.schemas
            .check(name, value)
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
