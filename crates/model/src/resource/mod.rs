//! The objects that the Admin API stores: route, service, upstream.
//!
//! Names and defaults are those of APISIX 3.18 (`apisix/schema_def.lua`, `docs/en/latest/admin-api.md`).

mod checks;
mod policy;
mod route;
mod service;
mod upstream;

pub use checks::{
    ActiveChecks, ActiveHealthy, ActiveUnhealthy, Checks, PassiveChecks, PassiveHealthy,
    PassiveUnhealthy, ProbeKind,
};
pub use policy::{
    Backoff, LimitPolicy, OutlierPolicy, Policy, RetryBudget, RetryPolicy, SameSite, StickyPolicy,
};
pub use route::Route;
pub use service::Service;
pub use upstream::{
    DEFAULT_TIMEOUT_S, HashOn, KeepalivePool, Node, PassHost, Scheme, Timeout, Upstream,
    UpstreamTls,
};

use serde::{Deserialize, Deserializer, de};

/// Plugins of an object: name to configuration, in the order written.
pub type Plugins = serde_json::Map<String, serde_json::Value>;

/// Reads an identifier that may be written as a string or as a positive integer.
///
/// The reference accepts both everywhere (`id_schema` in `apisix/schema_def.lua`); the string form is the canonical one.
pub(crate) fn optional_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Option::<serde_json::Value>::deserialize(from)? {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(id)) => Ok(Some(id)),
        Some(serde_json::Value::Number(id)) => Ok(Some(id.to_string())),
        Some(other) => Err(de::Error::custom(format!(
            "an id must be a string or an integer, not {other}"
        ))),
    }
}

/// Reads an integer that JSON writers may have spelled `1.0`.
pub(crate) fn integer<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    optional_integer(from)?.ok_or_else(|| de::Error::custom("an integer is missing"))
}

/// As [`integer`], where the field may be absent or null.
pub(crate) fn optional_integer<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else {
        return Ok(None);
    };
    if let Some(integer) = number.as_i64() {
        return Ok(Some(integer));
    }
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            Ok(Some(float as i64))
        }
        _ => Err(de::Error::custom(format!("{number} is not an integer"))),
    }
}
