//! The JSON schemas of the resources, as the reference publishes them (`apisix/schema_def.lua`, `GET /apisix/admin/schema/{kind}`).
//!
//! One file per resource, and `part` for what they share. Properties are listed by name: that is the order in which findings about them come, where the reference leaves it to chance, and the recorded
//! answers agree with it. The validator is `lockgate-schema`; what a schema cannot say (references between resources, `vars`) is checked by the Admin API.

mod consumer;
mod credential;
mod global_rule;
mod graphql_cost_decoration;
mod health_checker;
mod part;
mod plugin_config;
mod plugins;
mod policy;
mod proto;
mod route;
mod secret;
mod service;
mod ssl;
mod stream_route;
mod upstream;

use serde_json::Value;

/// The schema of a resource by its singular name, such as `route`; `None` where there is no such resource.
pub fn of(kind: &str) -> Option<Value> {
    Some(match kind {
        "consumer" => consumer::consumer(),
        "consumer_group" => consumer::group(),
        "credential" => credential::credential(),
        "global_rule" => global_rule::global_rule(),
        "graphql_cost_decoration" => graphql_cost_decoration::decoration(),
        "plugin_config" => plugin_config::plugin_config(),
        "plugins" => plugins::list(),
        "proto" => proto::proto(),
        "route" => route::route(),
        "service" => service::service(),
        "ssl" => ssl::ssl(),
        "stream_route" => stream_route::stream_route(),
        "upstream" => upstream::upstream(),
        "upstream_hash_header_schema" => upstream::hash_header(),
        "upstream_hash_vars_schema" => upstream::hash_vars(),
        _ => return None,
    })
}

/// What the plugin `ocsp-stapling` makes of the schema of `ssl`.
pub fn ssl_with_ocsp_stapling() -> Value {
    ssl::with_ocsp_stapling()
}

/// The schema of what goes beyond the reference in an object of this kind: of its field [`BEYOND`].
pub fn beyond(kind: &str) -> Option<Value> {
    (kind == "upstream").then(policy::policy)
}

/// The field of an object that holds what goes beyond the reference.
pub const BEYOND: &str = "lockgate";

/// The schema of a place where secrets are kept, by the name of its manager: `vault`, `aws` or `gcp`. The reference does not publish these
/// (`apisix/secret/*.lua`).
pub fn secret(manager: &str) -> Option<Value> {
    Some(match manager {
        "aws" => secret::aws(),
        "gcp" => secret::gcp(),
        "vault" => secret::vault(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
