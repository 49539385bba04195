//! The schemas of the resources, compiled once.

use std::collections::BTreeMap;

use lockgate_schema::Schema;
use serde_json::Value;

use crate::plugins::Plugins;

/// What the plugin `ocsp-stapling` makes of the schema `ssl`.
pub(crate) const SSL_WITH_OCSP: &str = "ssl with ocsp_stapling";

/// The schema that counts under a name with these plugins.
pub(crate) fn in_force<'a>(name: &'a str, plugins: &Plugins) -> &'a str {
    if name == "ssl" && plugins.has("ocsp-stapling") {
        SSL_WITH_OCSP
    } else {
        name
    }
}

/// The schema that is published under a name with these plugins.
pub(crate) fn published(name: &str, plugins: &Plugins) -> Option<Value> {
    if name == "ssl" && in_force(name, plugins) == SSL_WITH_OCSP {
        return Some(lockgate_model::schema::ssl_with_ocsp_stapling());
    }
    lockgate_model::schema::of(name)
}

/// Schemas by the name they have in `/apisix/admin/schema/{name}`.
#[derive(Debug)]
pub(crate) struct Schemas(BTreeMap<&'static str, Schema>);

impl Schemas {
    /// Compiles the schemas of `names`. A name without a schema is left out, and then nothing is checked under it.
    pub(crate) fn load(names: impl IntoIterator<Item = &'static str>) -> Self {
        let schemas = names.into_iter().filter_map(|name| {
            let source = match name.strip_prefix("secrets/") {
                None if name == SSL_WITH_OCSP => lockgate_model::schema::ssl_with_ocsp_stapling(),
                Some(manager) => lockgate_model::schema::secret(manager)?,
                None => lockgate_model::schema::of(name)?,
            };
            match Schema::compile(source) {
                Ok(schema) => Some((name, schema)),
                Err(error) => {
                    tracing::error!(name, %error, "a schema cannot be used");
                    None
                }
            }
        });
        Self(schemas.collect())
    }

    /// Checks a value, and says what is wrong with it.
    ///
    /// # Errors
    /// The first finding.
    pub(crate) fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        let Some(schema) = self.0.get(name) else {
            return Ok(());
        };
        schema.check(value).map_err(|finding| finding.to_string())
    }

    /// Writes the defaults into a value that was checked before.
    pub(crate) fn fill(&self, name: &str, value: &mut Value) {
        let Some(schema) = self.0.get(name) else {
            return;
        };
        if let Err(finding) = schema.fill(value) {
            tracing::debug!(name, %finding, "a stored object does not fit its schema");
        }
    }
}
