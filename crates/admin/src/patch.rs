//! How a PATCH changes an object: merge and sub-path of `apisix/core/table.lua`.

use serde_json::{Map, Value};

/// Merges a change into an object. `null` removes, lists replace and are replaced; so do empty objects, which are lists to Lua.
pub(crate) fn merge(object: &mut Map<String, Value>, change: Map<String, Value>) {
    for (name, value) in change {
        match (object.get_mut(&name), value) {
            (_, Value::Null) => {
                object.shift_remove(&name);
            }
            (Some(Value::Object(inner)), Value::Object(change))
                if !inner.is_empty() && !change.is_empty() =>
            {
                merge(inner, change);
            }
            (_, value) => {
                object.insert(name, value);
            }
        }
    }
}

/// Puts a value at a path inside an object and makes the objects on the way that are missing. The value is taken as it is: `null` does not
/// remove here. Lists are not entered: to the reference's Lua, the `0` of a path is a text, and a list with a text as key is broken.
///
/// # Errors
/// What the reference says of a path that leads through something else than an object.
pub(crate) fn put_at(
    object: &mut Map<String, Value>,
    path: &[&str],
    value: Value,
) -> Result<(), String> {
    let Some((last, way)) = path.split_last() else {
        return Ok(());
    };
    let mut at = object;
    for (place, name) in way.iter().enumerate() {
        let next = at.entry(*name).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(inner) = next else {
            let until = path.get(..=place).unwrap_or_default().join("/");
            return Err(format!("invalid sub-path: /{until}"));
        };
        at = inner;
    }
    at.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_as_the_reference_does() {
        for (old, change, expected) in [
            (json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})),
            (json!({"a": 1, "b": 2}), json!({"a": null}), json!({"b": 2})),
            (json!({}), json!({"a": null}), json!({})),
            (
                json!({"a": {"b": 1}}),
                json!({"a": {"c": 2}}),
                json!({"a": {"b": 1, "c": 2}}),
            ),
            (
                json!({"a": {"b": 1, "c": 2}}),
                json!({"a": {"b": null, "d": 3}}),
                json!({"a": {"c": 2, "d": 3}}),
            ),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (
                json!({"a": [1]}),
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 1}}),
            ),
            (json!({"a": {"b": 1}}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"a": {"b": 1}}), json!({"a": {}}), json!({"a": {}})),
            (
                json!({"a": {}}),
                json!({"a": {"b": null}}),
                json!({"a": {"b": null}}),
            ),
            (
                json!({"a": 1}),
                json!({"a": {"b": null}}),
                json!({"a": {"b": null}}),
            ),
            (json!({"a": {"b": 1}}), json!({"a": "x"}), json!({"a": "x"})),
            (
                json!({"a": {"b": {"c": 1}}}),
                json!({"a": {"b": {"c": 2}}}),
                json!({"a": {"b": {"c": 2}}}),
            ),
        ] {
            let (Value::Object(mut object), Value::Object(change)) = (old, change) else {
                panic!("the table holds objects");
            };
            merge(&mut object, change);
            assert_eq!(Value::Object(object), expected);
        }
    }

    #[test]
    fn puts_values_at_paths() {
        for (path, value, expected) in [
            (
                &["d"][..],
                json!("x"),
                Ok(json!({"a": {"b": 1}, "c": [1], "d": "x"})),
            ),
            (
                &["a", "b"],
                json!(null),
                Ok(json!({"a": {"b": null}, "c": [1]})),
            ),
            (&["a"], json!(false), Ok(json!({"a": false, "c": [1]}))),
            (
                &["e", "f"],
                json!(1),
                Ok(json!({"a": {"b": 1}, "c": [1], "e": {"f": 1}})),
            ),
            (
                &["a", "b", "x"],
                json!(1),
                Err("invalid sub-path: /a/b".to_owned()),
            ),
            (
                &["a", "b", "x", "y"],
                json!(1),
                Err("invalid sub-path: /a/b".to_owned()),
            ),
            (
                &["c", "1"],
                json!(1),
                Err("invalid sub-path: /c".to_owned()),
            ),
        ] {
            let Value::Object(mut object) = json!({"a": {"b": 1}, "c": [1]}) else {
                panic!("an object was written");
            };
            let outcome = put_at(&mut object, path, value);
            assert_eq!(
                outcome.map(|()| Value::Object(object)),
                expected,
                "{path:?}"
            );
        }
    }
}
