//! Plugins that are known but whose behaviour is not built in: they are accepted and stored, and do nothing. Nobody shall find that out by
//! traffic, so writers are told.

use serde_json::Value;

use super::records;

fn is_built(name: &str) -> bool {
    let known = records::HTTP.iter().find(|(own, ..)| *own == name);
    known.is_some_and(|(.., is_built)| *is_built)
}

/// Names of the plugins in the `plugins` of an object that would do nothing. Those that are switched off do nothing anyway.
pub(crate) fn named_in(object: &Value) -> Vec<&str> {
    let plugins = object.get("plugins").and_then(Value::as_object);
    plugins
        .into_iter()
        .flatten()
        .filter(|(name, config)| !is_built(name) && !super::is_disabled(config))
        .map(|(name, _)| name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_would_do_nothing() {
        for (object, expected) in [
            (
                json!({"plugins": {"ai-rag": {}, "inspect": {}}}),
                vec!["ai-rag", "inspect"],
            ),
            (
                json!({"plugins": {"ai-rag": {"_meta": {"disable": true}}, "inspect": {"_meta": {"disable": false}}}}),
                vec!["inspect"],
            ),
            (json!({"plugins": {}}), vec![]),
            (json!({"plugins": []}), vec![]),
            (json!({}), vec![]),
        ] {
            assert_eq!(named_in(&object), expected);
        }
    }
}
