//! Upstreams that are written into configurations of plugins, while their objects are edited.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use lockgate_model::health::CheckedUpstream;
use lockgate_net::clock::Clock;
use lockgate_plugin::{
    About, Access, Compile, ConfigError, Descriptor, Exchange, Flow, Hooks, Node, Plugin, PluginSet,
};
use lockgate_snapshot::{Compiler, Plugins, Settings};
use lockgate_store::{Change, Entry};
use lockgate_upstream::{Registry, Tried, Upstream};
use serde_json::{Map, Value, json};

use crate::inactive::settings;

/// The upstreams that the plugin has had, in the order in which it was given them.
#[derive(Default)]
struct Given(Mutex<Vec<Weak<Upstream>>>);

/// Has an upstream.
struct Having {
    _upstream: Arc<Upstream>,
}

impl Plugin for Having {
    const ABOUT: About = About::new("having", 1, "{}");
    type Config = Value;

    fn compile(config: Value, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let upstream = cx.host.upstream("0", &config)?;
        let given = cx.node.shared(|_| Given::default());
        given
            .0
            .lock()
            .expect("whole")
            .push(Arc::downgrade(&upstream));
        Ok(Self {
            _upstream: upstream,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access(self);
    }
}

impl Access for Having {
    fn access(&self, _: &mut Exchange<'_>) -> Flow {
        Flow::Next
    }
}

/// Has plugins within its configuration, in several places.
struct Around(Vec<PluginSet>);

impl Plugin for Around {
    const ABOUT: About = About::new("around", 1, "{}");
    type Config = Vec<Map<String, Value>>;

    fn compile(config: Self::Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let places = config.iter().enumerate();
        let sets = places.map(|(place, plugins)| cx.host.plugins(&place.to_string(), plugins));
        sets.collect::<Result<_, _>>().map(Self)
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access(self);
    }
}

impl Access for Around {
    fn access(&self, _: &mut Exchange<'_>) -> Flow {
        assert!(!self.0.is_empty());
        Flow::Next
    }
}

/// Cannot be honoured where its configuration says so.
struct Picky;

impl Plugin for Picky {
    const ABOUT: About = About::new("picky", 1, "{}");
    type Config = Value;

    fn compile(config: Value, _: &Compile<'_>) -> Result<Self, ConfigError> {
        match config["broken"] {
            Value::Null => Ok(Self),
            _ => Err(ConfigError::new("broken")),
        }
    }

    fn hooks(self: Arc<Self>, _: &mut Hooks) {}
}

static PLUGINS: [Descriptor; 3] = [
    Descriptor::of::<Around>(),
    Descriptor::of::<Having>(),
    Descriptor::of::<Picky>(),
];

/// A compiler with a manager of secrets that nobody asks.
struct Bench {
    compiler: Compiler,
    registry: Registry,
    node: Node,
}

impl Bench {
    fn new() -> Self {
        let node = lockgate_plugin::testing::node();
        let settings = settings();
        let registry = settings.upstream.registry.clone();
        let compiler = Compiler::new(Settings {
            plugins: Plugins::new(node.clone(), &PLUGINS, |_| true),
            ..settings
        });
        let mut bench = Self {
            compiler,
            registry,
            node,
        };
        let manager = json!({"uri": "http://127.0.0.1:1", "prefix": "kv", "token": "t"});
        bench.put("secrets/vault/1", &manager);
        bench
    }

    fn put(&mut self, key: &str, value: &Value) {
        let entry = Entry {
            key: key.into(),
            value: value.to_string().into_bytes().into(),
            create_revision: 1,
            mod_revision: 1,
        };
        self.compiler.apply(1, &[Change::Put(entry)]);
    }

    /// Puts a group of two plugins; whether it is in force.
    fn put_group(&mut self, having: &Value, picky: &Value) -> bool {
        let plugins = json!({"plugins": {"having": having, "picky": picky}});
        self.put("consumer_groups/1", &plugins);
        self.compiler.problems().is_empty()
    }

    /// Upstreams that there are.
    fn given(&self) -> Vec<Arc<Upstream>> {
        let given = self.node.shared(|_| Given::default());
        let given = given.0.lock().expect("whole");
        given.iter().filter_map(Weak::upgrade).collect()
    }

    fn health(&self) -> Vec<CheckedUpstream> {
        self.registry.health()
    }
}

/// An upstream of many nodes, which are taken in turn.
fn upstream(members: Value) -> Value {
    let nodes = (1..=1000).map(|port| json!({"host": "127.0.0.1", "port": port, "weight": 1}));
    let mut upstream = json!({"nodes": nodes.collect::<Vec<_>>()});
    let mut members = members;
    let all = upstream.as_object_mut().expect("an object");
    all.append(members.as_object_mut().expect("an object"));
    upstream
}

fn checks(kind: &str) -> Value {
    let rare = json!({"interval": 999});
    json!({"checks": {"active": {"type": kind, "healthy": rare, "unhealthy": rare}}})
}

fn pick(upstream: &Upstream) -> i32 {
    let nodes = upstream.nodes();
    let picked = nodes.pick(0, &Clock::new(), &mut Tried::new(0));
    picked.expect("a node").address.port().into()
}

/// How far one node is behind another.
fn step(from: i32, to: i32) -> i32 {
    (to - from).rem_euclid(1000)
}

/// Why an object stays as it was.
fn reasons() -> [Value; 2] {
    let waits = json!({"a": "$secret://vault/1/a/b"});
    [json!({"broken": 1}), waits]
}

#[tokio::test]
async fn an_object_that_stays_as_it_was_keeps_its_health_checks() {
    for reason in reasons() {
        let mut bench = Bench::new();
        let checked = upstream(checks("http"));
        assert!(bench.put_group(&checked, &json!({})));
        let [before] = bench.given().try_into().expect("one");
        pick(&before);
        let health = bench.health();
        assert_eq!(health[0].nodes.len(), 1000);
        for edited in [
            upstream(json!({})),
            upstream(checks("tcp")),
            json!({"nodes": {"127.0.0.2:1": 1}, "checks": {}}),
        ] {
            assert!(!bench.put_group(&edited, &reason));
            assert!(bench.health() == health, "{reason}");
            assert_eq!(bench.given().len(), 1, "only that in force is left");
        }
        // What is put in force afterwards has its way.
        assert!(bench.put_group(&upstream(checks("tcp")), &json!({})));
        assert!(bench.health() != health, "{reason}");
        assert_eq!(bench.health()[0].nodes.len(), 1000);
        assert!(bench.put_group(&upstream(json!({})), &json!({})));
        assert_eq!(bench.health().len(), 0);
    }
}

#[tokio::test]
async fn what_a_consumer_brings_no_more_ends() {
    let mut bench = Bench::new();
    let with = |plugins: Value| json!({"username": "jack", "plugins": plugins});
    for _ in 0..2 {
        bench.put(
            "consumers/jack",
            &with(json!({"having": upstream(checks("http"))})),
        );
        bench.compiler.publish_consumers();
        assert_eq!((bench.given().len(), bench.health().len()), (1, 1));
        bench.put("consumers/jack", &with(json!({})));
        bench.compiler.publish_consumers();
        assert_eq!((bench.given().len(), bench.health().len()), (0, 0));
    }
}

#[tokio::test]
async fn rounds_go_on_after_an_edit_that_came_to_nothing() {
    for reason in reasons() {
        let mut bench = Bench::new();
        assert!(bench.put_group(&upstream(json!({})), &json!({})));
        let [before] = bench.given().try_into().expect("one");
        let [first, second] = [(); 2].map(|()| pick(&before));
        drop(before);
        assert!(!bench.put_group(&upstream(json!({"retries": 1})), &reason));
        assert!(bench.put_group(&upstream(json!({"retries": 2})), &json!({})));
        let [after] = bench.given().try_into().expect("one");
        let third = pick(&after);
        assert_eq!(step(second, third), step(first, second), "{reason}");
    }
}

#[tokio::test]
async fn copies_of_a_plugin_within_another_are_told_apart() {
    let mut bench = Bench::new();
    let group = |retries: u8| {
        let mut members = checks("http");
        members["retries"] = json!(retries);
        let having = json!({"having": upstream(members)});
        json!({"plugins": {"around": [{"around": [having, having]}, having]}})
    };
    let mut rounds = |retries| {
        bench.put("consumer_groups/1", &group(retries));
        assert_eq!(bench.health().len(), 3);
        let given = bench.given();
        assert_eq!(given.len(), 3);
        let keys = given
            .iter()
            .map(|upstream| upstream.about().key.to_string());
        let rounds: Vec<_> = given.iter().map(|upstream| pick(upstream)).collect();
        (keys.collect::<Vec<_>>(), rounds)
    };
    let (keys, first) = rounds(1);
    assert_eq!(
        keys,
        [
            "consumer_groups/1#around#0#around#0#having#0",
            "consumer_groups/1#around#0#around#1#having#0",
            "consumer_groups/1#around#1#having#0",
        ]
    );
    let (same, second) = rounds(2);
    assert_eq!(same, keys);
    let (_, third) = rounds(3);
    for ((first, second), third) in first.into_iter().zip(second).zip(third) {
        assert_eq!(step(second, third), step(first, second));
    }
}

#[tokio::test]
async fn all_secrets_of_an_object_are_asked_for_before_any_plugin_is_compiled() {
    let mut bench = Bench::new();
    let having = upstream(json!({"desc": "$secret://vault/1/a/b"}));
    let picky = json!({"a": "$secret://vault/1/c/d"});
    assert!(!bench.put_group(&having, &picky));
    assert_eq!(bench.given().len(), 0);
    let secrets = bench.compiler.secrets().clone();
    let asking = tokio::spawn(secrets.clone().run());
    secrets.settled(Duration::from_mins(1)).await;
    asking.abort();
    // Nobody answers; what matters is who was asked.
    let mut changed = secrets.take_changed();
    changed.sort();
    let both = ["$secret://vault/1/a/b", "$secret://vault/1/c/d"];
    assert_eq!(changed.iter().map(|one| &**one).collect::<Vec<_>>(), both);
    bench.compiler.secrets_changed(&changed);
    assert_eq!(bench.given().len(), 1);
}
