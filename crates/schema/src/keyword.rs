//! Reading the keywords of a schema, with Lua's idea of what is there and what is empty.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::finding::SchemaError;
use crate::lua;
use crate::node::Verdict;

/// A schema that is an object.
pub(crate) type Keywords = Map<String, Value>;

/// A keyword that Lua takes for true.
pub(crate) fn keyword<'s>(schema: &'s Keywords, name: &str) -> Option<&'s Value> {
    schema
        .get(name)
        .filter(|value| **value != Value::Bool(false))
}

pub(crate) fn numeric(schema: &Keywords, name: &'static str) -> Result<Option<f64>, SchemaError> {
    match keyword(schema, name) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(lua::double(number))),
        Some(_) => Err(SchemaError::Keyword {
            keyword: name,
            expected: "a number",
        }),
    }
}

/// A keyword that is a list; `{}` is an empty one.
pub(crate) fn list<'s>(
    schema: &'s Keywords,
    name: &'static str,
) -> Result<Option<&'s [Value]>, SchemaError> {
    match keyword(schema, name) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(Value::Object(members)) if members.is_empty() => Ok(Some(&[])),
        Some(_) => Err(SchemaError::Keyword {
            keyword: name,
            expected: "a list",
        }),
    }
}

/// A keyword that is an object; `[]` is an empty one.
pub(crate) fn members<'s>(
    schema: &'s Keywords,
    name: &'static str,
) -> Result<Option<&'s Keywords>, SchemaError> {
    match keyword(schema, name) {
        None => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(Value::Array(items)) if items.is_empty() => Ok(None),
        Some(_) => Err(SchemaError::Keyword {
            keyword: name,
            expected: "an object",
        }),
    }
}

pub(crate) fn names<'s>(
    schema: &'s Keywords,
    name: &'static str,
) -> Result<BTreeSet<&'s str>, SchemaError> {
    list(schema, name)?
        .into_iter()
        .flatten()
        .map(|item| {
            item.as_str().ok_or(SchemaError::Keyword {
                keyword: name,
                expected: "a list of names",
            })
        })
        .collect()
}

pub(crate) fn verdict(value: Option<&Value>) -> Option<Verdict> {
    match value {
        Some(Value::Bool(true)) => Some(Verdict::Accept),
        Some(Value::Bool(false)) => Some(Verdict::AcceptEmpty),
        _ => None,
    }
}

/// A default that the reference fills in. Where it is an empty list, what it fills in is indistinguishable from, and written as, an empty object.
pub(crate) fn default(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => Some(Value::Object(Map::new())),
        Value::Array(items) => Some(items.iter().filter_map(default).collect()),
        Value::Object(members) => Some(
            members
                .iter()
                .filter_map(|(name, member)| Some((name.clone(), default(member)?)))
                .collect(),
        ),
        scalar => Some(scalar.clone()),
    }
}
