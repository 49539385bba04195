//! A document: its objects by kind and id.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::{KINDS, Kind, limits};

/// Fields that the gateway stamps.
const STAMPS: &[&str] = &["create_time", "update_time"];

/// An object, without its id and what the gateway stamps.
pub type Object = Map<String, Value>;

/// What an object is called by. Displayed as its path below `/apisix/admin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id {
    /// The kind.
    pub kind: &'static Kind,
    /// Within the kind: `1`, `vault/1`, `jack/credentials/one`.
    pub id: String,
}

impl Id {
    /// The object that this one lies in.
    pub(crate) fn owner(&self) -> Option<Self> {
        let owner = self.kind.owner_of(&self.id)?;
        Some(Self {
            kind: self.kind,
            id: owner.to_owned(),
        })
    }
}

/// In the order in which objects can be made: kinds by what they refer to, owners before what they own.
impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |id: &Self| (id.kind.rank(), id.owner().is_some());
        (rank(self), &self.id).cmp(&(rank(other), &other.id))
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.kind.name, self.id)
    }
}

/// All objects of a gateway, or some.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    pub(crate) objects: BTreeMap<Id, Object>,
}

/// A text that is no document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// It is neither YAML nor JSON.
    #[error("{0}")]
    Unreadable(String),
    /// It is no map of lists.
    #[error("a document is a map with a list for each kind of object")]
    NoMap,
    /// A list of something else than objects of the Admin API.
    #[error("there is no kind of object named {0}")]
    UnknownKind(String),
    /// Not a list.
    #[error("{0} is no list")]
    NoList(&'static str),
    /// An item that is no object.
    #[error("{kind}[{place}]: {reason}")]
    BadItem {
        /// The list.
        kind: &'static str,
        /// From 0.
        place: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl Document {
    /// Reads a text. JSON is YAML, too.
    ///
    /// # Errors
    /// See [`DocumentError`].
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: limits::DEPTH,
                max_nodes: limits::NODES,
                max_events: limits::EVENTS,
                max_total_scalar_bytes: limits::SCALAR_BYTES,
                max_documents: 1,
            },
            with_snippet: false,
        };
        // JSON is read as such, for its reader is the faster one; what only begins like it may still be YAML.
        let json = text
            .trim_start()
            .starts_with('{')
            .then(|| serde_json::from_str(text));
        let read: Option<Value> = if let Some(Ok(read)) = json {
            read
        } else {
            let read = serde_saphyr::from_str_with_options(text, options);
            read.map_err(|error| DocumentError::Unreadable(error.to_string()))?
        };
        let lists = match read {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(lists)) => lists,
            Some(_) => return Err(DocumentError::NoMap),
        };
        let mut document = Self::default();
        for (name, list) in lists {
            // What the API of the standalone mode calls the states of lists by.
            if name.ends_with("_conf_version") {
                continue;
            }
            let Some(kind) = Kind::named(&name) else {
                return Err(DocumentError::UnknownKind(name));
            };
            let items = match list {
                Value::Array(items) => items,
                Value::Null => continue,
                _ => return Err(DocumentError::NoList(kind.name)),
            };
            for (place, item) in items.into_iter().enumerate() {
                document
                    .insert(kind, item)
                    .map_err(|reason| DocumentError::BadItem {
                        kind: kind.name,
                        place,
                        reason,
                    })?;
            }
        }
        Ok(document)
    }

    /// Adds an object in the form that lists have, with its id in it.
    ///
    /// # Errors
    /// Says why it is none, or that there is one of this id.
    pub fn insert(&mut self, kind: &'static Kind, item: Value) -> Result<(), String> {
        let Value::Object(mut object) = item else {
            return Err("it is no map".to_owned());
        };
        let named = |field: &str| object.get(field).and_then(id_of);
        let by_field = kind.id_field.and_then(named);
        let id = match (named("id"), by_field) {
            (Some(id), Some(name)) if kind.owner_of(&id).is_none() && id != name => {
                return Err(format!("its id {id} is not its name {name}"));
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => {
                let field = kind.id_field.unwrap_or("id");
                return Err(format!("it has no {field}"));
            }
        };
        if !kind.takes(&id) {
            return Err(format!("{id:?} cannot be its id"));
        }
        for field in STAMPS.iter().copied().chain(["id"]) {
            object.shift_remove(field);
        }
        let id = Id { kind, id };
        if self.objects.contains_key(&id) {
            return Err(format!("there are two objects {id}"));
        }
        self.objects.insert(id, object);
        Ok(())
    }

    /// The objects, in an order in which they can be made.
    pub fn objects(&self) -> impl Iterator<Item = (&Id, &Object)> {
        self.objects.iter()
    }

    /// Leaves those that `is_wanted` says yes to.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&Id, &Object) -> bool) {
        self.objects.retain(|id, object| is_wanted(id, object));
    }

    /// As a map of lists: every kind that has objects, and every object with its id.
    pub(crate) fn to_value(&self) -> Value {
        let mut lists = Map::new();
        for kind in KINDS {
            let of_kind = self.objects.iter().filter(|(id, _)| id.kind == kind);
            let items: Vec<_> = of_kind.map(|(id, object)| item(id, object)).collect();
            if !items.is_empty() {
                lists.insert(kind.name.to_owned(), Value::Array(items));
            }
        }
        Value::Object(lists)
    }
}

