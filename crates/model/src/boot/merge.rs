//! The defaults, overlaid with what a file says (`apisix/cli/file.lua`).
//!
//! Maps merge key by key; everything else replaces; `null` removes. One difference is meant: in the reference an empty map
//! replaces too, because Lua cannot tell it from an empty list, and most starts end in a crash then. Here it changes nothing.

use super::tree::{Entry, Node, Place, Value};

/// A value of another type than the default it replaces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// In the reference's words.
    pub(super) message: String,
    pub(super) place: Place,
}

/// Lays the entries of a map over a node that is one.
pub(super) fn overlay(base: &mut Node, over: &Node) -> Result<(), Mismatch> {
    overlay_at(base, over, "")
}

fn overlay_at(base: &mut Node, over: &Node, path: &str) -> Result<(), Mismatch> {
    let (Value::Map(entries), Value::Map(overlaid)) = (&mut base.value, &over.value) else {
        return Err(mismatch(path, base, over));
    };
    for new in overlaid {
        if matches!(new.node.value, Value::Null) {
            entries.retain(|entry| entry.key != new.key);
            continue;
        }
        let path = if path.is_empty() {
            new.key.clone()
        } else {
            format!("{path}->{}", new.key)
        };
        let old = entries.iter_mut().rfind(|entry| entry.key == new.key);
        match old {
            Some(old) if matches!(new.node.value, Value::Map(_)) => {
                overlay_at(&mut old.node, &new.node, &path)?;
                old.place = new.place;
                old.node.place = new.node.place;
            }
            Some(old) => {
                let is_list = matches!(new.node.value, Value::List(_));
                let fits = is_list || old.node.lua_type() == new.node.lua_type();
                if !fits && !takes_several_types(&path, &new.node) {
                    return Err(mismatch(&path, &old.node, &new.node));
                }
                *old = new.clone();
            }
            None => {
                let mut node = new.node.clone();
                if matches!(node.value, Value::Map(_)) {
                    node.value = Value::Map(Vec::new());
                    overlay_at(&mut node, &new.node, &path)?;
                }
                entries.push(Entry {
                    node,
                    key: new.key.clone(),
                    place: new.place,
                });
            }
        }
    }
    Ok(())
}

fn mismatch(path: &str, base: &Node, over: &Node) -> Mismatch {
    Mismatch {
        message: format!(
            "failed to merge, path[{path}] expect: {}, but got: {}",
            base.lua_type(),
            over.lua_type()
        ),
        place: over.place,
    }
}

/// Whether an option may have another type than its default.
fn takes_several_types(path: &str, new: &Node) -> bool {
    match path {
        "apisix->node_listen" => new.lua_type() == "number",
        "apisix->data_encryption->keyring" => true,
        _ => path.starts_with("nginx_config->") && matches!(new.lua_type(), "number" | "string"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn parse(text: &str) -> Node {
        Node::parse(text)
            .map_err(|error| error.reason)
            .expect("YAML")
    }

    #[track_caller]
    fn check(base: &str, over: &str, expected: &Json) {
        let mut base = parse(base);
        let outcome = overlay(&mut base, &parse(over));
        let outcome = outcome.map_or_else(|error| Json::from(error.message), |()| base.to_json());
        assert_eq!(&outcome, expected, "{over}");
    }

    #[test]
    fn merges_maps_replaces_the_rest_and_removes_by_null() {
        let base = "a: {b: 1, c: [1, 2], d: {e: x}}";
        let cases = [
            ("{}", json!({"a": {"b": 1, "c": [1, 2], "d": {"e": "x"}}})),
            (
                "a: {b: 2}",
                json!({"a": {"b": 2, "c": [1, 2], "d": {"e": "x"}}}),
            ),
            (
                "a: {c: [3]}",
                json!({"a": {"b": 1, "c": [3], "d": {"e": "x"}}}),
            ),
            (
                "a: {d: {f: z}}",
                json!({"a": {"b": 1, "c": [1, 2], "d": {"e": "x", "f": "z"}}}),
            ),
            ("a: {d: ~, z: ~}", json!({"a": {"b": 1, "c": [1, 2]}})),
            (
                "a: {d: {}}",
                json!({"a": {"b": 1, "c": [1, 2], "d": {"e": "x"}}}),
            ),
            ("a: ~", json!({})),
            (
                "a: {b: 1.5}",
                json!({"a": {"b": 1.5, "c": [1, 2], "d": {"e": "x"}}}),
            ),
            (
                "n: {m: {l: 1, k: ~}}",
                json!({"a": {"b": 1, "c": [1, 2], "d": {"e": "x"}}, "n": {"m": {"l": 1}}}),
            ),
        ];
        for (over, expected) in cases {
            check(base, over, &expected);
        }
    }

    #[test]
    fn refuses_another_type_in_the_words_of_the_reference() {
        let base = "apisix: {node_listen: [9080], enable_admin: true, id: x, keyring: [k]}\n\
                    nginx_config: {worker_processes: auto, http: {charset: utf-8}}";
        let failed = |path: &str, wanted: &str, got: &str| {
            json!(format!(
                "failed to merge, path[{path}] expect: {wanted}, but got: {got}"
            ))
        };
        let cases = [
            (
                "apisix: {enable_admin: 'yes'}",
                failed("apisix->enable_admin", "boolean", "string"),
            ),
            ("apisix: {id: 1}", failed("apisix->id", "string", "number")),
            (
                "apisix: {node_listen: '80'}",
                failed("apisix->node_listen", "table", "string"),
            ),
            (
                "apisix: {id: {a: 1}}",
                failed("apisix->id", "string", "table"),
            ),
            ("apisix: 1", failed("apisix", "table", "number")),
            (
                "nginx_config: {worker_processes: true}",
                failed("nginx_config->worker_processes", "string", "boolean"),
            ),
        ];
        for (over, expected) in cases {
            check(base, over, &expected);
        }
        for over in [
            "apisix: {node_listen: 80}",
            "nginx_config: {worker_processes: 2, http: {charset: 1}}",
        ] {
            assert_eq!(overlay(&mut parse(base), &parse(over)), Ok(()), "{over}");
        }
    }

    #[test]
    fn a_merged_value_is_where_the_file_wrote_it() {
        let mut base = parse("a: {b: 1, c: {d: 1}}");
        assert_eq!(overlay(&mut base, &parse("\na:\n  c:\n    e: 5\n")), Ok(()));
        for (path, line) in [("a", 2), ("a.c", 3), ("a.c.e", 4)] {
            assert_eq!(base.place_of(path).line, line, "{path}");
        }
    }
}
