//! `graphql-proxy-cache`

use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    let name = read::text(config, &["cache_zone"]).unwrap_or_default();
    match &scope.environment.cache_zones {
        Some(zones) if zones.iter().all(|zone| zone.name != name) => {
            Err(format!("cache_zone {name} not found"))
        }
        _ => Ok(()),
    }
}
