//! `workflow`: plugins as actions.

use serde_json::{Value, json};

use super::{Scope, read};
use crate::lua_value::is_table;

/// Plugins that can be an action.
const PLUGINS: &[&str] = &["limit-conn", "limit-count"];

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for (place, rule) in (1_usize..).zip(read::items(config, &["rules"])) {
        // The reference forgets to look at the outcome of reading `case`.
        for action in read::items(rule, &["actions"]) {
            check_action(scope, action, place)?;
        }
    }
    Ok(())
}

fn check_action(scope: &Scope<'_>, action: &Value, place: usize) -> Result<(), String> {
    let name = match action.get(0) {
        Some(Value::String(name)) => name.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let plugin = PLUGINS
        .contains(&name.as_str())
        .then(|| scope.plugins.http.get(&name))
        .flatten();
    if name != "return" && plugin.is_none() {
        return Err(format!("unsupported action: {name}"));
    }
    let mut config = action.get(1).cloned().unwrap_or_else(|| json!({}));
    if !is_table(&config) {
        config = json!({});
    }
    if let Some(fields) = config.as_object_mut() {
        fields.insert("_vid".into(), place.into());
    }
    let found = match plugin {
        Some(plugin) => Scope { plugin, ..*scope }.check(&mut config),
        None => check_return(&config),
    };
    found.map_err(|why| format!("failed to validate the '{name}' action: {why}"))
}

fn check_return(config: &Value) -> Result<(), String> {
    let schema = json!({
        "type": "object",
        "properties": {"code": {"type": "integer", "minimum": 100, "maximum": 599}},
        "required": ["code"],
    });
    let schema = lockgate_schema::Schema::compile(schema).map_err(|why| why.to_string())?;
    schema.check(config).map_err(|finding| finding.to_string())
}
