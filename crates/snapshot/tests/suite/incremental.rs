//! Change by change gives the same snapshot as everything at once.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, sync::Arc};

use lockgate_expr::{Lookup, Variable};
use lockgate_router::{Methods, Params, Request};
use lockgate_snapshot::{Compiler, Snapshot, Target};
use lockgate_store::{Change, Entry};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::inactive::compiler;

/// A GET without variables.
pub(crate) struct Get<'p> {
    pub(crate) path: &'p str,
    pub(crate) host: &'p str,
}

impl Lookup for Get<'_> {
    fn lookup<'a>(&'a self, _variable: &Variable) -> Option<Cow<'a, [u8]>> {
        None
    }
}

impl Request for Get<'_> {
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn host(&self) -> Option<&[u8]> {
        Some(self.host.as_bytes())
    }

    fn host_with_port(&self) -> Option<&[u8]> {
        self.host()
    }

    fn method(&self) -> Methods {
        Methods::of(b"GET")
    }

    fn remote_addr(&self) -> Option<IpAddr> {
        Some(IpAddr::from([127, 0, 0, 1]))
    }
}

/// What a client would see of a snapshot: for each of a few requests the route and where it goes.
fn seen(snapshot: &Snapshot) -> Vec<Option<(Arc<str>, String, bool)>> {
    let mut seen = Vec::new();
    for host in ["a.test", "b.test", "x.b.test"] {
        for path in ["/", "/0", "/1", "/1/x", "/2/x/y"] {
            let found = snapshot
                .routes
                .find(&Get { path, host }, &mut Params::default());
            seen.push(found.map(|found| {
                let route = found.value();
                let target = match &route.target {
                    Target::Upstream(upstream) => upstream
                        .nodes()
                        .iter()
                        .map(|node| node.address.to_string())
                        .collect::<Vec<_>>()
                        .join(","),
                    other => format!("{other:?}"),
                };
                (route.id.clone(), target, route.allows_websocket)
            }));
        }
    }
    seen
}

#[derive(Debug, Clone)]
struct Write {
    key: String,
    /// `None` takes the key away; text that is no JSON is stored as it is.
    value: Option<String>,
}

fn id() -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(|id| id.to_string())
}

fn upstream() -> impl Strategy<Value = Value> {
    (1..4_u16, any::<bool>()).prop_map(|(port, is_broken)| {
        if is_broken {
            // Nodes whose port is none: the object cannot be compiled.
            json!({"nodes": {"127.0.0.1:x": 1}})
        } else {
            json!({"nodes": {format!("127.0.0.1:{port}"): 1}})
        }
    })
}

fn service() -> impl Strategy<Value = Value> {
    (0..3_u8, id(), upstream(), any::<bool>()).prop_map(|(kind, id, upstream, is_host)| {
        let mut service = json!({"enable_websocket": is_host});
        match kind {
            0 => service["upstream_id"] = json!(id),
            1 => service["upstream"] = upstream,
            _ => {}
        }
        if is_host {
            service["hosts"] = json!(["*.b.test"]);
        }
        service
    })
}

fn route() -> impl Strategy<Value = Value> {
    let path = prop_oneof![Just("/0"), Just("/1"), Just("/1/*"), Just("/*")];
    let uses = (any::<[bool; 6]>(), id(), id(), id());
    (path, uses, upstream(), -1..2_i64).prop_map(
        |(path, ([upstream, by_id, service, config, host, hidden], a, b, c), own, priority)| {
            let mut route = json!({"uri": path, "priority": priority});
            if by_id {
                route["upstream_id"] = json!(a);
            } else if upstream {
                route["upstream"] = own;
            }
            if service {
                route["service_id"] = json!(b);
            }
            if config {
                route["plugin_config_id"] = json!(c);
            }
            if host {
                route["host"] = json!("a.test");
            }
            if hidden && priority > 0 {
                route["status"] = json!(0);
            }
            route
        },
    )
}

fn write() -> impl Strategy<Value = Write> {
    let value = |kind: &'static str, value: BoxedStrategy<Value>| {
        (id(), proptest::option::weighted(0.8, value)).prop_map(move |(id, value)| Write {
            key: format!("{kind}/{id}"),
            value: value.map(|value| value.to_string()),
        })
    };
    prop_oneof![
        4 => value("routes", route().boxed()),
        2 => value("services", service().boxed()),
        2 => value("upstreams", upstream().boxed()),
        1 => value("plugin_configs", Just(json!({"plugins": {}})).boxed()),
    ]
}

/// Feeds writes in batches of the given size; the state that is left, by key.
fn feed(compiler: &mut Compiler, writes: &[Write], batch: usize) -> BTreeMap<String, Entry> {
    let mut state = BTreeMap::new();
    let mut revision = 0;
    for writes in writes.chunks(batch) {
        let mut changes = Vec::new();
        for write in writes {
            revision += 1;
            let key: Arc<str> = write.key.as_str().into();
            match &write.value {
                None => {
                    state.remove(&write.key);
                    changes.push(Change::Delete { key, revision });
                }
                Some(value) => {
                    let created = state
                        .get(&write.key)
                        .map_or(revision, |entry: &Entry| entry.create_revision);
                    let entry = Entry {
                        key,
                        value: value.as_bytes().into(),
                        create_revision: created,
                        mod_revision: revision,
                    };
                    state.insert(write.key.clone(), entry.clone());
                    changes.push(Change::Put(entry));
                }
            }
        }
        compiler.apply(revision, &changes);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Objects that can be compiled at all times: what was in force before plays no part.
    #[test]
    fn change_by_change_is_as_all_at_once(
        writes in proptest::collection::vec(write(), 1..40),
        batch in 1..5_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let _within = runtime.enter();
        let broken = |write: &Write| write.value.as_ref().is_some_and(|value| value.contains(":x\""));
        let writes: Vec<Write> = writes.into_iter().filter(|write| !broken(write)).collect();
        let mut by_change = compiler();
        let state = feed(&mut by_change, &writes, batch);
        let mut at_once = compiler();
        // In the order in which the objects came to be, as a store lists them.
        let mut entries: Vec<Entry> = state.into_values().collect();
        entries.sort_by_key(|entry| entry.create_revision);
        let changes: Vec<Change> = entries.into_iter().map(Change::Put).collect();
        at_once.apply(99, &changes);
        prop_assert_eq!(seen(&by_change.snapshot()), seen(&at_once.snapshot()));
        prop_assert_eq!(by_change.problems(), at_once.problems());
    }

    /// Whatever is stored, an object that is fine is in force at the end.
    #[test]
    fn broken_objects_harm_no_others(writes in proptest::collection::vec(write(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let _within = runtime.enter();
        let mut compiler = compiler();
        let mut writes = writes;
        writes.push(Write { key: "routes/fine".into(), value: Some(
            json!({"uri": "/2/*", "upstream": {"nodes": {"127.0.0.1:9": 1}}}).to_string()) });
        writes.push(Write { key: "routes/none".into(), value: Some("{".into()) });
        feed(&mut compiler, &writes, 3);
        let request = Get { path: "/2/x", host: "c.test" };
        let snapshot = compiler.snapshot();
        let found = snapshot.routes.find(&request, &mut Params::default()).expect("the route");
        prop_assert_eq!(&*found.value().id, "fine");
        prop_assert!(compiler.problems().contains_key("routes/none"));
    }
}
