//! `vars` expressions: lists of comparisons, joined by AND and OR, compiled once.
//!
//! The language and the texts of its errors are those of `lua-resty-expr` 1.3.2 (`lib/resty/expr/v1.lua`), which the reference's rockspec names.
//! Where that code would raise a Lua error on a value of the wrong kind, compiling fails with [`ExprError::Invalid`].

use serde_json::Value as Json;

use crate::limits::IN_LIST_LINEAR;
use crate::lookup::parse_number;
use crate::{AddressError, IpSet, Lookup, Pattern, Value, Variable};

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// Nothing for the empty list, which is always true.
    root: Option<Group>,
    /// What it was compiled from, for who explains it.
    source: Box<str>,
}

/// Why an expression cannot be compiled, in the words of the reference, which the Admin API shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// There is no expression.
    #[error("missing argument rule")]
    Missing,
    /// A comparison stands where a list of comparisons belongs.
    #[error("rule should be wrapped inside brackets")]
    NotBracketed,
    /// A list is empty, or a logical operator has fewer than two operands.
    #[error("rule too short")]
    TooShort,
    /// A comparison of four parts does not have `!` as its second.
    #[error("bad 'not' expression")]
    BadNot,
    /// A comparison lacks a part, or a part is of the wrong kind.
    #[error("invalid expression")]
    Invalid,
    /// An operator is not known.
    #[error("invalid operator '{0}'")]
    InvalidOperator(String),
    /// `ipmatch` has nothing to match with.
    #[error("invalid ip address")]
    MissingAddress,
    /// `ipmatch` has something that is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// All nodes must hold, or any.
    pub(crate) joins: Join,
    pub(crate) negated: bool,
    pub(crate) nodes: Box<[Node]>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Join {
    All,
    Any,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Group(Group),
    Comparison(Comparison),
}

#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) variable: Variable,
    negated: bool,
    test: Test,
}

/// What a value is held against. `~=` is a negated `Equals`: the two differ in every case, absent values and failed coercions included.
#[derive(Debug, Clone)]
enum Test {
    Equals(Literal),
    Greater(f64),
    GreaterOrEqual(f64),
    Less(f64),
    LessOrEqual(f64),
    Matches(Pattern),
    In(InList),
    Has(Literal),
    IpMatch(IpSet),
    /// A right side the operator can do nothing with, such as `>` with a word or `~~` with a broken pattern.
    Never,
}

/// A right side, of the kind it has in JSON.
#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<[u8]>),
    /// An array or object. Lua compares tables by identity, so nothing equals it.
    Table,
}

#[derive(Debug, Clone)]
struct InList {
    /// Sorted when there are more than [`IN_LIST_LINEAR`].
    texts: Box<[Box<[u8]>]>,
    /// Numbers and booleans, which only values of a JSON body can equal.
    others: Box<[Literal]>,
}

impl Expr {
    /// Compiles the value of a `vars` field.
    pub fn compile(source: &Json) -> Result<Self, ExprError> {
        let rules = match source {
            Json::Null | Json::Bool(false) => return Err(ExprError::Missing),
            // To Lua, an object is a list without elements.
            Json::Object(_) => return Ok(Self::always()),
            Json::Array(rules) => rules,
            _ => return Err(ExprError::NotBracketed),
        };
        match rules.first() {
            None => return Ok(Self::always()),
            Some(Json::Array(_) | Json::Object(_)) => {}
            Some(first) => {
                if logical_operator(&text_of(first)?).is_none() {
                    return Err(ExprError::NotBracketed);
                }
            }
        }
        match compile_list(rules)? {
            Node::Group(root) => Ok(Self {
                root: Some(root),
                source: source.to_string().into(),
            }),
            Node::Comparison(_) => Err(ExprError::NotBracketed),
        }
    }

    fn always() -> Self {
        Self {
            root: None,
            source: Box::default(),
        }
    }

    pub(crate) fn root(&self) -> Option<&Group> {
        self.root.as_ref()
    }

    /// The rules as they were written, in JSON; empty where there are none.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether the expression holds.
    pub fn eval<L: Lookup + ?Sized>(&self, lookup: &L) -> bool {
        self.root.as_ref().is_none_or(|root| root.eval(lookup))
    }
}

