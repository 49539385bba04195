//! In which fields two objects differ.

use std::{collections::BTreeSet, fmt};

use serde_json::{Number, Value};

/// A field that differs. Displayed as its path, such as `plugins.limit-count.count` or `nodes[0].weight`.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where it is.
    pub path: String,
    /// What is there; `None` for nothing.
    pub before: Option<Value>,
    /// What shall be there.
    pub after: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.path)
    }
}

/// The fields in which two values differ, in order.
pub(crate) fn between(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut found);
    found
}

fn compare(
    path: String,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let fields: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for field in fields {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{field}");
                compare(path, before.get(field), after.get(field), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.len() == after.len() => {
            for (place, (before, after)) in before.iter().zip(after).enumerate() {
                compare(format!("{path}[{place}]"), Some(before), Some(after), found);
            }
        }
        (before, after) if is_same(before, after) => {}
        (before, after) => found.push(Difference {
            path,
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// Whether two values are the same; `1` and `1.0` are.
fn is_same(before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before, after) {
        (Some(Value::Number(before)), Some(Value::Number(after))) => {
            before == after
                || has_fraction(before) != has_fraction(after) && before.as_f64() == after.as_f64()
        }
        _ => before == after,
    }
}

fn has_fraction(number: &Number) -> bool {
    number.is_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_fields_that_differ() {
        let cases = [
            (
                json!({"a": 1, "b": {"c": [1, {"d": 2}]}}),
                json!({"b": {"c": [1.0, {"d": 2}]}, "a": 1}),
                "",
            ),
            (json!({"a": 1}), json!({"a": 2}), "a: 1 > 2"),
            (json!({"a": 1}), json!({"b": 1}), "a: 1 > -, b: - > 1"),
            (
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 2, "c": null}}),
                "a.b: 1 > 2, a.c: - > null",
            ),
            (
                json!({"n": [{"w": 1}, {"w": 2}]}),
                json!({"n": [{"w": 1}, {"w": 3}]}),
                "n[1].w: 2 > 3",
            ),
            (json!({"n": [1]}), json!({"n": [1, 2]}), "n: [1] > [1,2]"),
            (json!({"n": []}), json!({"n": {}}), "n: [] > {}"),
            (
                json!({"n": 9_007_199_254_740_993_u64}),
                json!({"n": 9_007_199_254_740_992_u64}),
                "n: 9007199254740993 > 9007199254740992",
            ),
        ];
        for (before, after, expected) in cases {
            let text =
                |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
            let found: Vec<_> = between(&before, &after)
                .iter()
                .map(|found| format!("{found}: {} > {}", text(&found.before), text(&found.after)))
                .collect();
            assert_eq!(found.join(", "), expected);
        }
    }
}
