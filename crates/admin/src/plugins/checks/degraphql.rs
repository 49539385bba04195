//! `degraphql`: its configuration holds a GraphQL document.

use lockgate_content::graphql;
use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    let query = read::text(config, &["query"]).unwrap_or_default();
    let document = graphql::parse(query).map_err(|why| format!("failed to parse query: {why}"))?;
    if document.definitions > 1 && !read::has(config, &["operation_name"]) {
        return Err(
            "operation_name is required if multiple operations are present in the query".into(),
        );
    }
    Ok(())
}
