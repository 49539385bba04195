//! Plugins that are stored and do nothing.

use std::sync::Arc;

use lockgate_keyring::Keyring;
use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_router::Mode;
use lockgate_secret::{Environment, Secrets};
use lockgate_snapshot::{Compiler, Plugins, Settings};
use lockgate_store::{Change, Entry};
use lockgate_upstream::{Compile, Defaults, Registry};
use serde_json::{Value, json};

pub(crate) fn settings() -> Settings {
    Settings {
        router: Mode::HostUri,
        upstream: Compile {
            resolver: Resolver::new(DnsOptions::default()),
            defaults: Defaults::default(),
            workers: 1,
            trusted: None,
            registry: Registry::default(),
            keyring: Keyring::default(),
            discovery: lockgate_discovery::Discovery::default(),
            all_addresses: false,
        },
        plugin_secrets: Arc::default(),
        plugins: Plugins::new(lockgate_plugin::testing::node(), [], |_| true),
        secrets: Secrets::new(lockgate_secret::Options::new(
            Environment::default(),
            Resolver::new(DnsOptions::default()),
        )),
    }
}

pub(crate) fn compiler() -> Compiler {
    Compiler::new(settings())
}

fn put(key: &str, value: &Value) -> Change {
    Change::Put(Entry {
        key: key.into(),
        value: value.to_string().into_bytes().into(),
        create_revision: 1,
        mod_revision: 1,
    })
}

#[tokio::test]
async fn names_plugins_that_do_nothing() {
    let one = "the plugin cors is not built in: it does nothing";
    let plugins = json!({"cors": {}});
    let upstream = json!({"nodes": {"127.0.0.1:80": 1}});
    for (key, value, expected) in [
        (
            "routes/1",
            json!({"uri": "/", "plugins": plugins, "upstream": upstream}),
            Some(one),
        ),
        (
            "routes/1",
            json!({"uri": "/", "plugins": {}, "upstream": upstream}),
            None,
        ),
        (
            "routes/1",
            json!({"uri": "/", "plugins": {"cors": {"_meta": {"disable": true}}}, "upstream": upstream}),
            None,
        ),
        (
            "routes/1",
            json!({"uri": "/", "plugins": plugins, "upstream": {"service_name": "a", "discovery_type": "consul"}}),
            Some("the plugin cors is not built in: it does nothing; "),
        ),
        (
            "routes/1",
            json!({"uri": "/", "plugins": plugins, "script": "return {}"}),
            Some("filter_func and script need Lua, which is not built in; the route is off"),
        ),
        ("services/1", json!({"plugins": plugins}), Some(one)),
        ("plugin_configs/1", json!({"plugins": plugins}), Some(one)),
        ("global_rules/1", json!({"plugins": plugins}), Some(one)),
        (
            "consumers/jack",
            json!({"username": "jack", "plugins": plugins}),
            Some(one),
        ),
        (
            "consumers/jack/credentials/1",
            json!({"plugins": plugins}),
            Some(one),
        ),
        ("consumer_groups/1", json!({"plugins": plugins}), Some(one)),
        ("consumer_groups/1", json!({}), None),
    ] {
        let mut compiler = compiler();
        compiler.apply(1, &[put(key, &value)]);
        let problem = compiler.problems().get(key).map(ToString::to_string);
        match expected {
            Some(expected) => {
                let problem = problem.unwrap_or_default();
                assert!(problem.starts_with(expected), "{key} {value}: {problem}");
            }
            None => assert_eq!(problem, None, "{key} {value}"),
        }
        let delete = Change::Delete {
            key: key.into(),
            revision: 2,
        };
        compiler.apply(2, &[delete]);
        assert!(compiler.problems().is_empty(), "{key} {value}");
    }
}
