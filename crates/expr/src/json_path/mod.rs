//! `JSONPath` expressions over JSON values, as `post_arg.` variables use them.
//!
//! `parse.rs` has the grammar, this file the walk. What a path selects is what the `jsonpath` 1.0 of the reference selects, but that
//! `..` finds a path below itself, too, and that comparing values of unlike kinds is false instead of an error.

mod parse;

use std::collections::HashSet;

use serde_json::Value as Json;

use crate::lookup::{number_text, parse_number};

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    /// From the root on.
    steps: Box<[Step]>,
}

/// A text that is no expression, in the words of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(String);

#[derive(Debug, Clone, PartialEq)]
struct Step {
    /// Behind `..`: anything below, at any depth.
    is_deep: bool,
    select: Select,
}

#[derive(Debug, Clone, PartialEq)]
enum Select {
    All,
    Name(Box<str>),
    Parts(Box<[Part]>),
    Filter(Operand),
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Name(Box<str>),
    Index(i64),
    Slice(Slice),
    Script(Operand),
}

#[derive(Debug, Clone, PartialEq)]
struct Slice {
    from: Option<i64>,
    to: Option<i64>,
    step: i64,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Text(Box<str>),
    Number(f64),
    Bool(bool),
    /// How many elements the object has.
    Length,
    /// What lies below the object by these names.
    Variable(Box<[Box<str>]>),
    Pair(Box<(Operand, Operator, Operand)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    Equal,
    Unequal,
    And,
    Or,
}

impl JsonPath {
    /// The values that the expression selects, each once.
    pub fn query<'j>(&self, root: &'j Json) -> Vec<&'j Json> {
        let mut found = vec![root];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in found {
                step.select(value, &mut next);
            }
            if step.is_deep {
                // What lies below two of the values would be there twice, and again at the next such step.
                let mut known = HashSet::new();
                next.retain(|value| known.insert(std::ptr::from_ref::<Json>(value)));
            }
            found = next;
        }
        found
    }
}

impl Step {
    fn direct(select: Select) -> Self {
        let is_deep = false;
        Self { is_deep, select }
    }

    fn select<'j>(&self, value: &'j Json, found: &mut Vec<&'j Json>) {
        self.select.children(value, found);
        if self.is_deep {
            // Bounded by the levels that the JSON parser accepts.
            children(value).for_each(|child| self.select(child, found));
        }
    }
}

/// The elements of an array or the values of an object.
fn children(value: &Json) -> impl Iterator<Item = &Json> {
    let (elements, fields) = match value {
        Json::Array(elements) => (Some(elements), None),
        Json::Object(fields) => (None, Some(fields)),
        _ => (None, None),
    };
    elements
        .into_iter()
        .flatten()
        .chain(fields.into_iter().flat_map(serde_json::Map::values))
}

impl Select {
    fn children<'j>(&self, value: &'j Json, found: &mut Vec<&'j Json>) {
        match self {
            Self::All => found.extend(children(value)),
            Self::Name(name) => found.extend(value.get(&**name)),
            Self::Filter(test) => {
                found.extend(children(value).filter(|child| is_true(test.value(child).as_ref())));
            }
            Self::Parts(parts) => {
                for part in parts {
                    part.children(value, found);
                }
            }
        }
    }
}

impl Part {
    fn children<'j>(&self, value: &'j Json, found: &mut Vec<&'j Json>) {
        match self {
            Self::Name(name) => found.extend(child(value, name)),
            Self::Index(index) => found.extend(child(value, &index.to_string())),
            Self::Script(script) => {
                let name = script.value(value).map(|name| name.text());
                found.extend(name.and_then(|name| child(value, &name)));
            }
            Self::Slice(slice) => {
                if let Json::Array(elements) = value {
                    slice.elements(elements, found);
                }
            }
        }
    }
}

/// What an object has under a name, or an array under a number.
fn child<'j>(value: &'j Json, name: &str) -> Option<&'j Json> {
    match value {
        Json::Array(elements) => elements.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    }
}

impl Slice {
    fn elements<'j>(&self, elements: &'j [Json], found: &mut Vec<&'j Json>) {
        let len = i64::try_from(elements.len()).unwrap_or(i64::MAX);
        let place = |index: i64| if index < 0 { index + len } else { index };
        let from = self.from.map_or(0, place).max(0);
        let to = self.to.map_or(len, place).min(len);
        let Ok(step) = usize::try_from(self.step) else {
            return;
        };
        if step > 0 {
            let places = (from..to).step_by(step);
            found.extend(places.filter_map(|place| elements.get(usize::try_from(place).ok()?)));
        }
    }
}

