//! Schemas of `discovery.*` (`apisix/discovery/*/schema.lua`).

use serde_json::Value;

const SOURCES: &[(&str, &str)] = &[
    ("consul", include_str!("consul.json")),
    ("consul_kv", include_str!("consul_kv.json")),
    ("dns", include_str!("dns.json")),
    ("eureka", include_str!("eureka.json")),
    ("kubernetes", include_str!("kubernetes.json")),
    ("nacos", include_str!("nacos.json")),
    ("tars", include_str!("tars.json")),
];

/// The schema of a kind of registry. The reference passes over kinds that it does not know.
pub(super) fn of(kind: &str) -> Option<Value> {
    let (_, source) = SOURCES.iter().find(|(known, _)| *known == kind)?;
    Some(
        serde_json::from_str(source)
            .expect("invariant: the schemas are part of the program, and a test reads each"),
    )
}

/// Whether a value of `discovery.kubernetes` names a variable, as `${NAME}`, with a control character in it
/// (`apisix/cli/ops.lua` checks what becomes a line of nginx's).
pub(in crate::boot) fn names_bad_variable(kubernetes: &Value) -> bool {
    let clusters = match kubernetes {
        Value::Array(clusters) => clusters.as_slice(),
        one => std::slice::from_ref(one),
    };
    let paths = [
        "/service/host",
        "/service/port",
        "/client/token",
        "/client/token_file",
    ];
    let named = clusters
        .iter()
        .flat_map(|cluster| paths.map(|path| cluster.pointer(path)?.as_str()))
        .flatten()
        .filter_map(|text| text.strip_prefix("${")?.strip_suffix('}'));
    named
        .into_iter()
        .any(|name| name.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_one() {
        for (kind, _) in SOURCES {
            let schema = of(kind).expect("known");
            assert!(lockgate_schema::Schema::compile(schema).is_ok(), "{kind}");
        }
        assert_eq!(of("other"), None);
    }
}
