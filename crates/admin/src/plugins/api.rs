//! What the Admin API answers about plugins (`apisix/admin/plugins.lua`).

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    args::{Arg, Args},
    response::Answer,
};

use super::{Plugins, Purpose, Subsystem};

/// What `?all=true` and the control API show of each plugin.
const SHOWN: &[&str] = &[
    "version",
    "priority",
    "schema",
    "metadata_schema",
    "consumer_schema",
    "type",
    "scope",
];

/// `GET /apisix/admin/plugins/list`
pub(crate) fn list(plugins: &Plugins, args: &Args) -> Answer {
    match subsystem(plugins, args) {
        Some(subsystem) => Answer::json(StatusCode::OK, &json!(subsystem.names())),
        None => Answer::text(StatusCode::BAD_REQUEST, "invalid subsystem passed"),
    }
}

/// `GET /apisix/admin/plugins/{name}` and `GET /apisix/admin/schema/plugins/{name}`
pub(crate) fn describe(plugins: &Plugins, name: Option<&str>, args: &Args) -> Answer {
    let subsystem_name = args
        .first("subsystem")
        .and_then(Arg::text)
        .unwrap_or("http");
    let Some(subsystem) = subsystem(plugins, args) else {
        return Answer::refusal(format!("unsupported subsystem: {subsystem_name}"));
    };
    if args.first("all") == Some(Arg::Text("true")) {
        return Answer::json(StatusCode::OK, &describe_all(subsystem));
    }
    let Some(plugin) = name.and_then(|name| subsystem.get(name)) else {
        let message = format!("plugin not found in subsystem {subsystem_name}");
        return Answer::error(StatusCode::NOT_FOUND, message);
    };
    let schema = match args.first("schema_type") {
        Some(Arg::Text("consumer")) => plugin.consumer_schema(),
        _ => plugin.schema(Purpose::Plugin),
    };
    match schema {
        Some(schema) => Answer::json(StatusCode::OK, schema.source()),
        None => Answer::refusal("not found schema"),
    }
}

/// The plugins of both subsystems, for the control API's `/v1/schema`.
pub(crate) fn schemas(plugins: &Plugins) -> [Value; 2] {
    [&plugins.http, &plugins.stream].map(describe_all)
}

fn describe_all(subsystem: &Subsystem) -> Value {
    let all = subsystem
        .iter()
        .map(|plugin| (plugin.name().to_owned(), plugin.describe(SHOWN)));
    Value::Object(all.collect())
}

fn subsystem<'a>(plugins: &'a Plugins, args: &Args) -> Option<&'a Subsystem> {
    match args.first("subsystem") {
        None | Some(Arg::Text("http")) => Some(&plugins.http),
        Some(Arg::Text("stream")) => Some(&plugins.stream),
        Some(_) => None,
    }
}
