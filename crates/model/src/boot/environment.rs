//! `${{NAME}}` and `${{NAME:=default}}` in keys and values (`apisix/cli/file.lua`).

use super::tree::{Entry, Node, Place, Value};

/// The variable that `deployment.etcd.host` is taken from where it is set: a list in JSON.
pub(super) const ETCD_HOST: &str = "APISIX_DEPLOYMENT_ETCD_HOST";

/// Looks a variable of the environment up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that is not set and has no default.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) name: String,
    pub(super) place: Place,
}

/// Replaces every reference in the keys and values below a node. A value that held one becomes a number or a boolean where it
/// reads like one.
pub(super) fn substitute(node: &mut Node, environment: Environment<'_>) -> Result<(), Missing> {
    let place = node.place;
    let missing = |name: String, place| Missing { name, place };
    match &mut node.value {
        Value::Text(text) => {
            if let Some(replaced) =
                replace(text, environment).map_err(|name| missing(name, place))?
            {
                node.value = retype(replaced);
            }
        }
        Value::List(items) => {
            for item in items {
                substitute(item, environment)?;
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let key =
                    replace(&entry.key, environment).map_err(|name| missing(name, entry.place))?;
                if let Some(key) = key {
                    entry.key = key;
                }
                substitute(&mut entry.node, environment)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
    Ok(())
}

/// What [`ETCD_HOST`] says, to be laid over the file; an empty map where it is not set. The error is why it is passed over, as
/// the reference does it.
pub(super) fn etcd_hosts(environment: Environment<'_>) -> Result<Node, String> {
    let Some(text) = environment(ETCD_HOST) else {
        return Ok(Node::empty());
    };
    // All JSON is YAML, but the reference takes no other YAML here.
    serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| format!("is no JSON and has no effect: {error}"))?;
    let mut hosts = Node::parse(&text).map_err(|unreadable| unreadable.reason)?;
    hosts.forget_places();
    let below = |key: &str, node: Node| Node {
        value: Value::Map(vec![Entry {
            key: key.to_owned(),
            place: Place::default(),
            node,
        }]),
        place: Place::default(),
    };
    Ok(below("deployment", below("etcd", below("host", hosts))))
}

/// The text with its references replaced; `None` where it has none. The error is the name of a variable that is not set.
pub(crate) fn replace(text: &str, environment: Environment<'_>) -> Result<Option<String>, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, reference, after)) = next_reference(rest) {
        out.push_str(before);
        let (name, default) = match reference.split_once(":=") {
            Some((name, default)) => (name, Some(default.trim())),
            None => (reference, None),
        };
        match environment(name).as_deref().or(default) {
            Some(value) => out.push_str(value),
            None => return Err(name.to_owned()),
        }
        rest = after;
    }
    if rest.len() == text.len() {
        return Ok(None);
    }
    out.push_str(rest);
    Ok(Some(out))
}

/// What stands before the next reference, inside it, and after it. A reference begins with a letter, digit or underscore;
/// what looks like one but does not is left as it is.
fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    for (at, opening) in text.match_indices("${{") {
        let inside = text.get(at + opening.len()..)?;
        let Some(length) = inside.find("}}") else {
            continue;
        };
        let (inside, after) = (inside.get(..length)?, inside.get(length + 2..)?);
        let inside = inside.trim();
        if inside.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_') {
            return Some((text.get(..at)?, inside, after));
        }
    }
    None
}

/// A text as the number or boolean it reads like, by Lua's rules.
pub(crate) fn retype(text: String) -> Value {
    match text.as_str() {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Value::Text(text);
    }
    let hex = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    if let Some(value) = hex.and_then(|hex| i64::from_str_radix(hex, 16).ok()) {
        return Value::Int(if trimmed.starts_with('-') {
            -value
        } else {
            value
        });
    }
    if let Ok(value) = trimmed.parse() {
        return Value::Int(value);
    }
    match trimmed.parse::<f64>() {
        Ok(value) if value.is_finite() => Value::Float(value),
        _ => Value::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "PORT" => "9080",
            "ON" => "true",
            "NAME" => "example",
            "EMPTY" => "",
            "HALF" => "0.5",
            "HEX" => "0x1F",
            "PADDED" => " 12 ",
            "WORD" => "1st",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[track_caller]
    fn check(text: &str, expected: &Json) {
        let mut node = Node {
            value: Value::Text(text.to_owned()),
            place: Place::default(),
        };
        let outcome = substitute(&mut node, &environment);
        let outcome = outcome.map_or_else(
            |missing| json!({"missing": missing.name}),
            |()| node.to_json(),
        );
        assert_eq!(&outcome, expected, "{text}");
    }

    #[test]
    fn replaces_and_gives_the_result_its_type() {
        let cases = [
            ("plain", json!("plain")),
            ("9080", json!("9080")),
            ("${{PORT}}", json!(9080)),
            ("${{ PORT }}", json!(9080)),
            ("1${{PORT}}", json!(19080)),
            ("http://${{NAME}}:${{PORT}}/", json!("http://example:9080/")),
            ("${{ON}}", json!(true)),
            ("${{HALF}}", json!(0.5)),
            ("${{HEX}}", json!(31)),
            ("${{PADDED}}", json!(12)),
            ("${{WORD}}", json!("1st")),
            ("${{EMPTY}}", json!("")),
            ("${{UNSET:=8}}", json!(8)),
            ("${{UNSET:= a b }}", json!("a b")),
            ("${{UNSET:=}}", json!("")),
            ("${{NAME:=other}}", json!("example")),
            ("${{UNSET:=http://a:1/?b=c}}", json!("http://a:1/?b=c")),
            ("${{UNSET}}", json!({"missing": "UNSET"})),
            ("${{NAME}}${{UNSET}}", json!({"missing": "UNSET"})),
            ("${{NAME=x}}", json!({"missing": "NAME=x"})),
            (
                "${NAME} $NAME ${{}} ${{-}} ${{",
                json!("${NAME} $NAME ${{}} ${{-}} ${{"),
            ),
        ];
        for (text, expected) in cases {
            check(text, &expected);
        }
    }

    #[test]
    fn replaces_in_keys_and_below_lists() {
        let mut tree = Node::parse("a:\n  - ${{PORT}}\n  - '${{NAME}}': ${{UNSET:=no}}\n")
            .map_err(|error| error.reason)
            .expect("YAML");
        assert_eq!(substitute(&mut tree, &environment), Ok(()));
        assert_eq!(tree.to_json(), json!({"a": [9080, {"example": "no"}]}));
    }

    #[test]
    fn says_where_the_variable_is_missing() {
        let mut tree = Node::parse("a: 1\nb:\n  c: x ${{UNSET}}\n")
            .map_err(|error| error.reason)
            .expect("YAML");
        let missing = substitute(&mut tree, &environment).expect_err("missing");
        assert_eq!((missing.name.as_str(), missing.place.line), ("UNSET", 3));
    }
}
