//! The plugins that objects may name. This is where a plugin's name and schema become known to the Admin API.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    args::{Arg, Args},
    lua_value::is_table,
    response::Answer,
};

/// Names of the HTTP plugins, by falling priority.
const HTTP: &[&str] = &[];

/// Names of the stream plugins, by falling priority.
const STREAM: &[&str] = &[];

/// Checks the `plugins` of an object.
///
/// # Errors
/// What the reference says of the first that does not fit (`apisix/plugin.lua`, `check_single_plugin_schema`).
pub(crate) fn check(plugins: &Map<String, Value>) -> Result<(), String> {
    for (name, config) in plugins {
        if !is_table(config) {
            return Err(format!("invalid plugin conf {config} for plugin [{name}]"));
        }
        if !HTTP.contains(&name.as_str()) {
            return Err(format!("unknown plugin [{name}]"));
        }
    }
    Ok(())
}

/// `GET /apisix/admin/plugins/list`
pub(crate) fn list(args: &Args) -> Answer {
    match subsystem(args) {
        Some(names) => Answer::json(StatusCode::OK, &json!(names)),
        None => Answer::text(StatusCode::BAD_REQUEST, "invalid subsystem passed"),
    }
}

/// `GET /apisix/admin/plugins/{name}` and `GET /apisix/admin/schema/plugins/{name}`
pub(crate) fn describe(args: &Args) -> Answer {
    let subsystem_name = args
        .first("subsystem")
        .and_then(Arg::text)
        .unwrap_or("http");
    let Some(_names) = subsystem(args) else {
        return Answer::refusal(format!("unsupported subsystem: {subsystem_name}"));
    };
    if args.first("all") == Some(Arg::Text("true")) {
        return Answer::json(StatusCode::OK, &json!({}));
    }
    let message = format!("plugin not found in subsystem {subsystem_name}");
    Answer::error(StatusCode::NOT_FOUND, message)
}

fn subsystem(args: &Args) -> Option<&'static [&'static str]> {
    match args.first("subsystem") {
        None | Some(Arg::Text("http")) => Some(HTTP),
        Some(Arg::Text("stream")) => Some(STREAM),
        Some(_) => None,
    }
}
