//! Schemas for clients: to read, and to check objects against without storing them (`apisix/admin/schema.lua`, `schema_validate` in
//! `apisix/admin/init.lua`).

use http::StatusCode;
use serde_json::Value;

use crate::{
    plugins::Plugins,
    resources::Kind,
    response::Answer,
    schemas::{self, Schemas},
};

/// `GET /apisix/admin/schema/{name}`
pub(crate) fn describe(plugins: &Plugins, name: &str) -> Answer {
    match schemas::published(name, plugins) {
        Some(schema) => Answer::json(StatusCode::OK, &schema),
        None => Answer::refusal(format!("not found schema: {name}")),
    }
}

/// `POST /apisix/admin/schema/validate/{resources}`: the schema alone, not the further rules of the kind.
///
/// # Errors
/// The answer to an object that does not fit.
pub(crate) fn validate(
    schemas: &Schemas,
    plugins: &Plugins,
    kind: &Kind,
    conf: Option<Value>,
) -> Result<Answer, Answer> {
    let Some(conf) = conf else {
        return Err(Answer::refusal("wrong type: expected object, got nil"));
    };
    let Some(schema) = kind.schema else {
        return Err(Answer::refusal(format!(
            "not found schema: {}",
            kind.plural
        )));
    };
    schemas
        .check(schemas::in_force(schema, plugins), &conf)
        .map(|()| Answer::empty(StatusCode::OK))
        .map_err(Answer::refusal)
}