impl Group {
    fn eval<L: Lookup + ?Sized>(&self, lookup: &L) -> bool {
        let holds = match self.joins {
            Join::All => self.nodes.iter().all(|node| node.eval(lookup)),
            Join::Any => self.nodes.iter().any(|node| node.eval(lookup)),
        };
        holds != self.negated
    }
}

impl Node {
    pub(crate) fn eval<L: Lookup + ?Sized>(&self, lookup: &L) -> bool {
        match self {
            Self::Group(group) => group.eval(lookup),
            Self::Comparison(comparison) => {
                let value = lookup.value(&comparison.variable);
                comparison.test.holds(value.as_ref()) != comparison.negated
            }
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&Value<'_>>) -> bool {
        let Some(value) = value else {
            return matches!(self, Self::Equals(Literal::Null));
        };
        let number_is = |compare: fn(&f64, &f64) -> bool, limit: &f64| {
            value
                .to_number()
                .is_some_and(|number| compare(&number, limit))
        };
        match self {
            #[expect(clippy::float_cmp, reason = "the language compares numbers exactly")]
            Self::Equals(Literal::Number(expected)) => {
                value.to_number().is_some_and(|number| number == *expected)
            }
            Self::Equals(expected) => expected.is(value),
            Self::Greater(limit) => number_is(f64::gt, limit),
            Self::GreaterOrEqual(limit) => number_is(f64::ge, limit),
            Self::Less(limit) => number_is(f64::lt, limit),
            Self::LessOrEqual(limit) => number_is(f64::le, limit),
            Self::Matches(pattern) => match value {
                Value::Text(text) => pattern.is_match(text),
                Value::Bool(false) | Value::List(_) => false,
                Value::Bool(true) | Value::Number(_) => {
                    let mut text = Vec::new();
                    value.write_text(&mut text);
                    pattern.is_match(&text)
                }
            },
            Self::In(list) => list.contains(value),
            Self::Has(element) => match value {
                Value::List(list) => list.iter().any(|value| element.is(value)),
                _ => false,
            },
            Self::IpMatch(set) => match value {
                Value::Text(text) => set.contains_text(text),
                _ => false,
            },
            Self::Never => false,
        }
    }
}

impl Literal {
    /// Lua's `==`: same kind and same content.
    fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Text(expected), Value::Text(text)) => **expected == **text,
            #[expect(clippy::float_cmp, reason = "the language compares numbers exactly")]
            (Self::Number(expected), Value::Number(number)) => expected == number,
            (Self::Bool(expected), Value::Bool(value)) => expected == value,
            _ => false,
        }
    }
}

impl From<&Json> for Literal {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::Text(text.as_bytes().into()),
            Json::Array(_) | Json::Object(_) => Self::Table,
        }
    }
}

impl InList {
    fn new(elements: &[Json]) -> Self {
        let mut texts = Vec::new();
        let mut others = Vec::new();
        for element in elements {
            match Literal::from(element) {
                Literal::Text(text) => texts.push(text),
                other @ (Literal::Number(_) | Literal::Bool(_)) => others.push(other),
                Literal::Null | Literal::Table => {}
            }
        }
        if texts.len() > IN_LIST_LINEAR {
            texts.sort_unstable();
            texts.dedup();
        }
        Self {
            texts: texts.into_boxed_slice(),
            others: others.into_boxed_slice(),
        }
    }

    fn contains(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Text(text) if self.texts.len() > IN_LIST_LINEAR => self
                .texts
                .binary_search_by(|element| (**element).cmp(text))
                .is_ok(),
            Value::Text(text) => self.texts.iter().any(|element| **element == **text),
            _ => self.others.iter().any(|element| element.is(value)),
        }
    }
}

/// What Lua's `string.upper` and `string.lower` accept: a text, or a number for its text.
pub(crate) fn text_of(json: &Json) -> Result<String, ExprError> {
    match json {
        Json::String(text) => Ok(text.clone()),
        Json::Number(number) => Ok(number.to_string()),
        _ => Err(ExprError::Invalid),
    }
}

pub(crate) fn logical_operator(text: &str) -> Option<(Join, bool)> {
    let is = |operator: &str| text.eq_ignore_ascii_case(operator);
    if is("AND") {
        Some((Join::All, false))
    } else if is("!AND") {
        Some((Join::All, true))
    } else if is("OR") {
        Some((Join::Any, false))
    } else if is("!OR") {
        Some((Join::Any, true))
    } else {
        None
    }
}

