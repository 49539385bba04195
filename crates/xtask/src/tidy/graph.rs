//! Which crate may use which: the table *is* the rule (ARCHITECTURE.md explains it).

use serde_json::Value;

/// Crates of the workspace by folder, bottom up, and what each may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("pattern", &[]),
    ("schema", &["pattern"]),
    ("expr", &["pattern"]),
    ("content", &[]),
    ("declare", &[]),
    ("metrics", &[]),
    ("router", &["expr"]),
    ("model", &["schema", "expr"]),
    ("keyring", &[]),
    ("limit", &[]),
    ("net", &["schema", "expr", "router", "model"]),
    ("store", &["schema", "expr", "router", "model"]),
    ("http", &["net"]),
    ("batch", &[]),
    ("client", &["net"]),
    ("redis", &["net"]),
    ("secret", &["client", "net"]),
    ("discovery", &["schema", "model", "net", "client"]),
    (
        "upstream",
        &["model", "http", "net", "expr", "keyring", "discovery"],
    ),
    ("plugin", &["schema", "http", "net", "expr", "upstream"]),
    ("plugins-auth", FAMILY),
    ("plugins-security", FAMILY),
    ("plugins-traffic", FAMILY),
    ("plugins-transform", FAMILY),
    ("plugins-observe", FAMILY),
    (
        "plugins",
        &[
            "plugin",
            "plugins-auth",
            "plugins-security",
            "plugins-traffic",
            "plugins-transform",
            "plugins-observe",
        ],
    ),
    (
        "snapshot",
        &[
            "plugin", "schema", "expr", "router", "model", "net", "store", "http", "secret",
            "upstream", "keyring",
        ],
    ),
    (
        "proxy",
        &[
            "snapshot", "plugin", "net", "http", "expr", "content", "router", "upstream", "model",
        ],
    ),
    (
        "explain",
        &[
            "expr", "model", "plugin", "proxy", "router", "snapshot", "upstream",
        ],
    ),
    (
        "admin",
        &[
            "model", "schema", "store", "expr", "content", "keyring", "plugin", "pattern",
        ],
    ),
    (
        "testkit",
        &[
            "model",
            "net",
            "store",
            "http",
            "secret",
            "discovery",
            "upstream",
            "plugin",
            "plugins-auth",
            "snapshot",
            "proxy",
            "router",
            "expr",
            "keyring",
            "content",
            "declare",
        ],
    ),
    (
        "lockgate",
        &[
            "schema",
            "expr",
            "router",
            "model",
            "net",
            "store",
            "http",
            "client",
            "keyring",
            "secret",
            "discovery",
            "upstream",
            "snapshot",
            "proxy",
            "explain",
            "plugin",
            "plugins",
            "admin",
            "declare",
            "metrics",
        ],
    ),
    ("xtask", &[]),
];

/// What families of plugins may depend on: the plugin API, and what lies below it. Never each other.
const FAMILY: &[&str] = &[
    "plugin", "http", "net", "expr", "pattern", "content", "client", "upstream", "secret", "batch",
    "redis", "limit", "metrics",
];

/// Crates that must compile without a runtime.
const PURE: &[&str] = &[
    "pattern", "schema", "expr", "content", "router", "model", "keyring", "limit", "declare",
    "metrics",
];

/// Prefix of the names of our crates.
const PREFIX: &str = "lockgate-";

fn folder(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

/// Compares the graph of normal and build dependencies with the table; tests may use more.
pub(crate) fn check(metadata: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = folder(package["name"].as_str().unwrap_or_default());
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            findings.push(format!(
                "crates/{name} is not in the table of crates/xtask/src/tidy/graph.rs"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"] == "dev" {
                continue;
            }
            let used = dependency["name"].as_str().unwrap_or_default();
            if used.starts_with(PREFIX) && !allowed.contains(&folder(used)) {
                findings.push(format!("{name} must not depend on {}", folder(used)));
            }
            if used == "tokio" && PURE.contains(&name) {
                findings.push(format!("{name} must compile without tokio"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_the_table_forbids() {
        let package = |name: &str, used: &str, kind: Value| json!({"packages": [{"name": name, "dependencies": [{"name": used, "kind": kind}]}]});
        for (name, used, kind, finds) in [
            ("lockgate-proxy", "lockgate-admin", json!(null), true),
            ("lockgate-proxy", "lockgate-admin", json!("dev"), false),
            ("lockgate-proxy", "lockgate-http", json!(null), false),
            ("lockgate-model", "tokio", json!(null), true),
            ("lockgate-new", "serde", json!(null), true),
            ("lockgate", "lockgate-admin", json!(null), false),
        ] {
            let found = check(&package(name, used, kind));
            assert_eq!(!found.is_empty(), finds, "{name} -> {used}: {found:?}");
        }
    }

    #[test]
    fn the_table_has_no_cycle() {
        for (place, (name, allowed)) in ALLOWED.iter().enumerate() {
            for used in *allowed {
                let below = ALLOWED.iter().position(|(known, _)| known == used);
                assert!(
                    below.is_some_and(|below| below < place),
                    "{name} -> {used}: crates stand above what they use"
                );
            }
        }
    }
}
