//! A whole configuration, checked without storing it (`apisix/admin/config_validate.lua`).

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    json,
    limits::JSON_DEPTH,
    lua_value::{is_given, text_of},
    resources::{Kind, Rules, Subject},
    response::Answer,
};

/// The lists of a configuration, by the names that they have in it.
const LISTS: &[&str] = &[
    "routes",
    "services",
    "upstreams",
    "consumers",
    "ssls",
    "protos",
    "global_rules",
    "stream_routes",
    "plugin_configs",
    "consumer_groups",
    "plugin_metadata",
    "secrets",
    "plugins",
];

/// `POST /apisix/admin/configs/validate`
pub(crate) async fn validate(rules: &Rules<'_>, is_yaml: bool, text: Option<&[u8]>) -> Answer {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Answer::refusal("invalid request body: empty request body");
    }
    let configuration = match read(text, is_yaml) {
        Ok(configuration) => configuration,
        Err(why) => return Answer::refusal(format!("invalid request body: {why}")),
    };
    let Value::Object(configuration) = configuration else {
        return failed(&[json!({ "error": "a configuration is an object of lists" })]);
    };
    let errors = errors(rules, &configuration).await;
    if errors.is_empty() {
        Answer::json(StatusCode::OK, &json!({}))
    } else {
        failed(&errors)
    }
}

fn read(text: &[u8], is_yaml: bool) -> Result<Value, String> {
    if !is_yaml {
        return json::decode(text).map_err(|error| error.to_string());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: JSON_DEPTH,
            max_documents: 1,
        },
        with_snippet: false,
    };
    let read = std::str::from_utf8(text).ok().and_then(|text| {
        let value: Value = serde_saphyr::from_str_with_options(text, options).ok()?;
        (value.is_object() || value.is_array()).then_some(value)
    });
    read.ok_or_else(|| "invalid yaml request body".into())
}

fn failed(errors: &[Value]) -> Answer {
    let body = json!({ "error_msg": "Configuration validation failed", "errors": errors });
    Answer::json(StatusCode::BAD_REQUEST, &body)
}

async fn errors(rules: &Rules<'_>, configuration: &Map<String, Value>) -> Vec<Value> {
    let mut errors = Vec::new();
    for list in LISTS {
        let version = format!("{list}_conf_version");
        let found = configuration.get(&version);
        if let Some(found) = found.filter(|found| is_given(Some(found)) && !found.is_number()) {
            let kind = lua_type(found);
            errors.push(json!({
                "resource_type": list,
                "error": format!("{version} must be a number, got {kind}"),
            }));
        }
        let items = configuration.get(*list).and_then(Value::as_array);
        let mut ids = BTreeSet::new();
        for (index, item) in items.into_iter().flatten().enumerate() {
            let id = ["id", "username"].iter().find_map(|name| item.get(*name));
            let mut add = |error: String| {
                errors.push(json!({
                    "resource_type": list,
                    "resource_id": id.unwrap_or(&json!("")),
                    "index": index,
                    "error": error,
                }));
            };
            if let Err(error) = check(rules, list, item).await {
                add(error);
            }
            let Some(id) = id.map(text_of) else { continue };
            let words = match (*list, item.get("id")) {
                ("consumers", Some(_)) => "credential id",
                ("consumers", None) => "username",
                _ => "id",
            };
            if !ids.insert(id.clone()) {
                add(format!("found duplicate {words} {id} in {list}"));
            }
        }
    }
    errors
}

async fn check(rules: &Rules<'_>, list: &str, item: &Value) -> Result<(), String> {
    if !item.is_object() {
        let kind = lua_type(item);
        return Err(format!(
            "invalid configuration: wrong type: expected object, got {kind}"
        ));
    }
    let id = item.get("id").map(text_of);
    let (kind, parent) = match list {
        // The list of plugins that are switched on has no rules.
        "plugins" => return Ok(()),
        "consumers" if id.as_deref().is_some_and(|id| id.contains("/credentials/")) => {
            ("credentials", None)
        }
        "secrets" => {
            let id = id.as_deref().unwrap_or("nil");
            let Some((manager, _)) = id.split_once('/') else {
                return Err(format!("invalid secret id: {id}"));
            };
            (list, Some(manager))
        }
        other => (other, None),
    };
    let Some(kind) = Kind::find(kind) else {
        return Ok(());
    };
    let subject = Subject {
        conf: item,
        id: id.as_deref(),
        parent,
    };
    (kind.check)(rules, subject).await
}

fn lua_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "userdata",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "table",
    }
}
