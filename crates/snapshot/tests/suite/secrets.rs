//! Secrets of plugins that are stored encrypted.

use std::sync::Arc;

use lockgate_keyring::{Keyring, PluginFields, PluginSecrets};
use lockgate_snapshot::{Compiler, Problem};
use lockgate_store::{Change, Entry};
use serde_json::{Value, json};

use crate::inactive::settings;

fn compiler() -> Compiler {
    let fields = |name: &str| vec![name.to_owned()];
    let both = PluginFields {
        plugin: fields("password"),
        consumer: fields("key"),
        metadata: fields("token"),
    };
    let keyring = Keyring::new(["qeddd145sfvddff3", "edd1c9f0985e76a2"]);
    let secrets = Arc::new(PluginSecrets::new(keyring, [("cors".to_owned(), both)]));
    Compiler::new(lockgate_snapshot::Settings {
        plugin_secrets: secrets,
        ..settings()
    })
}

#[tokio::test]
async fn names_the_secrets_that_no_key_opens() {
    let upstream = json!({"nodes": {"127.0.0.1:80": 1}});
    let named = |secret: &Value| {
        let plugins = json!({"cors": {"password": secret, "key": secret}});
        [
            (
                "routes/1",
                json!({"uri": "/", "plugins": plugins, "upstream": upstream}),
                "password",
            ),
            ("services/1", json!({"plugins": plugins}), "password"),
            ("plugin_configs/1", json!({"plugins": plugins}), "password"),
            ("global_rules/1", json!({"plugins": plugins}), "password"),
            ("consumer_groups/1", json!({"plugins": plugins}), "password"),
            (
                "consumers/jack",
                json!({"username": "jack", "plugins": plugins}),
                "key",
            ),
            (
                "consumers/jack/credentials/1",
                json!({"plugins": plugins}),
                "key",
            ),
            ("plugin_metadata/cors", json!({"token": secret}), "token"),
        ]
    };
    for (secret, is_named) in [
        // "new-key" of the first key, and of the second.
        (json!("523EisB/dvqlIT9RzfF3ZQ=="), false),
        (json!("UeJuAFvpOGP7/yzKCoRCPA=="), false),
        (json!("stored before"), false),
        (json!(1), false),
        (
            json!(Keyring::new(["0123456789abcdef"]).encrypt("new-key")),
            true,
        ),
        (
            json!(["AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA=="]),
            true,
        ),
    ] {
        for (key, value, field) in named(&secret) {
            let mut compiler = compiler();
            let entry = Entry {
                key: key.into(),
                value: value.to_string().into_bytes().into(),
                create_revision: 1,
                mod_revision: 1,
            };
            compiler.apply(1, &[Change::Put(entry)]);
            let problem = compiler.problems().get(key);
            assert!(!matches!(problem, Some(Problem::Malformed(_))), "{key}");
            let problem = problem.map(ToString::to_string).unwrap_or_default();
            let sentence = format!("no key of data_encryption.keyring decrypts {field} of cors");
            assert_eq!(problem.contains(&sentence), is_named, "{key}: {problem}");
            let delete = Change::Delete {
                key: key.into(),
                revision: 2,
            };
            compiler.apply(2, &[delete]);
            assert!(compiler.problems().is_empty(), "{key}");
        }
    }
}