fn compile_node(rules: &Json) -> Result<Node, ExprError> {
    match rules {
        Json::Array(rules) => compile_list(rules),
        // What has no elements, to Lua.
        Json::Object(_) => Err(ExprError::TooShort),
        Json::String(text) if text.is_empty() => Err(ExprError::TooShort),
        _ => Err(ExprError::Invalid),
    }
}

fn compile_list(rules: &[Json]) -> Result<Node, ExprError> {
    let Some(first) = rules.first() else {
        return Err(ExprError::TooShort);
    };
    let (joins, negated, operands) = if matches!(first, Json::Array(_) | Json::Object(_)) {
        (Join::All, false, rules)
    } else if let Some((joins, negated)) = logical_operator(&text_of(first)?) {
        if rules.len() <= 2 {
            return Err(ExprError::TooShort);
        }
        (joins, negated, rules.get(1..).unwrap_or_default())
    } else {
        return compile_comparison(rules).map(Node::Comparison);
    };
    let nodes = operands
        .iter()
        .map(compile_node)
        .collect::<Result<_, _>>()?;
    Ok(Node::Group(Group {
        joins,
        negated,
        nodes,
    }))
}

fn compile_comparison(parts: &[Json]) -> Result<Comparison, ExprError> {
    let (variable, operator, right, negated) = match parts {
        [variable, not, operator, right] => {
            if not != "!" {
                return Err(ExprError::BadNot);
            }
            (variable, operator, Some(right), true)
        }
        [variable, operator, rest @ ..] => (variable, operator, rest.first(), false),
        _ => return Err(ExprError::Invalid),
    };
    let variable = Variable::parse(&text_of(variable)?);
    let operator = text_of(operator)?.to_ascii_lowercase();
    let test = compile_test(&operator, right)?;
    // `~=` is compiled as the opposite of `==`.
    Ok(Comparison {
        variable,
        negated: negated != (operator == "~="),
        test,
    })
}

/// `right` is missing in a comparison of two parts: either an operator that gets no right side, or, for compatibility, a right side that
/// stands in the operator's place and has been lower-cased with it.
fn compile_test(operator: &str, right: Option<&Json>) -> Result<Test, ExprError> {
    let literal = right.map_or(Literal::Null, Literal::from);
    let number = || match &literal {
        Literal::Number(number) => Some(*number),
        Literal::Text(text) => parse_number(text),
        _ => None,
    };
    let test = match operator {
        "==" | "~=" => Test::Equals(literal),
        ">" => number().map_or(Test::Never, Test::Greater),
        ">=" => number().map_or(Test::Never, Test::GreaterOrEqual),
        "<" => number().map_or(Test::Never, Test::Less),
        "<=" => number().map_or(Test::Never, Test::LessOrEqual),
        "~~" => compile_pattern(right, false),
        "~*" => compile_pattern(right, true),
        "in" => match right {
            Some(Json::Array(elements)) => Test::In(InList::new(elements)),
            _ => Test::Never,
        },
        "has" => Test::Has(literal),
        "ipmatch" => compile_ip_set(right)?,
        _ if right.is_none() => Test::Equals(Literal::Text(operator.as_bytes().into())),
        _ => return Err(ExprError::InvalidOperator(operator.to_owned())),
    };
    Ok(test)
}

/// A broken pattern is accepted and never matches, as in the reference, where the pattern is compiled when it is used.
fn compile_pattern(right: Option<&Json>, ignore_case: bool) -> Test {
    let pattern = match right {
        Some(Json::String(pattern)) => Pattern::compile(pattern, ignore_case),
        Some(Json::Number(number)) => Pattern::compile(&number.to_string(), ignore_case),
        _ => None,
    };
    pattern.map_or(Test::Never, Test::Matches)
}

fn compile_ip_set(right: Option<&Json>) -> Result<Test, ExprError> {
    let set = match right {
        Some(Json::String(address)) if !address.is_empty() => IpSet::parse([address.as_str()])?,
        Some(Json::Array(addresses)) if !addresses.is_empty() => {
            let addresses: Option<Vec<&str>> = addresses.iter().map(Json::as_str).collect();
            IpSet::parse(addresses.ok_or(ExprError::MissingAddress)?)?
        }
        _ => return Err(ExprError::MissingAddress),
    };
    Ok(Test::IpMatch(set))
}

#[cfg(test)]
mod tests;
