//! `request-validation`: its configuration holds schemas.

use lockgate_schema::Schema;
use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for field in ["body_schema", "header_schema"] {
        if let Some(schema) = read::at(config, &[field]) {
            Schema::compile(schema.clone()).map_err(|why| why.to_string())?;
        }
    }
    Ok(())
}
