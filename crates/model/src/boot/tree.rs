//! A YAML document as a tree that knows where each part was written.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::limits;

/// Where something was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1; 0 for what no file says.
    pub(crate) line: u64,
    /// From 1, in characters.
    pub(crate) column: u64,
    /// First byte of the text and the one after its last, where they are known.
    pub(crate) bytes: Option<(usize, usize)>,
}

impl Place {
    fn of(location: &Location) -> Self {
        let span = location.span();
        let bytes = span.byte_offset().zip(span.byte_len());
        Self {
            line: location.line(),
            column: location.column(),
            bytes: bytes.map(|(from, length)| (from as usize, (from + length) as usize)),
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// A document that is no YAML.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

impl Node {
    /// A map without entries.
    pub(crate) fn empty() -> Self {
        Self {
            value: Value::Map(Vec::new()),
            place: Place::default(),
        }
    }

    /// Reads a document. Booleans are YAML 1.1's (`on`, `yes`), as the reference's parser takes them. An empty document is an
    /// empty map. Of a key given twice both entries are kept.
    pub(crate) fn parse(text: &str) -> Result<Self, Unreadable> {
        let read = Self::parse_within(text, limits::DEPTH, limits::NODES)?;
        Ok(read.unwrap_or_else(Self::empty))
    }

    /// As [`Self::parse`], with other bounds: levels, and values after aliases are expanded. `None` for an empty document.
    pub(crate) fn parse_within(
        text: &str,
        depth: usize,
        nodes: usize,
    ) -> Result<Option<Self>, Unreadable> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: depth,
                max_nodes: nodes,
                max_events: nodes.saturating_mul(2),
                max_documents: 1,
            },
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            with_snippet: false,
        };
        match serde_saphyr::from_str_with_options::<Option<Spanned<Value>>>(text, options) {
            Ok(Some(read)) => Ok(Some(Self::from(read))),
            Ok(None) => Ok(None),
            Err(error) => Err(Unreadable::from(&error)),
        }
    }

    /// Makes a tree that no file is named for.
    pub(crate) fn forget_places(&mut self) {
        self.place = Place::default();
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(Self::forget_places),
            Value::Map(entries) => {
                for entry in entries {
                    entry.place = Place::default();
                    entry.node.forget_places();
                }
            }
            _ => {}
        }
    }

    /// The node at a path of keys separated by dots; list items by their number, as in `admin_key[0]`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        for step in steps(path) {
            node = node.child(step)?;
        }
        Some(node)
    }

    /// The place of the deepest part of a path that was written in a file.
    pub(crate) fn place_of(&self, path: &str) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in steps(path) {
            let Some(child) = node.child(step) else {
                break;
            };
            let written = match &node.value {
                Value::Map(entries) => entry(entries, step).map(|entry| entry.place),
                _ => Some(child.place),
            };
            place = written.filter(|at| at.line > 0).unwrap_or(place);
            node = child;
        }
        place
    }

    fn child(&self, step: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entry(entries, step).map(|entry| &entry.node),
            Value::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Lua's name of the value's type, which is what the reference's messages say.
    pub(crate) fn lua_type(&self) -> &'static str {
        match self.value {
            Value::Null => "nil",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::Float(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) | Value::Map(_) => "table",
        }
    }

    /// The value without places.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => Json::from(*value),
            Value::Text(value) => Json::from(value.as_str()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }

    /// Whether two nodes hold the same, wherever they were written. The order of keys does not count.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

/// The entry that counts for a key: the last.
pub(crate) fn entry<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().rfind(|entry| entry.key == key)
}

/// `a.b[0].c` in its steps.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|step| !step.is_empty())
}

impl From<&serde_saphyr::Error> for Unreadable {
    fn from(error: &serde_saphyr::Error) -> Self {
        let location = error.location();
        let text = error.without_snippet().to_string();
        // The place is told apart from the reason, once.
        let reason = text.split(" at line ").next().unwrap_or_default();
        Self {
            line: location.map_or(0, |at| at.line()),
            reason: reason.to_owned(),
        }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(read: Spanned<Value>) -> Self {
        Self {
            place: Place::of(&read.referenced),
            value: read.value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(Node::from(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = entries.next_entry::<Spanned<String>, Spanned<Value>>()? {
            map.push(Entry {
                place: Place::of(&key.referenced),
                key: key.value,
                node: Node::from(node),
            });
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_things_are() {
        let text = "a:\n  b: [1, {c: 'x'}]\n  d:\nd: on\n1: ~\n";
        let tree = Node::parse(text)
            .map_err(|error| error.reason)
            .expect("YAML");
        let lines = [
            ("a", 1),
            ("a.b", 2),
            ("a.b[1].c", 2),
            ("a.d", 3),
            ("d", 4),
            ("1", 5),
            ("a.none", 1),
        ];
        for (path, line) in lines {
            assert_eq!(tree.place_of(path).line, line, "{path}");
        }
        let quoted = tree.at("a.b[1].c").expect("there");
        let (from, to) = quoted.place.bytes.expect("known");
        assert_eq!(&text[from..to], "'x'");
        let json =
            serde_json::json!({"a": {"b": [1, {"c": "x"}], "d": null}, "d": true, "1": null});
        assert_eq!(tree.to_json(), json);
    }

    #[test]
    fn takes_an_empty_document_for_an_empty_map() {
        for text in ["", "# nothing\n", "---\n", "~"] {
            let tree = Node::parse(text)
                .map_err(|error| error.reason)
                .expect("YAML");
            assert!(tree.is_same(&Node::empty()), "{text:?}: {tree:?}");
        }
    }

    #[test]
    fn names_the_line_of_what_is_no_yaml() {
        for (text, line) in [("a: [1\nb: 2\n", 2), ("a: 1\nb: c: d\n", 2), ("a: 'x\n", 1)] {
            let error = Node::parse(text)
                .map(|tree| tree.to_json())
                .expect_err("no YAML");
            assert!(error.line >= line, "{text:?}: {error:?}");
            assert!(!error.reason.contains("line"), "{error:?}");
        }
    }

    #[test]
    fn refuses_depth_instead_of_overflowing() {
        let text = "[".repeat(100_000);
        assert!(Node::parse(&text).is_err());
    }
}
