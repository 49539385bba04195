//! Routes (`apisix/admin/routes.lua`).

use lockgate_expr::{Expr, JsonPath};
use lockgate_keyring::Part;
use lockgate_store::BoxFuture;
use serde_json::Value;

use crate::{
    lua_syntax::{self, Returned},
    lua_value::is_given,
    plugins::Purpose,
};

use super::{Kind, Rules, Sealed, reference, upstream};

/// The kind.
pub(super) const KIND: Kind = Kind {
    filters: &["service_id", "upstream_id"],
    sealed: Sealed {
        plugins: Some(Part::Plugin),
        keys: &["/upstream/tls/client_key"],
    },
    ..Kind::plain(
        "routes",
        "route",
        "route",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject.conf)) },
    )
};

async fn check(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    let has = |field: &str| is_given(conf.get(field));
    if has("host") && has("hosts") {
        return Err("only one of host or hosts is allowed".into());
    }
    if has("remote_addr") && has("remote_addrs") {
        return Err("only one of remote_addr or remote_addrs is allowed".into());
    }
    rules.schema("route", conf)?;
    if let Some(inner) = conf.get("upstream") {
        upstream::check(rules, inner).await?;
    }
    reference::follow(rules, conf, "upstream_id", "upstreams", "upstream").await?;
    reference::follow(rules, conf, "service_id", "services", "service").await?;
    let (kind, words) = ("plugin_configs", "plugin config");
    reference::follow(rules, conf, "plugin_config_id", kind, words).await?;
    rules.plugins(conf, Purpose::Plugin).await?;
    check_vars_of(conf)?;
    if let Some(source) = conf.get("filter_func").and_then(Value::as_str) {
        check_filter_func(source)?;
    }
    if let Some(source) = conf.get("script").and_then(Value::as_str) {
        check_script(source)?;
    }
    Ok(())
}

/// Checks the `vars` of a route, where it has any.
///
/// # Errors
/// What is wrong with them.
pub(super) fn check_vars_of(conf: &Value) -> Result<(), String> {
    let Some(vars) = conf.get("vars") else {
        return Ok(());
    };
    check_vars(vars).map_err(|why| format!("failed to validate the 'vars' expression: {why}"))
}

fn check_vars(vars: &Value) -> Result<(), String> {
    Expr::compile(vars).map_err(|error| error.to_string())?;
    check_body_paths(vars)
}

/// Variables that look into the body of a request are `JSONPath` expressions.
fn check_body_paths(vars: &Value) -> Result<(), String> {
    let Some(parts) = vars.as_array() else {
        return Ok(());
    };
    let variable = parts.first().and_then(Value::as_str);
    if let Some(path) = variable.and_then(|name| name.strip_prefix("post_arg."))
        && parts.len() >= 3
    {
        let path = JsonPath::parse(&format!("$.{path}"));
        return path.map(|_| ()).map_err(|error| error.to_string());
    }
    parts.iter().try_for_each(check_body_paths)
}

/// The function is not run: that it ends, and what it returns, shows when a request comes.
fn check_filter_func(source: &str) -> Result<(), String> {
    let chunk = format!("return {source}");
    match lua_syntax::check(&chunk) {
        Err(error) => Err(format!("failed to load 'filter_func' string: {error}")),
        Ok(Returned::Function) => Ok(()),
        Ok(_) => Err("'filter_func' should be a function".into()),
    }
}

/// The script is not run: what a call or a variable returns is not known.
pub(super) fn check_script(source: &str) -> Result<(), String> {
    match lua_syntax::check(source) {
        Err(error) => Err(format!("failed to load 'script' string: {error}")),
        Ok(Returned::Table | Returned::Unknown) => Ok(()),
        Ok(Returned::Function | Returned::Other(_)) => {
            Err("'script' should be a Lua object".into())
        }
    }
}
