//! A compiled schema: a list of nodes that refer to each other by number, so that a schema may refer to itself.

use serde_json::Value;

use crate::finding::SchemaError;
use crate::format::Format;
use crate::lua;
use crate::pattern::Pattern;

/// The number of a node in its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(pub(crate) usize);

/// One schema or subschema.
#[derive(Debug)]
pub(crate) enum Node {
    /// `true` or `false`.
    Boolean(bool),
    /// An object of keywords.
    Rules(Box<Rules>),
}

/// The keywords of one schema, in the order in which they are checked.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Whether a reference to a secret stands for a value of this schema.
    pub(crate) accepts_secret: bool,
    pub(crate) types: Option<Types>,
    pub(crate) object: Option<ObjectRules>,
    /// `required` is there and empty, which the reference reads as "must be empty".
    pub(crate) requires_empty: bool,
    /// `items` is `true` or `false`.
    pub(crate) items_verdict: Option<Verdict>,
    pub(crate) array: Option<ArrayRules>,
    pub(crate) string: Option<StringRules>,
    pub(crate) number: Option<NumberRules>,
    pub(crate) choices: Option<Vec<Value>>,
    pub(crate) all_of: Vec<NodeId>,
    pub(crate) any_of: Option<AnyOf>,
    pub(crate) one_of: Option<Vec<NodeId>>,
    pub(crate) condition: Option<Condition>,
    pub(crate) not: Option<NodeId>,
    /// `propertyNames` is `true` or `false`; the reference ignores any other.
    pub(crate) names_verdict: Option<Verdict>,
    pub(crate) format: Option<Format>,
    pub(crate) constant: Option<Value>,
    pub(crate) contains: Option<Contains>,
}

/// A boolean where a schema could be; the reference ends the check there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// `true`: whatever comes after is not looked at.
    Accept,
    /// `false`: only `{}` and `[]` pass.
    AcceptEmpty,
}

/// `type`.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) accepted: Vec<Type>,
    /// What the sentence says was expected.
    pub(crate) expected: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    /// An object or an array.
    Table,
    Integer,
    String,
    Boolean,
    Number,
    Null,
    /// Nothing in JSON is one.
    Function,
}

impl Type {
    pub(crate) fn named(name: &str) -> Result<Self, SchemaError> {
        Ok(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "table" => Self::Table,
            "integer" => Self::Integer,
            "string" => Self::String,
            "boolean" => Self::Boolean,
            "number" => Self::Number,
            "null" => Self::Null,
            "function" => Self::Function,
            _ => return Err(SchemaError::UnknownType(name.to_owned())),
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct ObjectRules {
    pub(crate) properties: Vec<Property>,
    /// Required properties that `properties` does not describe.
    pub(crate) required: Vec<Box<str>>,
    /// Dependencies of properties that `properties` does not describe.
    pub(crate) dependencies: Vec<(Box<str>, Dependency)>,
    pub(crate) patterns: Vec<(Pattern, NodeId)>,
    pub(crate) additional: Option<Additional>,
    pub(crate) least: Option<Limit>,
    pub(crate) most: Option<Limit>,
}

/// A member of `properties`.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) name: Box<str>,
    pub(crate) node: NodeId,
    pub(crate) is_required: bool,
    pub(crate) dependency: Option<Dependency>,
    pub(crate) default: Option<Value>,
}

#[derive(Debug)]
pub(crate) enum Dependency {
    /// These properties must be there too.
    Properties(Vec<Box<str>>),
    /// The whole object must fit this schema.
    Schema(NodeId),
}

/// `additionalProperties` that is not `true`.
#[derive(Debug)]
pub(crate) struct Additional {
    /// The names in `properties`, sorted.
    pub(crate) known: Vec<Box<str>>,
    /// What the others must fit; without it there may be no others.
    pub(crate) node: Option<NodeId>,
}

#[derive(Debug, Default)]
pub(crate) struct ArrayRules {
    pub(crate) least: Option<Limit>,
    pub(crate) most: Option<Limit>,
    pub(crate) items: Option<Items>,
    pub(crate) is_unique: bool,
}

#[derive(Debug)]
pub(crate) enum Items {
    /// Every item fits one schema.
    List(NodeId),
    /// Each item has its own schema.
    Tuple { items: Vec<NodeId>, rest: Rest },
}

/// `additionalItems`.
#[derive(Debug)]
pub(crate) enum Rest {
    Any,
    Forbidden,
    Schema(NodeId),
}

#[derive(Debug, Default)]
pub(crate) struct StringRules {
    pub(crate) least: Option<Limit>,
    pub(crate) most: Option<Limit>,
    pub(crate) pattern: Option<Pattern>,
}

#[derive(Debug, Default)]
pub(crate) struct NumberRules {
    pub(crate) minimum: Option<Limit>,
    pub(crate) exclusive_minimum: Option<Limit>,
    pub(crate) maximum: Option<Limit>,
    pub(crate) exclusive_maximum: Option<Limit>,
    pub(crate) multiple_of: Option<Limit>,
}

/// A number of a schema.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) number: f64,
    /// As a sentence shows it.
    pub(crate) text: Box<str>,
}

impl Limit {
    /// A bound of numbers.
    pub(crate) fn bound(number: f64) -> Self {
        Self {
            number: lua::through_text(number),
            text: lua::number_text(number).into(),
        }
    }

    /// A bound of counts, which generated code holds as an integer.
    pub(crate) fn count(number: f64) -> Self {
        Self {
            number: number.trunc(),
            text: lua::number_text(number).into(),
        }
    }

    pub(crate) fn is_above(&self, count: usize) -> bool {
        (count as f64) < self.number
    }

    pub(crate) fn is_below(&self, count: usize) -> bool {
        (count as f64) > self.number
    }
}

#[derive(Debug)]
pub(crate) struct AnyOf {
    pub(crate) branches: Vec<NodeId>,
    /// What the branches require, for the sentence; empty where none requires anything.
    pub(crate) required: Box<str>,
}

/// `if`.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) test: NodeId,
    pub(crate) then: Option<NodeId>,
    pub(crate) otherwise: Option<NodeId>,
}

#[derive(Debug)]
pub(crate) enum Contains {
    /// `true`: an array with items.
    Items,
    /// `false`: no table.
    Scalar,
    Schema(NodeId),
}
