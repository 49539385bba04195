//! `$ref` and `$id`: finding the schema that another one points at.
//!
//! References stay inside one schema; fetching others is not supported, as in the reference (`lib/jsonschema/store.lua` without a resolver).

use std::collections::HashMap;

use serde_json::Value;

use crate::finding::SchemaError;
use crate::limits::{REFERENCE_HOPS, SCHEMA_DEPTH};

/// What references in a schema can lead to.
pub(crate) struct References<'s> {
    root: &'s Value,
    /// Subschemas by the name in their `$id`.
    named: HashMap<&'s str, &'s Value>,
}

impl<'s> References<'s> {
    /// Collects the names in a schema.
    pub(crate) fn of(root: &'s Value) -> Result<Self, SchemaError> {
        let mut references = Self {
            root,
            named: HashMap::new(),
        };
        references.collect(root, 0)?;
        Ok(references)
    }

    fn collect(&mut self, schema: &'s Value, depth: usize) -> Result<(), SchemaError> {
        // A list of subschemas adds a level to that of each.
        if depth > 2 * SCHEMA_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        match schema {
            Value::Object(members) => {
                if let Some(Value::String(id)) = members.get("$id") {
                    let (_, name) = id
                        .split_once('#')
                        .ok_or_else(|| SchemaError::Id(id.clone()))?;
                    self.named.insert(name, schema);
                }
                for (name, member) in members {
                    if name != "enum" && !name.starts_with('_') {
                        self.collect(member, depth + 1)?;
                    }
                }
                Ok(())
            }
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.collect(item, depth + 1)),
            _ => Ok(()),
        }
    }

    /// The schema itself, or what its `$ref` leads to.
    pub(crate) fn resolve(&self, schema: &'s Value) -> Result<&'s Value, SchemaError> {
        let mut schema = schema;
        for _ in 0..REFERENCE_HOPS {
            let reference = match schema.get("$ref") {
                None | Some(Value::Bool(false)) => return Ok(schema),
                Some(Value::String(reference)) => reference,
                Some(_) => {
                    return Err(SchemaError::Keyword {
                        keyword: "$ref",
                        expected: "a reference",
                    });
                }
            };
            schema = self
                .target(reference)
                .ok_or_else(|| SchemaError::Reference(reference.clone()))?;
        }
        Err(SchemaError::Reference("it leads in a circle".to_owned()))
    }

    fn target(&self, reference: &str) -> Option<&'s Value> {
        let (document, fragment) = match reference.split_once('#') {
            Some((document, fragment)) => (document, fragment),
            None => (reference, ""),
        };
        let root_id = self.root.get("id").and_then(Value::as_str);
        if !document.is_empty() && root_id != Some(document) {
            return None;
        }
        if let Some(named) = self.named.get(fragment) {
            return Some(named);
        }
        let mut place = self.root;
        for part in fragment.split('/').filter(|part| !part.is_empty()) {
            place = match place {
                Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                Value::Object(members) => members.get(&decoded(part))?,
                _ => return None,
            };
        }
        Some(place)
    }
}

/// A part of a JSON pointer in a URI fragment, without its escapes.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    bytes.push((high * 16 + low) as u8);
                    rest = tail;
                }
                _ => bytes.push(b'%'),
            },
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes)
        .replace("~1", "/")
        .replace("~0", "~")
}
