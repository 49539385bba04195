//! The texts that a path of `encrypt_fields` leads to (`process_encrypt_field` in `apisix/plugin.lua`).

use serde_json::Value;

/// Calls `change` for every text at a path such as `instances.auth.header`. On the way maps and lists are entered; at the end stands a text,
/// or a list or map of texts.
pub(crate) fn for_each_text(config: &mut Value, path: &str, change: &mut dyn FnMut(&mut String)) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let Some(value) = config.get_mut(name) else {
        return;
    };
    let Some(rest) = rest else {
        for_each_leaf(value, change);
        return;
    };
    match value {
        Value::Array(items) => {
            for item in items {
                for_each_text(item, rest, change);
            }
        }
        value => for_each_text(value, rest, change),
    }
}

fn for_each_leaf(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| change_text(item, change)),
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|field| change_text(field, change));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn change_text(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    if let Value::String(text) = value {
        change(text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_texts_through_maps_and_lists() {
        for (path, config, expected) in [
            (
                "a",
                json!({"a": "x", "b": "x"}),
                json!({"a": "X", "b": "x"}),
            ),
            (
                "a",
                json!({"a": ["x", 1, ["x"], {"c": "x"}]}),
                json!({"a": ["X", 1, ["x"], {"c": "x"}]}),
            ),
            (
                "a",
                json!({"a": {"c": "x", "d": {"e": "x"}, "f": null}}),
                json!({"a": {"c": "X", "d": {"e": "x"}, "f": null}}),
            ),
            ("a", json!({"a": 1}), json!({"a": 1})),
            ("a", json!({"a": null}), json!({"a": null})),
            ("a", json!({}), json!({})),
            ("a", json!([{"a": "x"}]), json!([{"a": "x"}])),
            ("a.b", json!({"a": {"b": "x"}}), json!({"a": {"b": "X"}})),
            ("a.b", json!({"a.b": "x"}), json!({"a.b": "x"})),
            ("a.b", json!({"a": "x"}), json!({"a": "x"})),
            (
                "a.b",
                json!({"a": [{"b": "x"}, "x", [{"b": "x"}], {"b": ["x"]}]}),
                json!({"a": [{"b": "X"}, "x", [{"b": "x"}], {"b": ["X"]}]}),
            ),
            (
                "a.b.c.d",
                json!({"a": {"b": {"c": {"d": {"e": "x"}}}}}),
                json!({"a": {"b": {"c": {"d": {"e": "X"}}}}}),
            ),
            (
                "a.b.c",
                json!({"a": [{"b": [{"c": "x"}]}]}),
                json!({"a": [{"b": [{"c": "X"}]}]}),
            ),
            ("", json!({"a": "x"}), json!({"a": "x"})),
        ] {
            let mut changed = config.clone();
            for_each_text(&mut changed, path, &mut |text| text.make_ascii_uppercase());
            assert_eq!(changed, expected, "{path} {config}");
        }
    }
}
