//! `proxy-cache`

use serde_json::Value;

use super::{Scope, read};

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    if read::texts(config, &["cache_key"]).any(|key| key == "$request_method") {
        return Err("cache_key variable $request_method unsupported".into());
    }
    let Some(zones) = &scope.environment.cache_zones else {
        return Ok(());
    };
    let text = |field| read::text(config, &[field]).unwrap_or_default();
    let (name, strategy) = (text("cache_zone"), text("cache_strategy"));
    let Some(zone) = zones.iter().find(|zone| zone.name == name) else {
        return Err(format!("cache_zone {name} not found"));
    };
    if zone.is_on_disk == (strategy == "disk") {
        return Ok(());
    }
    Err(format!(
        "invalid or empty cache_zone for cache_strategy: {strategy}"
    ))
}
