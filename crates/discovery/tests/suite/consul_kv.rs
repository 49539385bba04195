//! Consul's key-value store as a registry.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    support::{Watched, dump, start},
    web::{Asked, Reply, Web},
};

/// `{"weight": 120}`, `{"check_status": false}` and `{}`, as Consul writes values.
const HEAVY: &str = "eyJ3ZWlnaHQiOiAxMjB9";
const DOWN: &str = "eyJjaGVja19zdGF0dXMiOiBmYWxzZX0=";
const PLAIN: &str = "e30=";

/// An index, and the keys with their values.
type State = (u64, Vec<(&'static str, &'static str)>);

async fn answer(asked: Asked, state: Arc<watch::Sender<State>>) -> Reply {
    assert_eq!(asked.path, "/v1/kv/upstreams");
    assert_eq!(asked.query.get("recurse").map(String::as_str), Some("true"));
    let mut state = state.subscribe();
    if let Some(index) = asked.query.get("index") {
        let index: u64 = index.parse().expect("a number");
        let moved = state.wait_for(|state| state.0 != index);
        let _late = tokio::time::timeout(Duration::from_mins(1), moved).await;
    }
    let (index, keys) = state.borrow().clone();
    if keys.is_empty() {
        return Reply::with(404, &"");
    }
    let keys = keys.iter();
    let body: Value = keys
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    Reply::Whole {
        status: 200,
        headers: vec![("X-Consul-Index", index.to_string())],
        body: body.to_string(),
    }
}

#[tokio::test]
async fn follows_keys_by_blocking_queries() {
    let state = Arc::new(watch::Sender::new((
        7,
        vec![
            ("upstreams/web/127.0.0.1:80", HEAVY),
            ("upstreams/web/127.0.0.2:81", PLAIN),
            ("upstreams/web/127.0.0.3:81", DOWN),
            ("upstreams/web/", ""),
            ("upstreams/off/127.0.0.4:80", PLAIN),
        ],
    )));
    let shared = state.clone();
    let web = Web::start(move |asked| answer(asked, shared.clone())).await;
    let url = web.url();
    let discovery = start(&format!(
        "consul_kv: {{servers: ['{url}'], weight: 3, skip_keys: [upstreams/off/]}}"
    ));
    let name = format!("{url}/v1/kv/upstreams/web/");
    let mut watched = Watched::of(&discovery, "consul_kv", &name);
    watched
        .becomes(&["127.0.0.1:80 120", "127.0.0.2:81 3"])
        .await;
    let off = format!("{url}/v1/kv/upstreams/off/");
    assert!(Watched::of(&discovery, "consul_kv", &off).now().is_empty());
    state.send_replace((8, vec![("upstreams/web/127.0.0.2:81", PLAIN)]));
    watched.becomes(&["127.0.0.2:81 3"]).await;
    let shown = dump(&discovery, "consul_kv");
    assert_eq!(
        shown["services"],
        json!({name: [{"host": "127.0.0.2", "port": 81, "weight": 3}]})
    );
    assert_eq!(shown["config"]["prefix"], "upstreams");
    // As the reference: that the prefix is not there is no reason to have no nodes.
    state.send_replace((9, Vec::new()));
    state.send_replace((10, vec![("upstreams/web/127.0.0.5:81", PLAIN)]));
    watched.becomes(&["127.0.0.5:81 3"]).await;
}
