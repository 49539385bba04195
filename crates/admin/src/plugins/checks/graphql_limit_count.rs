//! `graphql-limit-count`: checked as `limit-count` first, whose sentences it has.

use serde_json::Value;

use super::{Scope, limit_count};
use crate::plugins::Purpose;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    if let Some(plugin) = scope.plugins.http.known("limit-count") {
        let inner = Scope {
            plugin,
            purpose: Purpose::Plugin,
            ..*scope
        };
        limit_count::check(&inner, config)?;
    }
    scope.schema(config)
}
