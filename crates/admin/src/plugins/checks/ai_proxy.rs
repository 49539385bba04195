//! `ai-proxy`, and what `ai-proxy-multi` checks of each instance in the same way (`apisix/plugins/ai-proxy/schema.lua`).

use lockgate_schema::is_secret_reference;
use serde_json::Value;

use super::{Scope, read};
use crate::json;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    check_account(config)?;
    check_provider(config)
}

/// The account of Google's cloud is a JSON text.
pub(super) fn check_account(config: &Value) -> Result<(), String> {
    match read::text(config, &["auth", "gcp", "service_account_json"]) {
        Some(text) if !is_secret_reference(text) => json::decode(text.as_bytes())
            .map(drop)
            .map_err(|why| format!("invalid gcp service_account_json: {why}")),
        _ => Ok(()),
    }
}

/// What single providers need.
pub(super) fn check_provider(config: &Value) -> Result<(), String> {
    let has = |path: &[&str]| read::has(config, path);
    let has_region = has(&["provider_conf", "region"]);
    let has_project = has(&["provider_conf", "project_id"]) && has_region;
    let has_endpoint = has(&["override", "endpoint"]);
    match read::text(config, &["provider"]) {
        Some("vertex-ai") if !has_project && !has_endpoint => Err(
            "vertex-ai requires either provider_conf (project_id + region) or override.endpoint"
                .into(),
        ),
        Some("bedrock") if !has_region => Err("bedrock requires provider_conf.region".into()),
        Some("bedrock") if !has(&["auth", "aws"]) => Err("bedrock requires auth.aws".into()),
        _ => Ok(()),
    }
}
