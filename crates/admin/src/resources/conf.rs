//! What is checked of every object, whatever its kind (`check_conf` in `apisix/admin/resource.lua`).

use serde_json::{Map, Value};

use crate::lua_value::{is_given, text_of};

/// An object of the client, as an object.
///
/// # Errors
/// There is none. The reference fails with an error of its own where something else than an object was sent.
pub(super) fn object(conf: Option<Value>) -> Result<Map<String, Value>, String> {
    let kind = match conf {
        None | Some(Value::Bool(false)) => return Err("missing configurations".into()),
        Some(Value::Object(fields)) => return Ok(fields),
        Some(Value::Null) => "userdata",
        Some(Value::Bool(true)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "table",
    };
    Err(format!(
        "invalid configuration: wrong type: expected object, got {kind}"
    ))
}

/// Settles the id of an object that must have one: the path's, else its own. It is stored as it was given, a number as a number.
///
/// # Errors
/// There is none, or there are two that differ.
pub(super) fn settle_id(
    kind: &str,
    path: Option<&str>,
    conf: &mut Map<String, Value>,
) -> Result<(), String> {
    let own = conf.get("id").filter(|id| is_given(Some(id)));
    let id = match (path, own) {
        (None, None) => return Err(format!("missing {kind} id")),
        (Some(path), Some(own)) if text_of(own) != path => return Err(format!("wrong {kind} id")),
        (Some(path), _) => Value::String(path.to_owned()),
        (None, Some(own)) => own.clone(),
    };
    conf.insert("id".into(), id);
    Ok(())
}

/// Checks that an object that gets its id later has none.
///
/// # Errors
/// It has one, or the path names one.
pub(super) fn refuse_id(
    kind: &str,
    path: Option<&str>,
    conf: &mut Map<String, Value>,
) -> Result<(), String> {
    if path.is_some() || is_given(conf.get("id")) {
        return Err(format!("wrong {kind} id, do not need it"));
    }
    conf.shift_remove("id");
    Ok(())
}

/// Checks that an object does not say when it was written.
///
/// # Errors
/// It does, or the upstream or plugins in it do.
pub(super) fn refuse_times(conf: &Map<String, Value>) -> Result<(), String> {
    for part in ["", "upstream", "plugins"] {
        let fields = match part {
            "" => Some(conf),
            part => conf.get(part).and_then(Value::as_object),
        };
        for time in ["create_time", "update_time"] {
            if fields.is_some_and(|fields| is_given(fields.get(time))) {
                let dot = if part.is_empty() { "" } else { "." };
                return Err(format!("the property is forbidden:  {part}{dot}{time}"));
            }
        }
    }
    Ok(())
}

/// Notes when an object was made, which its predecessor knows, and when it was changed (`apisix/admin/utils.lua`).
pub(super) fn stamp(conf: &mut Map<String, Value>, previous: Option<&Value>, now: u64) {
    if !is_given(conf.get("create_time")) {
        let made = previous
            .filter(|made| is_given(Some(made)))
            .cloned()
            .unwrap_or(Value::from(now));
        conf.insert("create_time".into(), made);
    }
    if !is_given(conf.get("update_time")) {
        conf.insert("update_time".into(), Value::from(now));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Map<String, Value> {
        object(Some(value)).unwrap()
    }

    #[test]
    fn settles_ids() {
        for (path, conf, expected) in [
            (Some("1"), json!({}), Ok(json!("1"))),
            (Some("1"), json!({"id": 1}), Ok(json!("1"))),
            (Some("1"), json!({"id": 1.0}), Ok(json!("1"))),
            (Some("1"), json!({"id": "1"}), Ok(json!("1"))),
            (Some("1"), json!({"id": false}), Ok(json!("1"))),
            (None, json!({"id": 1}), Ok(json!(1))),
            (None, json!({"id": "a"}), Ok(json!("a"))),
            (None, json!({}), Err("missing route id")),
            (None, json!({"id": false}), Err("missing route id")),
            (Some("1"), json!({"id": 2}), Err("wrong route id")),
            (Some("1"), json!({"id": true}), Err("wrong route id")),
            (Some("1"), json!({"id": null}), Err("wrong route id")),
        ] {
            let mut conf = fields(conf);
            let outcome = settle_id("route", path, &mut conf);
            let outcome = outcome.map(|()| conf["id"].clone());
            assert_eq!(
                outcome,
                expected.map_err(str::to_owned),
                "{path:?} {conf:?}"
            );
        }
    }

    #[test]
    fn refuses_times() {
        for (conf, expected) in [
            (json!({"upstream": {"nodes": {}}, "plugins": {}}), None),
            (json!({"create_time": false}), None),
            (json!({"upstream": "x", "plugins": []}), None),
            (
                json!({"create_time": 1, "update_time": 1}),
                Some("create_time"),
            ),
            (json!({"update_time": null}), Some("update_time")),
            (
                json!({"upstream": {"create_time": 1}}),
                Some("upstream.create_time"),
            ),
            (
                json!({"plugins": {"update_time": {}}}),
                Some("plugins.update_time"),
            ),
            (
                json!({"upstream": {"create_time": 1}, "update_time": 1}),
                Some("update_time"),
            ),
        ] {
            let refusal = refuse_times(&fields(conf)).err();
            let expected = expected.map(|name| format!("the property is forbidden:  {name}"));
            assert_eq!(refusal, expected);
        }
    }

    #[test]
    fn stamps_objects() {
        for (conf, previous, expected) in [
            (json!({}), None, json!({"create_time": 9, "update_time": 9})),
            (
                json!({}),
                Some(json!(4)),
                json!({"create_time": 4, "update_time": 9}),
            ),
            (
                json!({}),
                Some(json!(false)),
                json!({"create_time": 9, "update_time": 9}),
            ),
            (
                json!({"create_time": 5, "update_time": 6}),
                Some(json!(4)),
                json!({"create_time": 5, "update_time": 6}),
            ),
        ] {
            let mut conf = fields(conf);
            stamp(&mut conf, previous.as_ref(), 9);
            assert_eq!(Value::Object(conf), expected);
        }
    }
}
