//! A whole configuration in one text: `conf/apisix.yaml`, `conf/apisix.json`, the body of `PUT /apisix/admin/configs`.
//!
//! From the text to its lists and their objects (`apisix/core/config_yaml.lua`). Objects are not checked here, and no file is read.

mod limits;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::boot::{
    Environment, environment,
    tree::{self, Node},
};

/// The lists of objects that a configuration may have, by their names, which are those of the kinds in a store.
pub const LISTS: &[&str] = &[
    "routes",
    "services",
    "upstreams",
    "consumers",
    "ssls",
    "protos",
    "global_rules",
    "stream_routes",
    "plugin_configs",
    "consumer_groups",
    PLUGIN_METADATA,
    "secrets",
];

/// The list of what plugins know of their own.
pub const PLUGIN_METADATA: &str = "plugin_metadata";

/// The list of the plugins that are switched on.
pub const PLUGINS: &str = "plugins";

/// The members of a configuration.
pub type Document = Map<String, Value>;

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As the reference's parser takes it: YAML 1.1's booleans, and nothing at all is an empty table.
    Yaml,
    /// RFC 8259.
    Json,
}

/// A text that is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// A file in YAML that does not end with its mark is still being written.
    #[error("missing valid end flag")]
    NoEnd,
    /// A variable that is not set and has no default.
    #[error("failed to handle configuration: can't find environment variable {0}")]
    NoVariable(String),
    /// It is not in its language.
    #[error("line {line}: {reason}")]
    Malformed {
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is a list or a scalar.
    #[error("it is not an object")]
    NoObject,
}

/// One object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its key in a store, such as `routes/1`.
    pub key: String,
    /// The object as written, without [`MODIFIED_INDEX`].
    pub written: Map<String, Value>,
    /// What stood in [`MODIFIED_INDEX`].
    pub modified_index: Option<Value>,
    id: String,
}

/// A member that every object may have: it tells whether the object has changed.
pub const MODIFIED_INDEX: &str = "modifiedIndex";

/// What stands in the place of an object and is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it should be an object")]
pub struct NoObject {
    /// The key that it would have.
    pub key: String,
}

/// Reads a file: looks for its end, and puts variables in.
///
/// # Errors
/// It is no configuration.
pub fn read_file(
    text: &str,
    format: Format,
    environment: Environment<'_>,
) -> Result<Document, Unreadable> {
    match format {
        Format::Yaml => {
            if !has_end(text) {
                return Err(Unreadable::NoEnd);
            }
            // Before the text is read, so that quotes around a reference decide what its value is.
            let replaced =
                environment::replace(text, environment).map_err(Unreadable::NoVariable)?;
            read(replaced.as_deref().unwrap_or(text), format)
        }
        Format::Json => {
            let mut value = Value::Object(read(text, format)?);
            substitute(&mut value, environment).map_err(Unreadable::NoVariable)?;
            match value {
                Value::Object(document) => Ok(document),
                _ => Err(Unreadable::NoObject),
            }
        }
    }
}

/// Reads a text as it is.
///
/// # Errors
/// It is no configuration.
pub fn read(text: &str, format: Format) -> Result<Document, Unreadable> {
    let value = match format {
        Format::Yaml => yaml(text)?.ok_or(Unreadable::Empty)?,
        Format::Json => json(text)?,
    };
    match value {
        Value::Object(document) => Ok(document),
        Value::Array(items) if items.is_empty() => Ok(Document::new()),
        _ => Err(Unreadable::NoObject),
    }
}

/// Reads any value in YAML; `None` where there is none.
///
/// # Errors
/// It is no YAML, or too much of it.
pub fn yaml(text: &str) -> Result<Option<Value>, Unreadable> {
    let node = Node::parse_within(text, limits::DEPTH, limits::NODES);
    let node = node.map_err(|error| Unreadable::Malformed {
        line: error.line,
        reason: error.reason,
    })?;
    Ok(node.map(|node| {
        let mut value = node.to_json();
        fill_nulls(&mut value);
        value
    }))
}

