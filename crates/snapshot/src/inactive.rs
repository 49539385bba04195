//! What is stored and does nothing: plugins whose behaviour is not built in, and routes of TCP and UDP.

use lockgate_model::resource;
use serde_json::Value;

use crate::Plugins;

/// What is said of every stream route.
pub(crate) const STREAM: &str = "TCP and UDP are not proxied yet: the route does nothing";

/// Says which of the plugins do nothing. Those that are switched off do nothing anyway.
pub(crate) fn sentence(plugins: &resource::Plugins, known: &Plugins) -> Option<String> {
    let is_off = |config: &Value| config.pointer("/_meta/disable") == Some(&Value::Bool(true));
    let names: Vec<&str> = plugins
        .iter()
        .filter(|(name, config)| !known.has(name) && !is_off(config))
        .map(|(name, _)| name.as_str())
        .collect();
    match *names {
        [] => None,
        [name] => Some(format!(
            "the plugin {name} is not built in: it does nothing"
        )),
        _ => Some(format!(
            "the plugins {} are not built in: they do nothing",
            names.join(", ")
        )),
    }
}
