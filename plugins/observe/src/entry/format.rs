//! `log_format`: what users want to be logged, compiled.

use std::borrow::Cow;

use lockgate_expr::{Lookup as _, Value as Kinded, Variable};
use lockgate_plugin::Exchange;
use serde_json::{Map, Value};

use super::json::{self, Object};
use crate::limits;

/// An object whose values are variables and literals, maybe in objects within.
#[derive(Debug)]
pub(crate) struct Format {
    members: Box<[Member]>,
    /// Whether the body of the request is in it.
    pub(crate) wants_body: bool,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    /// The name as it is written.
    written: Box<[u8]>,
    value: Node,
}

#[derive(Debug)]
enum Node {
    Object(Box<[Member]>),
    List(Box<[Node]>),
    Variable(Variable),
    /// A variable that is a number to the reference.
    Number(Variable),
    Body,
    Literal(Box<[u8]>),
}

impl Format {
    pub(crate) fn compile(format: &Map<String, Value>) -> Self {
        let members = compile_members(format, 1);
        Self {
            wants_body: members.iter().any(|member| member.value.wants_body()),
            members,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Writes the members that have a value, but for those that `skips` takes out by name; whether one of them has the name `marked`.
    pub(crate) fn write(
        &self,
        ex: &Exchange<'_>,
        max_body_bytes: usize,
        object: &mut Object<'_>,
        skips: impl Fn(&str) -> bool,
        marked: &str,
    ) -> bool {
        let mut is_marked = false;
        for member in &self.members {
            if !skips(&member.name) {
                let is_there = object.optional(&member.written, |out| {
                    member.value.write(ex, max_body_bytes, out)
                });
                is_marked |= is_there && &*member.name == marked;
            }
        }
        is_marked
    }
}

fn compile_members(format: &Map<String, Value>, depth: usize) -> Box<[Member]> {
    format
        .iter()
        .map(|(name, value)| Member {
            name: name.as_str().into(),
            written: json::name(name).into(),
            value: Node::compile(value, depth),
        })
        .collect()
}

impl Node {
    fn compile(value: &Value, depth: usize) -> Self {
        match value {
            Value::Object(_) | Value::Array(_) if depth >= limits::FORMAT_DEPTH => {
                tracing::warn!(
                    "log_format nesting exceeds max depth {}, truncating",
                    limits::FORMAT_DEPTH
                );
                Self::Object(Box::default())
            }
            Value::Object(members) => Self::Object(compile_members(members, depth + 1)),
            Value::Array(elements) if elements.is_empty() => Self::Object(Box::default()),
            Value::Array(elements) => Self::List(
                elements
                    .iter()
                    .map(|element| Self::compile(element, depth + 1))
                    .collect(),
            ),
            Value::String(text) => {
                if let Some(name) = text.strip_prefix('$') {
                    return Self::variable(Variable::parse(name));
                }
                let mut literal = Vec::new();
                json::string(&mut literal, text.as_bytes());
                Self::Literal(literal.into())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Self::Literal(value.to_string().into_bytes().into())
            }
        }
    }

    fn variable(variable: Variable) -> Self {
        match variable {
            Variable::RequestBody => Self::Body,
            // `resty/ngxvar` of the reference's nginx.
            Variable::Status
            | Variable::RequestTime
            | Variable::UpstreamResponseTime
            | Variable::UpstreamHeaderTime
            | Variable::UpstreamConnectTime
            | Variable::RequestLength
            | Variable::BytesSent => Self::Number(variable),
            _ => Self::Variable(variable),
        }
    }

    fn wants_body(&self) -> bool {
        match self {
            Self::Object(members) => members.iter().any(|member| member.value.wants_body()),
            Self::List(elements) => elements.iter().any(Self::wants_body),
            Self::Body => true,
            Self::Variable(_) | Self::Number(_) | Self::Literal(_) => false,
        }
    }

    /// Writes the value; false where there is none.
    fn write(&self, ex: &Exchange<'_>, max_body_bytes: usize, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Object(members) => {
                let mut object = Object::begin(out);
                for member in members {
                    object.optional(&member.written, |out| {
                        member.value.write(ex, max_body_bytes, out)
                    });
                }
                object.end();
                true
            }
            Self::List(elements) => {
                out.push(b'[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    if !element.write(ex, max_body_bytes, out) {
                        out.extend_from_slice(b"null");
                    }
                }
                out.push(b']');
                true
            }
            Self::Variable(variable) => write_variable(ex, variable, out),
            Self::Number(variable) => match sum(ex, variable) {
                Some(number) => {
                    json::number(out, number);
                    true
                }
                None => false,
            },
            Self::Body => {
                let body = request_body(ex, max_body_bytes);
                if !body.is_empty() {
                    json::string(out, &body);
                }
                !body.is_empty()
            }
            Self::Literal(literal) => {
                out.extend_from_slice(literal);
                true
            }
        }
    }
}

fn write_variable(ex: &Exchange<'_>, variable: &Variable, out: &mut Vec<u8>) -> bool {
    out.push(b'"');
    // Such a value has nothing to escape, and is written without being made first.
    if ex.append(variable, out) {
        out.push(b'"');
        return true;
    }
    out.pop();
    match ex.value(variable) {
        Some(value) => {
            json::value(out, &value);
            true
        }
        None => false,
    }
}

/// A variable as a number: the sum of its parts where it has one for each attempt.
pub(super) fn sum(ex: &Exchange<'_>, variable: &Variable) -> Option<f64> {
    let text = match ex.value(variable)? {
        Kinded::Text(text) => text,
        Kinded::Number(number) => return Some(number),
        Kinded::Bool(_) | Kinded::List(_) => return None,
    };
    let text = std::str::from_utf8(&text).ok()?;
    let numbers = text.split(", ").filter_map(|part| part.parse::<f64>().ok());
    let (count, sum) = numbers.fold((0, 0.0), |(count, sum), number| (count + 1, sum + number));
    // Times have milliseconds; the rest would be what adding them leaves.
    (count > 0).then(|| (sum * 1000.0).round() / 1000.0)
}

/// So much of the body of the request as may be logged.
pub(super) fn request_body<'a>(ex: &'a Exchange<'_>, max_bytes: usize) -> Cow<'a, [u8]> {
    match ex.kept_body() {
        Cow::Borrowed(body) => Cow::Borrowed(body.get(..max_bytes).unwrap_or(body)),
        Cow::Owned(mut body) => {
            body.truncate(max_bytes);
            Cow::Owned(body)
        }
    }
}