/// What an operand comes to.
#[derive(Debug, Clone, PartialEq)]
enum Term<'j> {
    Text(&'j str),
    Number(f64),
    Bool(bool),
    /// An array or object: it is there, and equals nothing.
    Container,
}

impl Term<'_> {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Number(number) => number_text(*number),
            Self::Bool(value) => value.to_string(),
            Self::Container => String::new(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => parse_number(text.as_bytes()),
            Self::Bool(_) | Self::Container => None,
        }
    }
}

fn is_true(term: Option<&Term<'_>>) -> bool {
    term.is_some_and(|term| *term != Term::Bool(false))
}

impl Operand {
    /// Nothing where a name leads nowhere or an operator has no meaning for what it joins.
    fn value<'j>(&'j self, object: &'j Json) -> Option<Term<'j>> {
        match self {
            Self::Text(text) => Some(Term::Text(text)),
            Self::Number(number) => Some(Term::Number(*number)),
            Self::Bool(value) => Some(Term::Bool(*value)),
            Self::Length => match object {
                Json::Array(elements) => Some(Term::Number(elements.len() as f64)),
                Json::Object(fields) => Some(Term::Number(fields.len() as f64)),
                _ => None,
            },
            Self::Variable(names) => {
                let found = names
                    .iter()
                    .try_fold(object, |value, name| child(value, name))?;
                match found {
                    Json::Null => None,
                    Json::Bool(value) => Some(Term::Bool(*value)),
                    Json::Number(number) => Some(Term::Number(number.as_f64()?)),
                    Json::String(text) => Some(Term::Text(text)),
                    Json::Array(_) | Json::Object(_) => Some(Term::Container),
                }
            }
            Self::Pair(pair) => {
                let (left, operator, right) = &**pair;
                let left = left.value(object);
                match operator {
                    Operator::And if !is_true(left.as_ref()) => Some(Term::Bool(false)),
                    Operator::Or if is_true(left.as_ref()) => Some(Term::Bool(true)),
                    Operator::And | Operator::Or => {
                        Some(Term::Bool(is_true(right.value(object).as_ref())))
                    }
                    operator => operator.apply(&left?, &right.value(object)?),
                }
            }
        }
    }
}

impl Operator {
    fn strength(self) -> u8 {
        match self {
            Self::Multiply | Self::Divide | Self::Remainder => 6,
            Self::Add | Self::Subtract => 5,
            Self::LessOrEqual | Self::GreaterOrEqual | Self::Less | Self::Greater => 4,
            Self::Equal | Self::Unequal => 3,
            Self::And => 2,
            Self::Or => 1,
        }
    }

    fn apply<'j>(self, left: &Term<'_>, right: &Term<'_>) -> Option<Term<'j>> {
        let numbers = || Some((left.number()?, right.number()?));
        let compared = || match (left, right) {
            (Term::Text(left), Term::Text(right)) => Some(left.cmp(right)),
            _ => numbers().and_then(|(left, right)| left.partial_cmp(&right)),
        };
        let term = match self {
            Self::Multiply => Term::Number(numbers().map(|(left, right)| left * right)?),
            Self::Divide => Term::Number(numbers().map(|(left, right)| left / right)?),
            // Lua's `%` has the sign of the right side.
            Self::Remainder => {
                Term::Number(numbers().map(|(left, right)| left - (left / right).floor() * right)?)
            }
            Self::Add => Term::Number(numbers().map(|(left, right)| left + right)?),
            Self::Subtract => Term::Number(numbers().map(|(left, right)| left - right)?),
            Self::LessOrEqual => Term::Bool(compared()?.is_le()),
            Self::GreaterOrEqual => Term::Bool(compared()?.is_ge()),
            Self::Less => Term::Bool(compared()?.is_lt()),
            Self::Greater => Term::Bool(compared()?.is_gt()),
            Self::Equal => Term::Bool(is_equal(left, right)),
            Self::Unequal => Term::Bool(!is_equal(left, right)),
            Self::And | Self::Or => return None,
        };
        Some(term)
    }
}

