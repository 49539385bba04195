//! What plugins check beyond their schemas, one file per plugin (`check_schema` in `apisix/plugins/*.lua`). A plugin that is not in the table
//! is checked by its schema and by itself, where it is built in (`Plugin::CHECK`); metadata by its schema always.

mod acl;
mod ai_prompt_guard;
mod ai_proxy;
mod ai_proxy_multi;
mod ai_rate_limiting;
mod ai_request_rewrite;
mod authz_casbin;
mod cas_auth;
mod chaitin_waf;
mod cors;
mod degraphql;
mod exit_transformer;
mod fault_injection;
mod file_logger;
mod graphql_limit_count;
mod graphql_proxy_cache;
mod ip_restriction;
mod jwe_decrypt;
mod jwt_auth;
mod ldap_auth_advanced;
mod limit_count;
mod logger;
mod mocking;
mod multi_auth;
mod oas_validator;
mod openid_connect;
mod proxy_cache;
mod proxy_rewrite;
mod read;
mod real_ip;
mod redirect;
mod regex;
mod request_validation;
mod response_rewrite;
mod serverless;
mod traffic_label;
mod traffic_split;
mod ua_restriction;
mod workflow;

pub(super) use limit_count::Groups;

use lockgate_expr::Expr;
use serde_json::Value;

use super::Scope;

/// Checks a configuration and writes the defaults of the schema into it.
pub(super) type Check = fn(&Scope<'_>, &mut Value) -> Result<(), String>;

static CHECKS: &[(&str, Check)] = &[
    ("acl", acl::check),
    ("ai-prompt-guard", ai_prompt_guard::check),
    ("ai-proxy", ai_proxy::check),
    ("ai-proxy-multi", ai_proxy_multi::check),
    ("ai-rate-limiting", ai_rate_limiting::check),
    ("ai-request-rewrite", ai_request_rewrite::check),
    ("authz-casbin", authz_casbin::check),
    ("cas-auth", cas_auth::check),
    ("chaitin-waf", chaitin_waf::check),
    ("cors", cors::check),
    ("degraphql", degraphql::check),
    ("exit-transformer", exit_transformer::check),
    ("fault-injection", fault_injection::check),
    ("file-logger", file_logger::check),
    ("graphql-limit-count", graphql_limit_count::check),
    ("graphql-proxy-cache", graphql_proxy_cache::check),
    ("http-logger", logger::check),
    ("ip-restriction", ip_restriction::check),
    ("jwe-decrypt", jwe_decrypt::check),
    ("jwt-auth", jwt_auth::check),
    ("kafka-logger", logger::check),
    ("ldap-auth-advanced", ldap_auth_advanced::check),
    ("limit-count", limit_count::check),
    ("loggly", logger::check),
    ("loki-logger", logger::check),
    ("mocking", mocking::check),
    ("multi-auth", multi_auth::check),
    ("oas-validator", oas_validator::check),
    ("openid-connect", openid_connect::check),
    ("proxy-cache", proxy_cache::check),
    ("proxy-rewrite", proxy_rewrite::check),
    ("real-ip", real_ip::check),
    ("redirect", redirect::check),
    ("request-validation", request_validation::check),
    ("response-rewrite", response_rewrite::check),
    ("rocketmq-logger", logger::check),
    ("serverless-post-function", serverless::check),
    ("serverless-pre-function", serverless::check),
    ("tencent-cloud-cls", logger::check),
    ("traffic-label", traffic_label::check),
    ("traffic-split", traffic_split::check),
    ("ua-restriction", ua_restriction::check),
    ("workflow", workflow::check),
];

/// The check of a plugin, where its schema does not say everything.
pub(super) fn of(name: &str) -> Option<Check> {
    let found = CHECKS.iter().find(|(known, _)| *known == name);
    found.map(|(_, check)| *check)
}

/// Whether the reference takes any configuration of a plugin, and does not look at its `_meta` either: it has no `check_schema`.
pub(super) fn takes_anything(name: &str) -> bool {
    name == "ai"
}

/// Whether the check of a plugin looks at the plugin's stored metadata.
pub(super) fn needs_metadata(name: &str) -> bool {
    ["authz-casbin", "file-logger"].contains(&name)
}

/// Checks an expression that messages call `words`. None at all is none.
pub(super) fn expression(rules: Option<&Value>, words: &str) -> Result<(), String> {
    Expr::compile(rules.unwrap_or(&Value::Null))
        .map(drop)
        .map_err(|why| format!("failed to validate the '{words}' expression: {why}"))
}

/// Checks that a text is an address or a network (`validate_cidr_or_ip` in `apisix/core/ip.lua`).
fn address(text: &str) -> Result<(), String> {
    let is_one = lockgate_expr::IpSet::parse([text]).is_ok();
    is_one
        .then_some(())
        .ok_or_else(|| format!("invalid ip address: {text}"))
}