/// An object as lists have it.
fn item(id: &Id, object: &Object) -> Value {
    let is_named = id
        .kind
        .id_field
        .is_some_and(|field| object.contains_key(field));
    let mut item = Map::new();
    if !is_named || id.owner().is_some() {
        item.insert("id".to_owned(), Value::String(id.id.clone()));
    }
    item.extend(object.clone());
    Value::Object(item)
}

/// An id, which may be written as a number.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Result<Vec<String>, String> {
        let document = Document::parse(text).map_err(|error| error.to_string())?;
        Ok(document.objects().map(|(id, _)| id.to_string()).collect())
    }

    #[test]
    fn reads_lists_in_the_order_in_which_objects_can_be_made() {
        let text = "
routes: [{id: 2, uri: /a}, {id: '10', uri: /b}]
routes_conf_version: 3
consumers:
  - {id: a/credentials/one, plugins: {}}
  - {username: a}
  - {username: a-b, id: a-b}
upstreams: [{id: u, nodes: {'127.0.0.1:80': 1}, create_time: 1, update_time: 2}]
secrets: [{id: vault/1, uri: 'http://a'}]
services: ~
";
        let expected = [
            "secrets/vault/1",
            "upstreams/u",
            "consumers/a",
            "consumers/a-b",
            "consumers/a/credentials/one",
            "routes/10",
            "routes/2",
        ];
        assert_eq!(ids(text).expect("read"), expected);
        let document = Document::parse(text).expect("read");
        let of = |name: &str| {
            let mut all = document.objects();
            let found = all.find(|(id, _)| id.to_string() == name);
            Value::Object(found.expect("there").1.clone()).to_string()
        };
        assert_eq!(of("upstreams/u"), r#"{"nodes":{"127.0.0.1:80":1}}"#);
        assert_eq!(of("consumers/a-b"), r#"{"username":"a-b"}"#);
        assert_eq!(
            ids(r#"{"routes": [{"id": "1"}]}"#),
            Ok(vec!["routes/1".to_owned()])
        );
        for empty in ["", "# nothing\n#END\n", "{}\n#END\n"] {
            assert_eq!(ids(empty), Ok(vec![]), "{empty}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            (
                "[1]",
                "a document is a map with a list for each kind of object",
            ),
            ("apples: []", "there is no kind of object named apples"),
            ("routes: {a: 1}", "routes is no list"),
            ("routes: [1]", "routes[0]: it is no map"),
            ("routes: [{id: a}, {uri: /}]", "routes[1]: it has no id"),
            (
                "consumers: [{plugins: {}}]",
                "consumers[0]: it has no username",
            ),
            ("routes: [{id: a/b}]", "routes[0]: \"a/b\" cannot be its id"),
            (
                "routes: [{id: 1}, {id: '1'}]",
                "routes[1]: there are two objects routes/1",
            ),
            (
                "consumers: [{id: a, username: b}]",
                "consumers[0]: its id a is not its name b",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(ids(text), Err(expected.to_owned()), "{text}");
        }
        for text in ["routes: [", "{", "a: 1\n---\nb: 2\n"] {
            assert!(ids(text).is_err(), "{text}");
        }
    }
}
