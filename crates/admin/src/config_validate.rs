//! A whole configuration, checked without storing it (`apisix/admin/config_validate.lua`).

use std::collections::BTreeSet;

use http::StatusCode;
use lockgate_model::document::{self, Format, LISTS, MODIFIED_INDEX, PLUGINS, Unreadable};
use serde_json::{Map, Value, json};

use crate::{
    json,
    lua_value::{is_given, text_of},
    resources::{Kind, Rules, Subject},
    response::Answer,
};

/// Something wrong in a configuration.
pub(crate) enum Finding {
    /// The version of a list is no number.
    Version {
        /// The member.
        name: String,
        list: &'static str,
        /// Lua's name of its type.
        kind: &'static str,
    },
    /// One of the objects does not fit.
    Item {
        list: &'static str,
        /// The id, or what stands for it.
        id: Value,
        /// From 0.
        index: usize,
        error: String,
    },
}

impl Finding {
    /// What is said of it where nothing else is said.
    pub(crate) fn into_message(self) -> String {
        match self {
            Self::Version { name, .. } => format!("{name} must be a number"),
            Self::Item { error, .. } => error,
        }
    }

    fn show(&self) -> Value {
        match self {
            Self::Version { name, list, kind } => json!({
                "resource_type": list,
                "error": format!("{name} must be a number, got {kind}"),
            }),
            Self::Item {
                list,
                id,
                index,
                error,
            } => json!({
                "resource_type": list,
                "resource_id": id,
                "index": index,
                "error": error,
            }),
        }
    }
}

/// How much is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything.
    All,
    /// The first thing.
    First,
}

/// `POST /apisix/admin/configs/validate`
pub(crate) async fn validate(rules: &Rules<'_>, is_yaml: bool, text: Option<&[u8]>) -> Answer {
    let configuration = match read(is_yaml, text) {
        Ok(configuration) => configuration,
        Err(why) => return Answer::refusal(why),
    };
    let Value::Object(configuration) = configuration else {
        return failed(&[json!({ "error": "a configuration is an object of lists" })]);
    };
    let findings = findings(rules, &configuration, Extent::All).await;
    let errors: Vec<Value> = findings.iter().map(Finding::show).collect();
    if errors.is_empty() {
        Answer::json(StatusCode::OK, &json!({}))
    } else {
        failed(&errors)
    }
}

/// Reads the body of a request that holds a configuration.
///
/// # Errors
/// What the client reads.
pub(crate) fn read(is_yaml: bool, text: Option<&[u8]>) -> Result<Value, String> {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Err("invalid request body: empty request body".into());
    }
    if !is_yaml {
        return json::decode(text).map_err(|error| format!("invalid request body: {error}"));
    }
    let unreadable = |_: Unreadable| "invalid request body: invalid yaml request body".to_owned();
    let text = std::str::from_utf8(text).unwrap_or_default();
    document::read(text, Format::Yaml)
        .map(Value::Object)
        .map_err(unreadable)
}

fn failed(errors: &[Value]) -> Answer {
    let body = json!({ "error_msg": "Configuration validation failed", "errors": errors });
    Answer::json(StatusCode::BAD_REQUEST, &body)
}

/// What is wrong in a configuration.
pub(crate) async fn findings(
    rules: &Rules<'_>,
    configuration: &Map<String, Value>,
    extent: Extent,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for list in LISTS.iter().chain([&PLUGINS]) {
        let name = version_of(list);
        let found = configuration.get(&name);
        if let Some(found) = found.filter(|found| is_given(Some(found)) && !found.is_number()) {
            let kind = lua_type(found);
            findings.push(Finding::Version { name, list, kind });
        }
        let items = configuration.get(*list).and_then(Value::as_array);
        let mut ids = BTreeSet::new();
        for (index, item) in items.into_iter().flatten().enumerate() {
            if extent == Extent::First && !findings.is_empty() {
                return findings;
            }
            let id = ["id", "username"].iter().find_map(|name| item.get(*name));
            let mut add = |error: String| {
                findings.push(Finding::Item {
                    list,
                    id: id.cloned().unwrap_or_else(|| json!("")),
                    index,
                    error,
                });
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
    findings
}

/// The member of a configuration that holds the version of a list.
pub(crate) fn version_of(list: &str) -> String {
    format!("{list}_conf_version")
}

async fn check(rules: &Rules<'_>, list: &str, item: &Value) -> Result<(), String> {
    if !item.is_object() {
        let kind = lua_type(item);
        return Err(format!(
            "invalid configuration: wrong type: expected object, got {kind}"
        ));
    }
    let without_index = rules.takes_modified_index.then(|| without_index(item));
    let item = match &without_index {
        Some(item) => item.as_ref().map_err(Clone::clone)?,
        None => item,
    };
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

/// An object without [`MODIFIED_INDEX`].
///
/// # Errors
/// That is no whole number.
pub(crate) fn without_index(item: &Value) -> Result<Value, String> {
    let mut item = item.clone();
    let index = item
        .as_object_mut()
        .and_then(|fields| fields.shift_remove(MODIFIED_INDEX));
    let is_whole = |number: f64| number.fract() == 0.0;
    match index {
        Some(index) if !index.as_f64().is_some_and(is_whole) => Err(format!(
            "invalid configuration: property \"{MODIFIED_INDEX}\" validation failed: wrong type: expected integer, got {}",
            lua_type(&index)
        )),
        _ => Ok(item),
    }
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
