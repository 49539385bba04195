//! What requests are told apart by.

use lockgate_expr::{Lookup as _, Template, Variable};
use lockgate_plugin::Exchange;
use serde::Deserialize;

/// What `key` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyType {
    /// The name of a variable.
    Var,
    /// A text with variables.
    VarCombination,
    /// A text.
    Constant,
}

/// What requests are told apart by.
#[derive(Debug)]
pub(crate) enum Source {
    /// The value of a variable; the address of the client where it has none.
    Variable(Variable),
    /// A text with variables; the address of the client where none of them has a value.
    Combination(Template),
    /// The same for all.
    Constant(Box<str>),
}

impl Source {
    /// As `key` and `key_type` say.
    pub(crate) fn new(key: &str, sort: KeyType) -> Self {
        match sort {
            KeyType::Var => Self::Variable(Variable::parse(key)),
            KeyType::VarCombination => Self::Combination(Template::parse(key)),
            KeyType::Constant => Self::Constant(key.into()),
        }
    }

    /// Appends what a request has.
    #[inline]
    pub(crate) fn write(&self, ex: &Exchange<'_>, out: &mut Vec<u8>) {
        let is_there = match self {
            Self::Variable(variable) => append(variable, ex, out),
            Self::Combination(template) => {
                let begin = out.len();
                let is_there = template.render(ex, out) > 0;
                if !is_there {
                    out.truncate(begin);
                }
                is_there
            }
            Self::Constant(text) => {
                out.extend_from_slice(text.as_bytes());
                true
            }
        };
        if !is_there {
            append(&Variable::RemoteAddr, ex, out);
        }
    }
}

/// Appends the value of a variable; whether it has one.
#[inline]
fn append(variable: &Variable, ex: &Exchange<'_>, out: &mut Vec<u8>) -> bool {
    if ex.append(variable, out) {
        return true;
    }
    match ex.value(variable) {
        Some(value) => {
            value.write_text(out);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::testing::Request;

    use super::*;

    #[test]
    fn tells_requests_apart_by_what_is_there() {
        use KeyType::{Constant, Var, VarCombination};
        for (key, sort, expected) in [
            ("http_a", Var, "1"),
            ("http_b", Var, ""),
            ("http_c", Var, "127.0.0.1"),
            ("no_such_name", Var, "127.0.0.1"),
            ("$http_a $http_c", VarCombination, "1 "),
            ("x${http_c ?? y}", VarCombination, "xy"),
            ("$http_c $http_d", VarCombination, "127.0.0.1"),
            ("http_a", VarCombination, "127.0.0.1"),
            ("$http_a", Constant, "$http_a"),
        ] {
            let mut request = Request::get("/").header("a", "1").header("b", "");
            let mut out = b"before:".to_vec();
            Source::new(key, sort).write(&Exchange::new(&mut request), &mut out);
            let out = String::from_utf8(out).expect("text");
            assert_eq!(out, format!("before:{expected}"), "{key:?} {sort:?}");
        }
    }
}
