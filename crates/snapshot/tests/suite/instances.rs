//! Which edits leave compiled plugins as they are, and which compile them anew.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use lockgate_plugin::{
    About, Access, Compile, ConfigError, Descriptor, Exchange, Flow, Hooks, Metadata, MetadataType,
    Plugin, PluginSet,
};
use lockgate_snapshot::{Compiler, Plugins, Settings};
use lockgate_store::{Change, Entry};
use serde_json::{Value, json};

use crate::inactive::settings;

/// How often the plugin was compiled.
#[derive(Default)]
struct Count(AtomicUsize);

/// Asks the compiler for what its configuration says, or its metadata.
struct Asking;

impl Metadata for Asking {
    type Config = Value;

    fn compile(config: Value, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let count = cx.node.shared(|_| Count::default());
        count.0.fetch_add(1, Relaxed);
        if let Some(id) = config["upstream_id"].as_str() {
            cx.host.upstream_by_id(id);
        }
        if config["upstream"].is_object() {
            cx.host.upstream("0", &config["upstream"])?;
        }
        if let Some(plugins) = config["plugins"].as_object() {
            cx.host.plugins("0", plugins)?;
        }
        Ok(Self)
    }
}

impl Plugin for Asking {
    const ABOUT: About = About::new("asking", 1, "{}");
    const METADATA: Option<MetadataType> = Some(MetadataType::of::<Self>());
    type Config = Value;

    fn compile(config: Value, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Metadata::compile(config, cx)
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access(self);
    }
}

impl Access for Asking {
    fn access(&self, _: &mut Exchange<'_>) -> Flow {
        Flow::Next
    }
}

/// Another plugin.
struct Other;

impl Plugin for Other {
    const ABOUT: About = About::new("other", 2, "{}");
    type Config = Value;

    fn compile(config: Value, _: &Compile<'_>) -> Result<Self, ConfigError> {
        match config["broken"] {
            Value::Null => Ok(Self),
            _ => Err(ConfigError::new("broken")),
        }
    }

    fn hooks(self: Arc<Self>, _: &mut Hooks) {}
}

static PLUGINS: [Descriptor; 2] = [Descriptor::of::<Asking>(), Descriptor::of::<Other>()];

/// A compiler, the count of its plugin, and whether the other one is switched on.
fn counted() -> (Compiler, Arc<Count>, Arc<AtomicBool>) {
    let node = lockgate_plugin::testing::node();
    let count = node.shared(|_| Count::default());
    let has_other = Arc::new(AtomicBool::new(true));
    let has = has_other.clone();
    let plugins = Plugins::new(node, &PLUGINS, move |name| {
        name != "other" || has.load(Relaxed)
    });
    let compiler = Compiler::new(Settings {
        plugins,
        ..settings()
    });
    (compiler, count, has_other)
}

fn put(key: &str, value: &Value, revision: u64) -> Change {
    Change::Put(Entry {
        key: key.into(),
        value: value.to_string().into_bytes().into(),
        create_revision: 1,
        mod_revision: revision,
    })
}

fn delete(key: &str) -> Change {
    Change::Delete {
        key: key.into(),
        revision: 3,
    }
}

/// An object with members besides.
fn with(object: &Value, members: Value) -> Value {
    let (mut object, mut members) = (object.clone(), members);
    let all = object.as_object_mut().expect("an object");
    all.append(members.as_object_mut().expect("an object"));
    object
}

/// Tells how often the plugin is compiled by changes to these objects.
fn compiled(objects: &[(&str, Value)], changes: &[Change]) -> usize {
    let (mut compiler, count, _) = counted();
    let all: Vec<_> = objects.iter().map(|(key, of)| put(key, of, 1)).collect();
    compiler.apply(1, &all);
    let before = count.0.load(Relaxed);
    assert!(before > 0, "{objects:?} {:?}", compiler.problems());
    compiler.apply(3, changes);
    count.0.load(Relaxed) - before
}

fn tls() -> Value {
    json!({"scheme": "https", "nodes": {"127.0.0.1:1": 1}, "tls": {"client_cert_id": "x"}})
}

/// A certificate of clients, another with each call.
fn certificate() -> Value {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a certificate");
    json!({"type": "client", "cert": cert.pem(), "key": signing_key.serialize_pem()})
}

