//! What is stored and does nothing: plugins whose behaviour is not built in, and routes of TCP and UDP.

use lockgate_model::resource::Plugins;
use serde::Deserialize;
use serde_json::Value;

/// Plugins whose behaviour is built in.
const BUILT: &[&str] = &[];

/// What is said of every stream route.
pub(crate) const STREAM: &str = "TCP and UDP are not proxied yet: the route does nothing";

/// Kinds that are not compiled, and whose plugins are still looked at.
pub(crate) const KINDS: &[&str] = &[
    "consumers",
    "consumer_groups",
    "global_rules",
    "plugin_configs",
];

/// An object of which only the plugins matter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Holder {
    pub(crate) plugins: Plugins,
}

/// Says which of the plugins do nothing. Those that are switched off do nothing anyway.
pub(crate) fn sentence(plugins: &Plugins) -> Option<String> {
    let is_off = |config: &Value| config.pointer("/_meta/disable") == Some(&Value::Bool(true));
    let names: Vec<&str> = plugins
        .iter()
        .filter(|(name, config)| !BUILT.contains(&name.as_str()) && !is_off(config))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_plugins_that_do_nothing() {
        for (plugins, expected) in [
            (json!({}), None),
            (
                json!({"cors": {}}),
                Some("the plugin cors is not built in: it does nothing"),
            ),
            (
                json!({"cors": {}, "gzip": {"_meta": {"disable": false}}}),
                Some("the plugins cors, gzip are not built in: they do nothing"),
            ),
            (json!({"cors": {"_meta": {"disable": true}}}), None),
        ] {
            let plugins = plugins.as_object().unwrap();
            assert_eq!(sentence(plugins).as_deref(), expected);
        }
    }
}
