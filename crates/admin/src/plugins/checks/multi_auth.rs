//! `multi-auth`: plugins inside a plugin.

use serde_json::Value;

use super::{Scope, read};
use crate::plugins::Purpose;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    for choice in read::items(config, &["auth_plugins"]) {
        for (name, config) in choice.as_object().into_iter().flatten() {
            let Some(plugin) = scope.plugins.http.get(name) else {
                return Err(format!("{name} plugin did not found"));
            };
            if !plugin.is_auth() {
                return Err(format!("{name} plugin is not supported"));
            }
            let inner = Scope {
                plugin,
                purpose: Purpose::Plugin,
                metadata: None,
                ..*scope
            };
            inner
                .check(&mut config.clone())
                .map_err(|why| format!("plugin {name} check schema failed: {why}"))?;
        }
    }
    Ok(())
}
