//! What is checked of an object that a process loads from a file: less than of one that is written through the Admin API, and in words of its
//! own (the `checker` of each `core.config.new` of the reference).

use lockgate_model::document;
use serde_json::Value;

use crate::{lua_value::text_of, plugins::Purpose};

use super::{Rules, route, secret, ssl, stream_route, upstream};

/// Checks an object of a list; `key` is what it is stored as.
///
/// # Errors
/// What is wrong with it.
pub(crate) async fn check(
    rules: &Rules<'_>,
    list: &str,
    key: &str,
    conf: &Value,
) -> Result<(), String> {
    let schema = |name: &str| rules.schemas.check(name, conf);
    match list {
        "routes" => {
            schema("route")?;
            rules.plugins(conf, Purpose::Plugin).await?;
            route::check_vars_of(conf)
        }
        "services" if key.contains("/graphql_cost_decorations/") => {
            schema("graphql_cost_decoration")
        }
        "services" => {
            schema("service")?;
            rules.plugins(conf, Purpose::Plugin).await
        }
        "upstreams" => {
            schema("upstream")?;
            upstream::check_meaning(rules, conf)
        }
        "consumers" => {
            let is_credential = key.contains("/credentials/");
            schema(if is_credential {
                "credential"
            } else {
                "consumer"
            })?;
            rules.plugins(conf, Purpose::Consumer).await
        }
        "plugin_configs" => {
            schema("plugin_config")?;
            rules.plugins(conf, Purpose::Plugin).await
        }
        "consumer_groups" => {
            schema("consumer_group")?;
            rules.plugins(conf, Purpose::Plugin).await
        }
        "global_rules" => {
            schema("global_rule")?;
            rules.plugins(conf, Purpose::Plugin).await
        }
        "ssls" => {
            schema("ssl")?;
            ssl::check_meaning(rules, conf)
        }
        "protos" => schema("proto"),
        "stream_routes" => {
            schema("stream_route")?;
            stream_route::check_meaning(rules, conf)
        }
        "secrets" => {
            let id = conf.get("id").map(text_of).unwrap_or_default();
            let (manager, _) = id.split_once('/').ok_or("no secret id")?;
            let name = secret::schema_of(manager)
                .ok_or_else(|| format!("secret manager not exits, manager: {manager}"))?;
            schema(name)
        }
        "plugin_metadata" => check_metadata(rules, conf),
        document::PLUGINS => schema("plugins"),
        _ => Ok(()),
    }
}

/// Metadata of a plugin that is unknown or switched off takes no effect, whatever it is.
fn check_metadata(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    let name = conf.get("id").map(text_of).unwrap_or_default();
    let is_on = rules.has_plugin(&name) || rules.has_stream_plugin(&name);
    if !is_on || !rules.plugins.runs(&name) {
        return Ok(());
    }
    rules
        .plugins
        .metadata_finding(&name, conf)
        .map_or(Ok(()), |why| {
            Err(format!(
                "failed to check the configuration of plugin {name} err: {why}"
            ))
        })
}
