//! Where in a body a `post_arg.` variable looks.

use std::hash::{Hash, Hasher};

use serde_json::Value as Json;

use crate::{JsonPath, Value};

/// A path into a body of fields, such as `model`, `user.name` or `messages[*].role`, compiled.
///
/// As in the reference (`apisix/core/ctx.lua`): with `[`, `*` or `..` in it the path is a [`JsonPath`], and its value is the list of all
/// that it selects; else it is names separated by dots, and its value is what they lead to.
#[derive(Debug, Clone)]
pub struct BodyPath {
    text: Box<str>,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Names(Box<[Box<str>]>),
    Query(JsonPath),
    /// No expression: the Admin API refuses it, a file may hold it. It selects nothing.
    Broken,
}

impl BodyPath {
    /// Compiles what stands behind `post_arg.`.
    pub fn new(text: &str) -> Self {
        let way = if text.contains(['[', '*']) || text.contains("..") {
            JsonPath::parse(&format!("$.{text}")).map_or(Way::Broken, Way::Query)
        } else {
            // The reference splits by a pattern that takes parentheses for separators, too.
            let names = text.split(['.', '(', ')']).filter(|name| !name.is_empty());
            Way::Names(names.map(Into::into).collect())
        };
        let text = text.into();
        Self { text, way }
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What a body has there. Nothing, too, where it has `null`.
    pub fn value<'j>(&self, body: &'j Json) -> Option<Value<'j>> {
        match &self.way {
            Way::Names(names) => {
                let found = names
                    .iter()
                    .try_fold(body, |value, name| value.as_object()?.get(&**name))?;
                Value::of_json(found)
            }
            Way::Query(path) => {
                let found = path.query(body);
                if found.is_empty() {
                    return None;
                }
                let values = found.into_iter().filter_map(Value::of_json);
                Some(Value::List(values.collect()))
            }
            Way::Broken => None,
        }
    }
}

impl PartialEq for BodyPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for BodyPath {}

impl Hash for BodyPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::*;

    #[test]
    fn names_lead_to_one_value_and_expressions_to_a_list() {
        let body = json!({"model": "m", "n": 1.5, "yes": true, "none": null, "user": {"name": "u"},
            "list": ["a", 2], "1": "digit"});
        let text = |text: &'static str| Value::Text(Cow::Borrowed(text.as_bytes()));
        let check = |path: &str, expected: Option<Value<'_>>| {
            assert_eq!(BodyPath::new(path).value(&body), expected, "{path}");
        };
        check("model", Some(text("m")));
        check("n", Some(Value::Number(1.5)));
        check("yes", Some(Value::Bool(true)));
        check("none", None);
        check("absent", None);
        check("user.name", Some(text("u")));
        check("user", Some(Value::List(vec![])));
        check("user.name.x", None);
        check("1", Some(text("digit")));
        check("list.0", None);
        check(
            "list",
            Some(Value::List(vec![text("a"), Value::Number(2.0)])),
        );
        check("list[0]", Some(Value::List(vec![text("a")])));
        check("list[7]", None);
        check("list[", None);
        check("user..name", Some(Value::List(vec![text("u")])));
        check("..name", None);
    }
}
