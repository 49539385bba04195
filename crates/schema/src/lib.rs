//! JSON schema validation in the words of the reference gateway.
//!
//! The reference validates with `api7/jsonschema` (drafts 4, 6 and 7, turned into Lua code). What it finds first, and the sentence it says, is what clients of the Admin API see; both are reproduced here,
//! in one place for every resource and plugin. Where Lua leaves an order open (the members of `properties`), it is the order in which the schema is written.
//!
//! It reads no files and fetches nothing. Start at [`Schema`]; the sentences are in `finding`, the order of the checks in `check`, the reading of keywords in `compile`.

mod check;
mod compile;
mod finding;
mod format;
mod keyword;
mod limits;
mod lua;
mod node;
mod pattern;
mod reference;
mod secret;

pub use finding::{Finding, SchemaError};
pub use secret::is_secret_reference;

use std::fmt;

use serde_json::Value;

use node::{Node, NodeId};

/// A schema, ready to check values.
pub struct Schema {
    source: Value,
    nodes: Vec<Node>,
    first: NodeId,
}

impl Schema {
    /// Prepares a schema. Costly: patterns are compiled here, not in a check.
    ///
    /// # Errors
    /// The schema itself is not one.
    pub fn compile(source: Value) -> Result<Self, SchemaError> {
        if !source.is_object() && !source.is_boolean() {
            return Err(SchemaError::NotASchema);
        }
        let (nodes, first) = compile::compile(&source)?;
        Ok(Self {
            source,
            nodes,
            first,
        })
    }

    /// The schema as it was given.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The first finding, in the reference's order and words.
    pub fn check(&self, value: &Value) -> Result<(), Finding> {
        // Defaults take part in the check, so it needs a copy to write them to.
        self.fill(&mut value.clone())
    }

    /// Checks a value and writes the defaults of its schema into it.
    ///
    /// # Errors
    /// As [`Schema::check`]; what was filled in until then stays.
    pub fn fill(&self, value: &mut Value) -> Result<(), Finding> {
        check::check(&self.nodes, self.first, value)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Schema").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests;
