//! All plugins, family by family.

use lockgate_plugin::Descriptor;
pub use lockgate_plugins_observe::prometheus;

/// Every plugin that is built in, in no order.
pub fn all() -> impl Iterator<Item = &'static Descriptor> {
    [
        lockgate_plugins_auth::ALL,
        lockgate_plugins_security::ALL,
        lockgate_plugins_traffic::ALL,
        lockgate_plugins_transform::ALL,
        lockgate_plugins_observe::ALL,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lockgate_plugin::Kind;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_plugin_is_what_its_record_says() {
        let mut names = BTreeSet::new();
        for plugin in all() {
            let about = plugin.about;
            let name = about.name;
            assert!(names.insert(name), "{name} is there twice");
            let record: Value = serde_json::from_str(about.record).expect(name);
            assert_eq!(record["priority"], json!(about.priority), "{name}");
            let is_auth = record.get("type") == Some(&json!("auth"));
            assert_eq!(is_auth, about.kind == Kind::Auth, "{name}");
            // A plugin that checks what consumers or metadata hold reads it too.
            let has = |schema: &str| record.get(schema).is_some();
            assert_eq!(
                has("consumer_schema"),
                plugin.credential.is_some(),
                "{name}"
            );
            assert_eq!(has("metadata_schema"), plugin.metadata.is_some(), "{name}");
        }
    }
}
