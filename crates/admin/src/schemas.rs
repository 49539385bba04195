//! The schemas of the resources, compiled once.
//!
//! What an upstream has beyond the reference is no part of the schemas, which are published as the reference has them: it is
//! taken out, checked by itself, and put back.

use std::{borrow::Cow, collections::BTreeMap};

use lockgate_model::schema::BEYOND;
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
pub(crate) struct Schemas {
    by_name: BTreeMap<&'static str, Schema>,
    /// Of what an upstream has beyond the reference.
    beyond: Option<Schema>,
}

impl Schemas {
    /// Compiles the schemas of `names`. A name without a schema is left out, and then nothing is checked under it.
    pub(crate) fn load(names: impl IntoIterator<Item = &'static str>) -> Self {
        let schemas = names.into_iter().filter_map(|name| {
            let source = match name.strip_prefix("secrets/") {
                None if name == SSL_WITH_OCSP => lockgate_model::schema::ssl_with_ocsp_stapling(),
                Some(manager) => lockgate_model::schema::secret(manager)?,
                None => lockgate_model::schema::of(name)?,
            };
            Some((name, compile(name, source)?))
        });
        Self {
            by_name: schemas.collect(),
            beyond: lockgate_model::schema::beyond("upstream")
                .and_then(|source| compile(BEYOND, source)),
        }
    }

    /// Checks a value, and says what is wrong with it.
    ///
    /// # Errors
    /// The first finding.
    pub(crate) fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        let Some(schema) = self.by_name.get(name) else {
            return Ok(());
        };
        let mut value = Cow::Borrowed(value);
        for place in places_beyond(name) {
            if value.pointer(place).is_none() {
                continue;
            }
            if let Some(beyond) = take(value.to_mut(), place)
                && let Some(schema) = &self.beyond
            {
                schema.check(&beyond).map_err(|finding| {
                    let place = place.trim_start_matches('/').replace('/', ".");
                    format!("property \"{place}\" validation failed: {finding}")
                })?;
            }
        }
        schema.check(&value).map_err(|finding| finding.to_string())
    }

    /// Writes the defaults into a value that was checked before.
    pub(crate) fn fill(&self, name: &str, value: &mut Value) {
        let Some(schema) = self.by_name.get(name) else {
            return;
        };
        let beyond: Vec<_> = places_beyond(name)
            .iter()
            .filter_map(|place| Some((*place, take(value, place)?)))
            .collect();
        if let Err(finding) = schema.fill(value) {
            tracing::debug!(name, %finding, "a stored object does not fit its schema");
        }
        for (place, mut beyond) in beyond {
            let filled = self.beyond.as_ref().map(|schema| schema.fill(&mut beyond));
            if let Some(Err(finding)) = filled {
                tracing::debug!(name, %finding, "a stored object does not fit its schema");
            }
            put_back(value, place, beyond);
        }
    }
}

fn compile(name: &str, source: Value) -> Option<Schema> {
    Schema::compile(source)
        .inspect_err(|error| tracing::error!(name, %error, "a schema cannot be used"))
        .ok()
}

/// Where an object of this schema may hold what goes beyond the reference.
fn places_beyond(name: &str) -> &'static [&'static str] {
    match name {
        "upstream" => &["/lockgate"],
        "route" | "service" => &["/upstream/lockgate"],
        _ => &[],
    }
}

fn take(value: &mut Value, place: &str) -> Option<Value> {
    let (holder, field) = place.rsplit_once('/')?;
    let holder = value.pointer_mut(holder)?.as_object_mut()?;
    holder.shift_remove(field)
}

fn put_back(value: &mut Value, place: &str, beyond: Value) {
    if let Some((holder, field)) = place.rsplit_once('/')
        && let Some(holder) = value.pointer_mut(holder).and_then(Value::as_object_mut)
    {
        holder.insert(field.to_owned(), beyond);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_goes_beyond_the_reference_is_checked_by_itself() {
        let schemas = Schemas::load(["upstream", "route"]);
        let upstream = |beyond: Value| json!({"nodes": {"a:1": 1}, "lockgate": beyond});
        let inside = |beyond: Value| json!({"uri": "/", "upstream": upstream(beyond)});
        for (beyond, finding) in [
            (json!({}), None),
            (json!({"slow_start": 30, "sticky": {}}), None),
            (json!({"limits": {"max_requests": 1}}), None),
            (
                json!({"other": 1}),
                Some("additional properties forbidden, found other"),
            ),
            (
                json!({"retry": {"http_statuses": [200]}}),
                Some(
                    "property \"retry\" validation failed: property \"http_statuses\" validation failed: failed to validate item 1: expected 200 to be at least 400",
                ),
            ),
            (json!(1), Some("wrong type: expected object, got number")),
        ] {
            for (name, value, at) in [
                ("upstream", upstream(beyond.clone()), "lockgate"),
                ("route", inside(beyond.clone()), "upstream.lockgate"),
            ] {
                let expected = finding
                    .map(|finding| format!("property \"{at}\" validation failed: {finding}"));
                assert_eq!(schemas.check(name, &value).err(), expected);
            }
        }
        let mut value = upstream(json!({"sticky": {}}));
        schemas.fill("upstream", &mut value);
        assert_eq!(value["lockgate"]["sticky"]["path"], "/");
        assert_eq!(value["pass_host"], "pass");
    }
}
