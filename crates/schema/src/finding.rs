//! What a check says: every sentence of the validator, once.
//!
//! The words are the reference's (`lib/jsonschema.lua` of `api7/jsonschema`); clients of the Admin API read and match them.

use std::fmt;

use thiserror::Error;

use crate::lua;

/// Why a value does not fit its schema, as the reference says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    message: String,
}

impl Finding {
    fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message }
    }

    pub(crate) fn always_false() -> Self {
        Self::new("expect false always")
    }

    /// Ours: the reference's stack overflows, or it goes on for ever.
    pub(crate) fn too_complex() -> Self {
        Self::new("value is too complex for its schema")
    }

    pub(crate) fn wrong_type(expected: &str, got: &str) -> Self {
        Self::new(format!("wrong type: expected {expected}, got {got}"))
    }

    pub(crate) fn in_property(name: &str, inner: &Self) -> Self {
        Self::new(format!("property \"{name}\" validation failed: {inner}"))
    }

    pub(crate) fn required(name: &str) -> Self {
        Self::new(format!("property \"{name}\" is required"))
    }

    pub(crate) fn required_with(name: &str, present: &str) -> Self {
        Self::new(format!(
            "property \"{name}\" is required when \"{present}\" is set"
        ))
    }

    pub(crate) fn in_dependent(present: &str, inner: &Self) -> Self {
        Self::new(format!(
            "failed to validate dependent schema for \"{present}\": {inner}"
        ))
    }

    pub(crate) fn in_matching(name: &str, pattern: &str, inner: &Self) -> Self {
        Self::new(format!(
            "failed to validate {name} (matching \"{pattern}\"): {inner}"
        ))
    }

    pub(crate) fn in_additional(name: &str, inner: &Self) -> Self {
        Self::new(format!(
            "failed to validate additional property {name}: {inner}"
        ))
    }

    pub(crate) fn additional(name: &str) -> Self {
        Self::new(format!("additional properties forbidden, found {name}"))
    }

    pub(crate) fn too_few_properties(least: &str) -> Self {
        Self::new(format!("expect object to have at least {least} properties"))
    }

    pub(crate) fn too_many_properties(most: &str) -> Self {
        Self::new(format!("expect object to have at most {most} properties"))
    }

    pub(crate) fn not_empty() -> Self {
        Self::new("the input data should be an empty table")
    }

    pub(crate) fn too_few_items(least: &str) -> Self {
        Self::new(format!("expect array to have at least {least} items"))
    }

    pub(crate) fn too_many_items(most: &str) -> Self {
        Self::new(format!("expect array to have at most {most} items"))
    }

    pub(crate) fn in_item(number: usize, inner: &Self) -> Self {
        Self::new(format!("failed to validate item {number}: {inner}"))
    }

    pub(crate) fn in_additional_item(number: usize, inner: &Self) -> Self {
        Self::new(format!(
            "failed to validate additional item {number}: {inner}"
        ))
    }

    pub(crate) fn extra_items() -> Self {
        Self::new("found unexpected extra items in array")
    }

    pub(crate) fn equal_items(first: usize, second: usize) -> Self {
        Self::new(format!(
            "expected unique items but items {first} and {second} are equal"
        ))
    }

    pub(crate) fn too_short(least: &str, got: usize) -> Self {
        Self::new(format!(
            "string too short, expected at least {least}, got {got}"
        ))
    }

    pub(crate) fn too_long(most: &str, got: usize) -> Self {
        Self::new(format!(
            "string too long, expected at most {most}, got {got}"
        ))
    }

    pub(crate) fn no_match(pattern: &str, text: &str) -> Self {
        let (pattern, text) = (lua::quoted(pattern), lua::quoted(text));
        Self::new(format!("failed to match pattern {pattern} with {text}"))
    }

    /// `relation` is one of "at least", "greater than", "at most", "smaller than".
    pub(crate) fn out_of_range(number: f64, relation: &str, bound: &str) -> Self {
        let number = lua::number_text(number);
        Self::new(format!("expected {number} to be {relation} {bound}"))
    }

    pub(crate) fn not_multiple(number: f64, of: &str) -> Self {
        let number = lua::number_text(number);
        Self::new(format!("expected {number} to be a multiple of {of}"))
    }

    pub(crate) fn no_choice() -> Self {
        Self::new("matches none of the enum values")
    }

    pub(crate) fn in_all_of(number: usize, inner: &Self) -> Self {
        Self::new(format!("allOf {number} failed: {inner}"))
    }

    /// `required` lists what the branches require, or is empty.
    pub(crate) fn no_branch(required: &str) -> Self {
        let separator = if required.is_empty() { "" } else { ": " };
        Self::new(format!(
            "object matches none of the required{separator}{required}"
        ))
    }

    pub(crate) fn one_of_none() -> Self {
        Self::new("value should match only one schema, but matches none")
    }

    pub(crate) fn one_of_both(first: usize, second: usize) -> Self {
        Self::new(format!(
            "value should match only one schema, but matches both schemas {first} and {second}"
        ))
    }

    pub(crate) fn then_clause() -> Self {
        Self::new("then clause did not match")
    }

    pub(crate) fn else_clause() -> Self {
        Self::new("else clause did not match")
    }

    pub(crate) fn matches_not() -> Self {
        Self::new("value wasn't supposed to match schema")
    }

    pub(crate) fn wrong_format(format: &str, text: &str) -> Self {
        Self::new(format!("expect valid {format} format but got: {text}"))
    }

    pub(crate) fn not_constant() -> Self {
        Self::new("failed to check const value")
    }

    pub(crate) fn contains_expects_array() -> Self {
        Self::new("check contains: expect array table")
    }

    pub(crate) fn contains_expects_table() -> Self {
        Self::new("check contains: expect table")
    }

    pub(crate) fn contains_in_empty() -> Self {
        Self::new("check contains: empty array is invalid")
    }

    pub(crate) fn contains_none() -> Self {
        Self::new("failed to check contains")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// It, or a schema inside it, is neither an object nor a boolean.
    #[error("a schema must be an object or a boolean")]
    NotASchema,
    /// `type` names a type that does not exist.
    #[error("invalid JSON type: {0}")]
    UnknownType(String),
    /// A keyword has a value it cannot have.
    #[error("schema keyword \"{keyword}\" must be {expected}")]
    Keyword {
        /// The keyword.
        keyword: &'static str,
        /// What its value must be.
        expected: &'static str,
    },
    /// A `$ref` leads nowhere, out of the schema, or round in circles.
    #[error("reference not found: {0}")]
    Reference(String),
    /// A `$id` is more than a name inside this schema.
    #[error("only a location independent id is supported, not {0}")]
    Id(String),
    /// Subschemas are nested beyond what is sensible.
    #[error("the schema nests too deep")]
    TooDeep,
}
