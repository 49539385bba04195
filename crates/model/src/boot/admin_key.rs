//! Writes keys that were made into the text of `config.yaml`, as the reference does (`apisix/core/id.lua`).
//!
//! The reference writes the whole merged file anew. Here the text stays as it is but for the keys, comments and all.

use serde_json::{Value as Json, json};

use super::tree::{Node, Value};

const BLOCK: [&str; 2] = ["deployment", "admin"];

/// The text with keys put into entries of `deployment.admin.admin_key` that had an empty one, each with its number. A file
/// without the option gets it, with one entry.
///
/// `None` where the text has a form that is not changed safely, such as a key that comes from the environment.
pub fn with_admin_keys(text: &str, keys: &[(usize, String)]) -> Option<String> {
    let tree = Node::parse(text).ok()?;
    let mut expected = tree.to_json();
    let has_list = tree.at("deployment.admin.admin_key").is_some();
    let edited = if has_list {
        replace(text, &tree, keys)?
    } else {
        let [(0, key)] = keys else { return None };
        insert(text, &tree, key)?
    };
    let list = expected
        .as_object_mut()?
        .entry("deployment")
        .or_insert(json!({}));
    let list = list.as_object_mut()?.entry("admin").or_insert(json!({}));
    let list = list.as_object_mut()?.entry("admin_key");
    let list = list.or_insert_with(|| json!([{"name": "admin", "key": "", "role": "admin"}]));
    for (number, key) in keys {
        list.get_mut(number)?
            .as_object_mut()?
            .insert("key".into(), Json::from(key.as_str()));
    }
    // Whatever form the text has: it must mean the same as before, and have the keys.
    let is_right = Node::parse(&edited).is_ok_and(|tree| tree.to_json() == expected);
    is_right.then_some(edited)
}

/// Puts keys where empty ones are written, from the last to the first, so that places before them stay true.
fn replace(text: &str, tree: &Node, keys: &[(usize, String)]) -> Option<String> {
    let mut edited = text.to_owned();
    for (number, key) in keys.iter().rev() {
        let path = format!("deployment.admin.admin_key[{number}].key");
        let written = tree.at(&path)?;
        let (from, to) = written.place.bytes?;
        match &written.value {
            Value::Text(value) if value.is_empty() => {
                edited.replace_range(from..to, &format!("\"{key}\""));
            }
            Value::Null => {
                // Nothing at all is written: the place to write to is behind the colon.
                let (_, name_end) = tree.place_of(&path).bytes?;
                let colon = name_end + text.get(name_end..)?.find(':')?;
                edited.insert_str(colon + 1, &format!(" \"{key}\""));
            }
            _ => return None,
        }
    }
    Some(edited)
}

/// Adds the option below the deepest of its blocks that the text has.
fn insert(text: &str, tree: &Node, key: &str) -> Option<String> {
    let mut block = tree;
    let mut path = String::new();
    let mut missing: &[&str] = &BLOCK;
    let mut after = None;
    while let [name, rest @ ..] = missing {
        path.push_str(name);
        let Some(child) = block.at(name) else { break };
        after = tree.place_of(&path).bytes;
        path.push('.');
        block = child;
        missing = rest;
    }
    let Value::Map(entries) = &block.value else {
        return None;
    };
    let (at, indent) = match (after, entries.first()) {
        // Below the line of the block's key, as deep as its first option.
        (Some((key_at, _)), Some(first)) => {
            let line_end = key_at + text.get(key_at..)?.find('\n')? + 1;
            (
                line_end,
                usize::try_from(first.place.column).ok()?.checked_sub(1)?,
            )
        }
        (None, _) => (text.len(), 0),
        (Some(_), None) => return None,
    };
    let mut added = String::new();
    if !text.get(..at)?.is_empty() && !text.get(..at)?.ends_with('\n') {
        added.push('\n');
    }
    let mut depth = indent;
    let mut line = |depth: usize, content: &str| {
        added.push_str(&" ".repeat(depth));
        added.push_str(content);
        added.push('\n');
    };
    for name in missing {
        line(depth, &format!("{name}:"));
        depth += 2;
    }
    line(depth, "admin_key:");
    line(depth + 2, "- name: admin");
    line(depth + 2, &format!("  key: \"{key}\""));
    line(depth + 2, "  role: admin");
    let mut edited = text.to_owned();
    edited.insert_str(at, &added);
    Some(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let edited = with_admin_keys(text, &[(0, "KEY".into())]);
        assert_eq!(edited.as_deref(), expected, "{text}");
    }

    #[test]
    fn replaces_an_empty_key_where_it_is() {
        check(
            "deployment:\n  admin:\n    admin_key:\n      - name: admin # who\n        key: ''  # made\n        role: admin\n",
            Some(
                "deployment:\n  admin:\n    admin_key:\n      - name: admin # who\n        key: \"KEY\"  # made\n        role: admin\n",
            ),
        );
        check(
            "deployment: {admin: {admin_key: [{name: a, key: \"\", role: admin}]}}",
            Some("deployment: {admin: {admin_key: [{name: a, key: \"KEY\", role: admin}]}}"),
        );
        check(
            "deployment:\n  admin:\n    admin_key:\n    - key:\n      role: admin\n",
            Some("deployment:\n  admin:\n    admin_key:\n    - key: \"KEY\"\n      role: admin\n"),
        );
    }

    #[test]
    fn replaces_several_keys() {
        let text = "deployment: {admin: {admin_key: [{key: '', role: admin}, {key: a, role: admin}, {key: '', role: admin}]}}";
        let edited = with_admin_keys(text, &[(0, "K0".into()), (2, "K2".into())]);
        let expected = "deployment: {admin: {admin_key: [{key: \"K0\", role: admin}, {key: a, role: admin}, {key: \"K2\", role: admin}]}}";
        assert_eq!(edited.as_deref(), Some(expected));
    }

    #[test]
    fn adds_the_option_to_a_file_that_lacks_it() {
        let entry = |indent: &str| {
            format!(
                "{indent}admin_key:\n{indent}  - name: admin\n{indent}    key: \"KEY\"\n{indent}    role: admin\n"
            )
        };
        let all = format!("deployment:\n  admin:\n{}", entry("    "));
        check("", Some(&all));
        check("# none\n", Some(&format!("# none\n{all}")));
        check(
            "apisix:\n  id: a",
            Some(&format!("apisix:\n  id: a\n{all}")),
        );
        check(
            "deployment: # all\n    # the role\n    role: traditional\n",
            Some(&format!(
                "deployment: # all\n    admin:\n{}    # the role\n    role: traditional\n",
                entry("      ")
            )),
        );
        check(
            "deployment:\n  admin:\n    admin_listen:\n      port: 1\napisix: {}\n",
            Some(&format!(
                "deployment:\n  admin:\n{}    admin_listen:\n      port: 1\napisix: {{}}\n",
                entry("    ")
            )),
        );
    }

    #[test]
    fn leaves_alone_what_it_cannot_change_safely() {
        let texts = [
            "deployment: {role: traditional}",
            "{apisix: {id: a}}",
            "deployment:\n",
            "a: 1\n...\n",
            "deployment: {admin: {admin_key: [{key: '${{KEY}}', role: admin}]}}",
            "deployment: {admin: {admin_key: [{role: admin}]}}",
            "deployment: {admin: {admin_key: ~}}",
            "a: [",
        ];
        for text in texts {
            check(text, None);
        }
    }
}
