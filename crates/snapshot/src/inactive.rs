//! What is stored and does nothing: plugins whose behaviour is not built in, and routes of TCP and UDP.

use lockgate_model::resource::Plugins;
use serde::Deserialize;
use serde_json::Value;

/// Plugins whose behaviour is built in.
const BUILT: &[&str] = &[];

/// What is said of every stream route.
pub(crate) const STREAM: &str = "TCP and UDP are not proxied yet: the route does nothing";

/// Whether a key is that of an object that is not compiled, and whose plugins are still looked at: consumers and their credentials among
/// them.
pub(crate) fn is_holder(key: &str) -> bool {
    let Some((kind, id)) = key.split_once('/') else {
        return false;
    };
    match kind {
        "consumer_groups" | "global_rules" | "plugin_configs" => !id.contains('/'),
        "consumers" => id
            .split_once('/')
            .is_none_or(|(_, inside)| inside.starts_with("credentials/")),
        _ => false,
    }
}

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
    fn knows_who_holds_plugins() {
        for (key, expected) in [
            ("global_rules/1", true),
            ("global_rules/1/2", false),
            ("consumers/a", true),
            ("consumers/a/credentials/b", true),
            ("consumers/a/others/b", false),
            ("routes/1", false),
            ("gen_id", false),
        ] {
            assert_eq!(is_holder(key), expected, "{key}");
        }
    }

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