/// Equal, where a text may spell what the other side is.
fn is_equal(left: &Term<'_>, right: &Term<'_>) -> bool {
    match (left, right) {
        (Term::Container, _) | (_, Term::Container) => false,
        (Term::Text(_), _) | (_, Term::Text(_)) => left.text() == right.text(),
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, json: &Json, expected: &Json) {
        let path = JsonPath::parse(path).expect("an expression");
        let found: Vec<Json> = path.query(json).into_iter().cloned().collect();
        assert_eq!(Json::Array(found), *expected);
    }

    #[test]
    fn selects_from_the_bodies_of_the_documentation() {
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": [{"type": "text"}, {"type": "image_url"}]},
            {"role": "user", "content": "plain"},
        ]});
        check("$", &body, &json!([body]));
        check("$.model", &body, &json!(["m"]));
        check(
            "$.messages[*].content[*].type",
            &body,
            &json!(["text", "image_url"]),
        );
        check("$.messages[0].role", &body, &json!(["system"]));
        check("$.messages[-1:].role", &body, &json!(["user"]));
        check("$.messages[(@.length-1)].role", &body, &json!(["user"]));
        check("$..type", &body, &json!(["text", "image_url"]));
        check("$..role", &body, &json!(["system", "user"]));
        check("$.none", &body, &json!([]));
        check("$.model.x", &body, &json!([]));
        check("$.messages[9]", &body, &json!([]));
        check(
            "$.messages[?(@.role=='user')].content",
            &body,
            &json!(["plain"]),
        );
    }

    #[test]
    fn selects_parts_and_slices() {
        let list = json!({"l": [0, 1, 2, 3], "o": {"a": 1, "b": 2, "1": 3}});
        check("$.l[1,3]", &list, &json!([1, 3]));
        check("$.l[0:3:2]", &list, &json!([0, 2]));
        check("$.l[:2]", &list, &json!([0, 1]));
        check("$.l[-2:]", &list, &json!([2, 3]));
        check("$.l[1:9]", &list, &json!([1, 2, 3]));
        check("$.l[::0]", &list, &json!([]));
        check("$.l.1", &list, &json!([1]));
        check("$.o['a',\"b\"]", &list, &json!([1, 2]));
        check("$.o[1]", &list, &json!([3]));
        check("$.o[0:2]", &list, &json!([]));
        check("$.*[1]", &list, &json!([1, 3]));
        check("$['l'][0]", &list, &json!([0]));
        check("$.l[99999999999999999999]", &list, &json!([]));
    }

    #[test]
    fn a_value_is_found_once() {
        let nested = json!({"a": {"a": {"a": {"b": 1}}}});
        check("$..a..b", &nested, &json!([1]));
        check("$..a.b", &nested, &json!([1]));
        check("$..*..*..b", &nested, &json!([1]));
    }

    #[test]
    fn filters_compare() {
        let items = json!([
            {"n": 1, "t": "x", "b": true},
            {"n": 5, "t": "7", "b": false, "z": null, "l": [1]},
        ]);
        for (test, expected) in [
            ("@.n", vec![0, 1]),
            ("@.b", vec![0]),
            ("@.z", vec![]),
            ("@.l", vec![1]),
            ("@.none", vec![]),
            ("@.n>1", vec![1]),
            ("@.n>=1 && @.t=='x'", vec![0]),
            ("@.t>6", vec![1]),
            ("@.t<6", vec![]),
            ("@.n==1 OR @.n=5", vec![0, 1]),
            ("@.n<>1", vec![1]),
            ("@.n!='1'", vec![1]),
            ("@.b==true", vec![0]),
            ("@.b=='true'", vec![0]),
            ("@.l==1", vec![]),
            ("@['n'] = 5", vec![1]),
            ("@.n+1*2==3", vec![0]),
            ("(@.n+1)*2==4", vec![0]),
            ("@.n%2==1 and @.n/5==1", vec![1]),
            ("@.n-1>0", vec![1]),
            ("@.t*2>1", vec![1]),
            ("@.length==3", vec![0]),
            ("1 or @.none", vec![0, 1]),
        ] {
            let path = JsonPath::parse(&format!("$[?({test})].n")).expect("an expression");
            let found: Vec<_> = path.query(&items).into_iter().cloned().collect();
            let expected: Vec<_> = expected
                .into_iter()
                .filter_map(|place| items.pointer(&format!("/{place}/n")).cloned())
                .collect();
            assert_eq!(found, expected, "{test}");
        }
    }

    #[test]
    fn deep_paths_do_not_grow_without_bound() {
        let mut nested = json!(1);
        for _ in 0..100 {
            nested = json!({"a": nested});
        }
        let path = JsonPath::parse(&format!("${}", "..a".repeat(50))).expect("an expression");
        assert_eq!(path.query(&nested).len(), 51);
    }

    proptest! {
        #[test]
        fn any_path_is_walked(text in "[$.@*?()'\\[\\]:,ab01<>= -]{0,24}") {
            if let Ok(path) = JsonPath::parse(&text) {
                path.query(&json!({"a": [{"b": 1}, "x", {"a": {"b": [0, 1]}}], "b": null}));
            }
        }
    }
}