/// The objects of a list, in its order. What is no list has none.
pub fn items(document: &Document, list: &str) -> Vec<Result<Item, NoObject>> {
    let items = document.get(list).and_then(Value::as_array);
    let items = items.map_or(&[][..], Vec::as_slice);
    (1..)
        .zip(items)
        .map(|(number, item)| Item::of(list, number, item))
        .collect()
}

/// The list of the plugins that are switched on, where the document has it.
pub fn plugins(document: &Document) -> Option<Value> {
    let value = document.get(PLUGINS)?;
    match value {
        // What is nothing is a list of none.
        Value::Object(fields) if fields.is_empty() => Some(Value::Array(Vec::new())),
        value => Some(value.clone()),
    }
}

/// Members that are neither lists of objects nor their versions: most likely slips.
pub fn unknown_members(document: &Document) -> Vec<&str> {
    let is_known = |name: &str| {
        let list = name.strip_suffix("_conf_version").unwrap_or(name);
        list == PLUGINS || LISTS.contains(&list)
    };
    let names = document.keys().map(String::as_str);
    names.filter(|name| !is_known(name)).collect()
}

impl Item {
    fn of(list: &str, number: usize, item: &Value) -> Result<Self, NoObject> {
        let by_number = format!("arr_{number}");
        let mut written = match item {
            Value::Object(fields) => fields.clone(),
            Value::Array(items) if items.is_empty() => Map::new(),
            _ => {
                let key = format!("{list}/{by_number}");
                return Err(NoObject { key });
            }
        };
        let modified_index = written.shift_remove(MODIFIED_INDEX);
        let given = ["id", "username"].iter().find_map(|name| {
            let value = written.get(*name)?;
            (*value != Value::Bool(false)).then(|| text_of(value))
        });
        let id = given.unwrap_or(by_number);
        Ok(Self {
            key: format!("{list}/{id}"),
            written,
            modified_index,
            id,
        })
    }

    /// The object as it is stored: with its id, as text.
    pub fn stored(self) -> Value {
        let mut fields = self.written;
        fields.insert("id".to_owned(), Value::String(self.id));
        Value::Object(fields)
    }
}

/// Whether a text ends with its mark, behind which only blanks may stand.
fn has_end(text: &str) -> bool {
    let bytes = text.as_bytes();
    let end = bytes.get(bytes.len().saturating_sub(limits::END_BYTES)..);
    end.is_some_and(|end| end.trim_ascii_end().ends_with(b"#END"))
}

fn json(text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map_err(|error| {
        let reason = error.to_string();
        // The place is told apart from the reason, once.
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Unreadable::Malformed {
            line: error.line() as u64,
            reason: reason.to_owned(),
        }
    })
}

/// Makes what is nothing an empty table, as the reference's parser does.
fn fill_nulls(value: &mut Value) {
    match value {
        Value::Null => *value = Value::Object(Map::new()),
        Value::Array(items) => items.iter_mut().for_each(fill_nulls),
        Value::Object(fields) => fields.values_mut().for_each(fill_nulls),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts variables into keys and values. The error is the name of one that is not set.
fn substitute(value: &mut Value, environment: Environment<'_>) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if let Some(replaced) = environment::replace(text, environment)? {
                let node = Node {
                    value: environment::retype(replaced),
                    place: tree::Place::default(),
                };
                *value = node.to_json();
            }
        }
        Value::Array(items) => {
            for item in items {
                substitute(item, environment)?;
            }
        }
        Value::Object(fields) => {
            let read = std::mem::take(fields);
            for (key, mut value) in read {
                substitute(&mut value, environment)?;
                let key = environment::replace(&key, environment)?.unwrap_or(key);
                fields.insert(key, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// Lua's `tostring` of an id.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                format!("{float:.0}")
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
