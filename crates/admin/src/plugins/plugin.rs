//! One plugin: what is recorded of it, read when it is first asked for.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use lockgate_keyring::PluginFields;
use lockgate_schema::Schema;
use lockgate_store::Store;
use serde_json::{Map, Value, json};

use super::{Purpose, checks};

/// A plugin.
pub(crate) struct Plugin {
    name: &'static str,
    record: &'static str,
    check: Option<checks::Check>,
    read: OnceLock<Facts>,
    is_on: AtomicBool,
}

/// What is recorded.
struct Facts {
    about: Map<String, Value>,
    schema: Schema,
    consumer: Option<Schema>,
    metadata: Option<Schema>,
}

/// Marks schemas that [`inject`] has been at. The reference's mark.
const INJECTED: &str = "this is a mark for our injected plugin schema";

impl Plugin {
    pub(super) fn new(name: &'static str, record: &'static str) -> Self {
        Self {
            name,
            record,
            check: checks::of(name),
            read: OnceLock::new(),
            is_on: AtomicBool::new(false),
        }
    }

    /// Whether objects may name it.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn switch(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    /// The name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it authenticates consumers.
    pub(crate) fn is_auth(&self) -> bool {
        self.facts().about.get("type").and_then(Value::as_str) == Some("auth")
    }

    /// What is published of it: the members of `names` that it has.
    pub(crate) fn describe(&self, names: &[&str]) -> Value {
        let facts = self.facts();
        let member = |name: &str| match name {
            "schema" => Some(facts.schema.source().clone()),
            "consumer_schema" => facts
                .consumer
                .as_ref()
                .map(|schema| schema.source().clone()),
            "metadata_schema" => self
                .schema(Purpose::Metadata)
                .map(|schema| schema.source().clone()),
            other => facts.about.get(other).cloned(),
        };
        let members = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), member(name)?)));
        Value::Object(members.collect())
    }

    /// The schema for a purpose. Consumers of plugins without one for them get the plugin's; metadata may have none.
    pub(crate) fn schema(&self, purpose: Purpose) -> Option<&Schema> {
        let facts = self.facts();
        match purpose {
            Purpose::Plugin => Some(&facts.schema),
            Purpose::Consumer => Some(facts.consumer.as_ref().unwrap_or(&facts.schema)),
            Purpose::Metadata => facts.metadata.as_ref(),
        }
    }

    /// The schema that consumers of the plugin have of their own.
    pub(crate) fn consumer_schema(&self) -> Option<&Schema> {
        self.facts().consumer.as_ref()
    }

    /// `encrypt_fields` of its schemas; `None` where it has none. Does not compile the schemas.
    pub(super) fn secret_fields(&self) -> Option<PluginFields> {
        // Most records need not be read.
        if !self.record.contains("\"encrypt_fields\"") {
            return None;
        }
        let record: Value = serde_json::from_str(self.record).ok()?;
        let fields = |name: &str| -> Option<Vec<String>> {
            let fields = record.get(name)?.get("encrypt_fields");
            let fields = fields.and_then(Value::as_array).into_iter().flatten();
            let fields = fields.filter_map(Value::as_str);
            Some(fields.map(str::to_owned).collect())
        };
        let plugin = fields("schema").unwrap_or_default();
        Some(PluginFields {
            consumer: fields("consumer_schema").unwrap_or_else(|| plugin.clone()),
            metadata: fields("metadata_schema").unwrap_or_default(),
            plugin,
        })
    }

    pub(super) fn check(&self) -> Option<checks::Check> {
        self.check
    }

    /// The stored metadata, for the plugins whose check asks for it.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn metadata(&self, store: &dyn Store) -> Result<Option<Value>, String> {
        if !checks::needs_metadata(self.name) {
            return Ok(None);
        }
        let entry = store.get(&format!("plugin_metadata/{}", self.name)).await;
        let entry = entry.map_err(|error| error.to_string())?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    fn facts(&self) -> &Facts {
        self.read.get_or_init(|| {
            Facts::read(self.record)
                .expect("invariant: the records are part of the program, and a test reads each")
        })
    }
}

impl Facts {
    fn read(record: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let mut about: Map<String, Value> = serde_json::from_str(record)?;
        let mut schema = about.shift_remove("schema").unwrap_or_else(|| json!({}));
        inject(&mut schema);
        let mut optional = |name: &str| about.shift_remove(name).map(Schema::compile).transpose();
        Ok(Self {
            schema: Schema::compile(schema)?,
            consumer: optional("consumer_schema")?,
            metadata: optional("metadata_schema")?,
            about,
        })
    }
}

/// Adds what every plugin may have besides its own configuration (`plugin_injected_schema` in `apisix/schema_def.lua`). It is looked at
/// first, unless the record has a place for it.
fn inject(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        let place = properties.keys().position(|name| name == "_meta");
        properties.shift_insert(place.unwrap_or(0), "_meta".into(), meta());
    }
    schema.insert("$comment".into(), INJECTED.into());
}

fn meta() -> Value {
    json!({
        "type": "object",
        "properties": {
            "disable": {"type": "boolean"},
            "error_response": {"oneOf": [{"type": "string"}, {"type": "object"}]},
            "filter": {
                "description": "filter determines whether the plugin needs to be executed at runtime",
                "type": "array",
            },
            "pre_function": {
                "description": "function to be executed in each phase before execution of plugins. The pre_function will have access to two arguments: `conf` and `ctx`.",
                "type": "string",
            },
            "priority": {
                "description": "priority of plugins by customized order",
                "type": "integer",
            },
        },
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::records;

    #[test]
    fn every_record_can_be_read() {
        let mut priorities = Vec::new();
        for (name, record, _) in records::HTTP.iter().chain(records::STREAM) {
            let facts = Facts::read(record);
            let facts = facts.unwrap_or_else(|error| panic!("{name}: {error}"));
            priorities.push(facts.about["priority"].as_i64().unwrap());
        }
        let (http, stream) = priorities.split_at(records::HTTP.len());
        assert!(http.is_sorted_by(|one, next| one > next));
        assert!(stream.is_sorted_by(|one, next| one > next));
        assert_eq!((http.len(), stream.len()), (120, 6));
    }

    #[test]
    fn finds_the_secret_fields_of_each_part() {
        let text = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        for (name, expected) in [
            ("cors", None),
            ("key-auth", Some([&[][..], &["key"], &[]])),
            ("csrf", Some([&["key"], &["key"], &[]])),
            (
                "azure-functions",
                Some([
                    &["authorization.apikey"],
                    &["authorization.apikey"],
                    &["master_apikey"],
                ]),
            ),
        ] {
            let (_, record, _) = records::HTTP.iter().find(|(own, ..)| *own == name).unwrap();
            let expected = expected.map(|[plugin, consumer, metadata]| PluginFields {
                plugin: text(plugin),
                consumer: text(consumer),
                metadata: text(metadata),
            });
            assert_eq!(
                Plugin::new(name, record).secret_fields(),
                expected,
                "{name}"
            );
        }
    }
}