#[tokio::test]
async fn an_edit_elsewhere_leaves_plugins_as_they_are() {
    let upstream = |port: u16| json!({"nodes": {format!("127.0.0.1:{port}"): 1}});
    let plugins = |config: Value| json!({"plugins": {"asking": config}});
    let route = |config: Value| {
        let refers = json!({"uri": "/", "service_id": "s", "upstream_id": "u"});
        with(&refers, plugins(config))
    };
    let service = |config: Value| with(&json!({"upstream": upstream(1)}), plugins(config));
    let by_id = json!({"upstream_id": "7"});
    let inline = json!({"upstream": tls()});
    let within = json!({"plugins": {"other": {"a": 1}, "asking": by_id}});
    let (one, two) = (json!({"a": 1}), json!({"a": 2}));
    let shown = certificate();
    let objects = |config: &Value| {
        [
            ("upstreams/u", upstream(1)),
            ("upstreams/7", upstream(7)),
            ("ssls/x", shown.clone()),
            ("ssls/y", certificate()),
            ("services/s", service(one.clone())),
            ("routes/r", route(config.clone())),
        ]
    };
    for (config, change, expected) in [
        (&one, put("services/s", &service(one.clone()), 3), 0),
        (&one, put("services/s", &service(two.clone()), 3), 1),
        (
            &one,
            put("services/s", &json!({"upstream": upstream(2)}), 3),
            0,
        ),
        (&one, put("upstreams/u", &upstream(2), 3), 0),
        (&one, put("upstreams/7", &upstream(2), 3), 0),
        (&one, put("routes/r", &route(one.clone()), 3), 0),
        (
            &one,
            put(
                "routes/r",
                &with(&route(one.clone()), json!({"desc": "edited"})),
                3,
            ),
            0,
        ),
        (&one, put("routes/r", &route(two), 3), 1),
        (&one, put("routes/other", &route(one.clone()), 3), 1),
        (&by_id, put("upstreams/u", &upstream(2), 3), 0),
        (&by_id, put("upstreams/7", &upstream(2), 3), 1),
        (&by_id, delete("upstreams/7"), 1),
        (&inline, put("upstreams/7", &upstream(2), 3), 0),
        (&inline, put("ssls/y", &certificate(), 3), 0),
        (&inline, put("ssls/x", &shown, 3), 0),
        (&inline, put("ssls/x", &certificate(), 3), 1),
        (&within, put("upstreams/u", &upstream(2), 3), 0),
        // It and the one within.
        (&within, put("upstreams/7", &upstream(2), 3), 2),
    ] {
        let objects = objects(config);
        let found = compiled(&objects, std::slice::from_ref(&change));
        assert_eq!(found, expected, "{config} {change:?}");
    }
}

#[tokio::test]
async fn every_kind_of_object_keeps_its_plugins() {
    let plugins = json!({"plugins": {"asking": {}}});
    for (key, value) in [
        ("routes/1", with(&plugins, json!({"uri": "/"}))),
        ("services/1", plugins.clone()),
        ("plugin_configs/1", plugins.clone()),
        ("global_rules/1", plugins.clone()),
        ("consumer_groups/1", plugins.clone()),
        (
            "consumers/jack",
            with(&plugins, json!({"username": "jack"})),
        ),
    ] {
        let objects = [(key, value.clone())];
        let edited = with(&value, json!({"desc": "edited"}));
        assert_eq!(compiled(&objects, &[put(key, &edited, 3)]), 0, "{key}");
        let again = [delete(key), put(key, &value, 3)];
        assert_eq!(compiled(&objects, &again), 1, "{key}");
    }
}

#[tokio::test]
async fn plugins_follow_an_upstream_that_follows_its_certificate() {
    let by_id = json!({"upstream_id": "7"});
    // Needs the certificate itself, too, and is compiled once all the same.
    let both = json!({"upstream_id": "7", "upstream": tls()});
    for config in [&by_id, &both] {
        let plugins = json!({"plugins": {"asking": config}});
        for (key, value) in [
            ("routes/1", with(&plugins, json!({"uri": "/"}))),
            ("services/1", plugins.clone()),
            ("plugin_configs/1", plugins.clone()),
            ("plugin_metadata/asking", config.clone()),
            ("global_rules/1", plugins.clone()),
            ("consumer_groups/1", plugins.clone()),
            (
                "consumers/jack",
                with(&plugins, json!({"username": "jack"})),
            ),
        ] {
            let without = [("upstreams/7", tls()), (key, value)];
            let first = [("ssls/x", certificate())];
            let another = put("ssls/x", &certificate(), 3);
            // Without a certificate there is no such upstream.
            for objects in [without.to_vec(), [&first[..], &without].concat()] {
                let found = compiled(&objects, std::slice::from_ref(&another));
                assert_eq!(found, 1, "{key} {config} {}", objects.len());
            }
        }
    }
}

#[tokio::test]
async fn what_follows_a_configuration_that_cannot_be_honoured_is_what_was_before() {
    let (mut compiler, count, _) = counted();
    let group = |other: Value| json!({"plugins": {"asking": {}, "other": other}});
    let set =
        |compiler: &mut Compiler| -> Arc<PluginSet> { compiler.snapshot().groups["1"].clone() };
    compiler.apply(1, &[put("consumer_groups/1", &group(json!({})), 1)]);
    let before = set(&mut compiler);
    compiler.apply(
        2,
        &[put("consumer_groups/1", &group(json!({"broken": 1})), 2)],
    );
    assert_eq!(compiler.problems().len(), 1);
    compiler.apply(3, &[put("consumer_groups/1", &group(json!({})), 3)]);
    assert_eq!(count.0.load(Relaxed), 1);
    assert!(Arc::ptr_eq(&before, &set(&mut compiler)));
    compiler.apply(4, &[put("consumer_groups/1", &json!({"plugins": {}}), 4)]);
    compiler.apply(5, &[put("consumer_groups/1", &group(json!({})), 5)]);
    assert_eq!(count.0.load(Relaxed), 2);
}

#[tokio::test]
async fn a_plugin_within_that_is_switched_off_or_on_compiles_the_one_around_it() {
    let (mut compiler, count, has_other) = counted();
    let group = |config: Value| json!({"plugins": {"asking": config}});
    let groups = [
        put(
            "consumer_groups/1",
            &group(json!({"plugins": {"other": {}}})),
            1,
        ),
        put("consumer_groups/2", &group(json!({})), 1),
    ];
    compiler.apply(1, &groups);
    for (is_on, expected) in [(true, 2), (false, 3), (false, 3), (true, 4)] {
        has_other.store(is_on, Relaxed);
        compiler.apply(1, &groups);
        assert_eq!(count.0.load(Relaxed), expected, "{is_on}");
    }
}
