//! Consul: the catalog and the health of instances.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    support::{PATIENCE, Watched, dump, start, started},
    web::{Asked, Reply, Web},
};

/// What a server of Consul has.
#[derive(Clone, Default)]
struct State {
    index: u64,
    services: BTreeMap<&'static str, Vec<(&'static str, u16)>>,
    /// Services that are answered with 500.
    broken: Vec<&'static str>,
}

/// A server of Consul.
struct Consul {
    web: Web,
    state: Arc<watch::Sender<State>>,
}

const TOKEN: &str = "the-token";

impl Consul {
    async fn start() -> Self {
        let state = Arc::new(watch::Sender::new(State {
            index: 1,
            ..State::default()
        }));
        let shared = state.clone();
        let web = Web::start(move |asked| answer(asked, shared.clone())).await;
        Self { web, state }
    }

    /// Changes what there is.
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(|state| {
            change(state);
            state.index += 1;
        });
    }

    fn register(&self, name: &'static str, instances: &[(&'static str, u16)]) {
        let instances = instances.to_vec();
        self.change(|state| drop(state.services.insert(name, instances)));
    }
}

async fn answer(asked: Asked, state: Arc<watch::Sender<State>>) -> Reply {
    if asked.headers.get("x-consul-token").map(String::as_str) != Some(TOKEN) {
        return Reply::with(403, &"Permission denied");
    }
    let mut state = state.subscribe();
    if let Some(index) = asked.query.get("index") {
        let index: u64 = index.parse().expect("a number");
        let wait = asked
            .query
            .get("wait")
            .and_then(|wait| wait.strip_suffix('s'));
        let wait = Duration::from_secs(wait.expect("seconds").parse().expect("a number"));
        let moved = state.wait_for(|state| state.index != index);
        let _late = tokio::time::timeout(wait, moved).await;
    }
    let state = state.borrow().clone();
    let body: Value = match asked.path.as_str() {
        "/v1/catalog/services" => {
            let names = state.services.keys().chain([&"consul"]);
            names.map(|name| (name.to_string(), json!([]))).collect()
        }
        "/v1/health/state/any" => json!([]),
        path => {
            let name = path.strip_prefix("/v1/health/service/").expect("a service");
            assert_eq!(asked.query.get("passing").map(String::as_str), Some("true"));
            assert_ne!(name, "consul", "left out");
            if state.broken.contains(&name) {
                return Reply::with(500, &"broken");
            }
            let instances = state.services.get(name).into_iter().flatten();
            let entry = |(host, port): &(&str, u16)| json!({"Node": {"Address": "10.9.9.9"}, "Service": {"Address": host, "Port": port, "Meta": null}});
            instances.map(entry).collect()
        }
    };
    Reply::Whole {
        status: 200,
        headers: vec![("X-Consul-Index", state.index.to_string())],
        body: body.to_string(),
    }
}

/// Options for these servers.
fn options(servers: &[&Consul], more: &str) -> String {
    let urls: Vec<_> = servers.iter().map(|it| it.web.url()).collect();
    format!("consul:\n  servers: {urls:?}\n  token: {TOKEN}\n{more}")
}

#[tokio::test]
async fn follows_the_catalog_by_blocking_queries() {
    let consul = Consul::start().await;
    consul.register("a", &[("10.0.0.1", 80), ("10.0.0.2", 0)]);
    let discovery = start(&options(&[&consul], "  weight: 7\n"));
    let mut a = Watched::of(&discovery, "consul", "a");
    let mut b = Watched::of(&discovery, "consul", "b");
    a.becomes(&["10.0.0.1:80 7", "10.0.0.2:80 7"]).await;
    b.becomes(&[]).await;
    consul.register("b", &[("10.0.0.3", 81)]);
    b.becomes(&["10.0.0.3:81 7"]).await;
    consul.register("a", &[]);
    a.becomes(&[]).await;
    let questions = consul.web.asked();
    assert!(questions.iter().any(|it| it.query.contains_key("index")));
    let shown = dump(&discovery, "consul");
    assert_eq!(
        shown["services"],
        json!({"b": [{"host": "10.0.0.3", "port": 81, "weight": 7}]})
    );
    assert_eq!(
        (
            &shown["config"]["token"],
            &shown["config"]["fetch_interval"]
        ),
        (&json!("******"), &json!(3))
    );
}

#[tokio::test]
async fn looks_now_and_then_where_blocking_is_off() {
    let consul = Consul::start().await;
    let discovery = start(&options(
        &[&consul],
        "  keepalive: false\n  fetch_interval: 1\n",
    ));
    let mut a = Watched::of(&discovery, "consul", "a");
    a.becomes(&[]).await;
    consul.register("a", &[("10.0.0.1", 80)]);
    a.becomes(&["10.0.0.1:80 1"]).await;
    let questions = consul.web.asked();
    assert!(!questions.iter().any(|it| it.query.contains_key("index")));
}

#[tokio::test]
async fn the_services_of_several_servers_add_up() {
    let (one, two) = (Consul::start().await, Consul::start().await);
    one.register("a", &[("10.0.0.1", 80)]);
    two.register("b", &[("10.0.0.2", 80)]);
    let discovery = start(&options(&[&one, &two], "  skip_services: [c]\n"));
    Watched::of(&discovery, "consul", "a")
        .becomes(&["10.0.0.1:80 1"])
        .await;
    Watched::of(&discovery, "consul", "b")
        .becomes(&["10.0.0.2:80 1"])
        .await;
    let mut c = Watched::of(&discovery, "consul", "c");
    one.register("c", &[("10.0.0.3", 80)]);
    one.register("d", &[("10.0.0.4", 80)]);
    Watched::of(&discovery, "consul", "d")
        .becomes(&["10.0.0.4:80 1"])
        .await;
    assert!(c.now().is_empty(), "it is skipped");
}

#[tokio::test]
async fn what_was_said_last_stays_while_a_server_is_away_or_broken() {
    let consul = Consul::start().await;
    consul.register("a", &[("10.0.0.1", 80)]);
    consul.register("b", &[("10.0.0.2", 80)]);
    let discovery = start(&options(&[&consul], ""));
    let mut a = Watched::of(&discovery, "consul", "a");
    let mut b = Watched::of(&discovery, "consul", "b");
    a.becomes(&["10.0.0.1:80 1"]).await;
    consul.change(|state| {
        state.broken.push("a");
        state.services.insert("a", Vec::new());
        state.services.insert("b", vec![("10.0.0.3", 80)]);
    });
    b.becomes(&["10.0.0.3:80 1"]).await;
    assert_eq!(a.now(), ["10.0.0.1:80 1"], "its answer is broken");
    let Consul { web, state } = consul;
    let address = web.stop().await;
    assert_eq!(b.now(), ["10.0.0.3:80 1"]);
    state.send_modify(|state| {
        // It has lost its memory: indexes start again.
        *state = State {
            index: 1,
            services: [("b", vec![("10.0.0.4", 80)])].into(),
            broken: Vec::new(),
        };
    });
    let _web = Web::at(address, move |asked| answer(asked, state.clone())).await;
    b.becomes(&["10.0.0.4:80 1"]).await;
    a.becomes(&[]).await;
}

#[tokio::test]
async fn a_default_service_stands_in_for_unknown_ones() {
    let consul = Consul::start().await;
    let more = "  weight: 3\n  default_service: {host: 127.0.0.1, port: 20999}\n";
    let discovery = start(&options(&[&consul], more));
    let mut a = Watched::of(&discovery, "consul", "a");
    a.becomes(&["127.0.0.1:20999 3"]).await;
    consul.register("a", &[("10.0.0.1", 80)]);
    a.becomes(&["10.0.0.1:80 3"]).await;
}

#[tokio::test]
async fn a_wrong_token_is_told_from_a_missing_service() {
    let consul = Consul::start().await;
    consul.register("a", &[("10.0.0.1", 80)]);
    let discovery = start(&format!("consul: {{servers: ['{}']}}", consul.web.url()));
    let mut a = Watched::of(&discovery, "consul", "a");
    a.settled().await;
    assert!(a.now().is_empty());
}

#[tokio::test]
async fn a_dump_file_serves_until_the_servers_have_spoken() {
    let files = tempfile::tempdir().expect("a directory");
    let path = files.path().join("dump.json");
    let write = |last_update: i64| {
        let services = json!({"a": [{"host": "10.0.0.7", "port": 80, "weight": 1}], "gone": [{"host": "10.0.0.8", "port": 80, "weight": 1}]});
        let content = json!({"services": services, "last_update": last_update, "expire": 0});
        std::fs::write(&path, content.to_string()).expect("written");
    };
    let consul = Consul::start().await;
    let state = consul.state.clone();
    let address = consul.web.stop().await;
    let dumped = |more: &str| {
        let path = path.display();
        format!(
            "consul:\n  servers: ['http://{address}']\n  token: {TOKEN}\n  dump: {{path: '{path}'{more}}}\n"
        )
    };
    write(1);
    for more in [", expire: 10", ", load_on_init: false"] {
        let discovery = start(&dumped(more));
        assert!(Watched::of(&discovery, "consul", "a").now().is_empty());
    }
    let discovery = start(&dumped(""));
    let mut a = Watched::of(&discovery, "consul", "a");
    let mut gone = Watched::of(&discovery, "consul", "gone");
    assert_eq!(a.now(), ["10.0.0.7:80 1"]);
    state.send_modify(|state| {
        state.services.insert("a", vec![("10.0.0.1", 80)]);
    });
    let _web = Web::at(address, move |asked| answer(asked, state.clone())).await;
    a.becomes(&["10.0.0.1:80 1"]).await;
    gone.becomes(&[]).await;
    let written = tokio::time::timeout(PATIENCE, async {
        loop {
            let text = std::fs::read_to_string(&path).expect("a file");
            let content: Value = serde_json::from_str(&text).expect("never half a file");
            if content["services"] == json!({"a": [{"host": "10.0.0.1", "port": 80, "weight": 1}]})
            {
                return content;
            }
            tokio::task::yield_now().await;
        }
    });
    let written = written.await.expect("it is written");
    assert!(written["last_update"].as_i64() > Some(1));
    let shown = discovery.show("consul", "show_dump_file");
    let Some(lockgate_discovery::Shown::File(text)) = shown else {
        panic!("no file: {shown:?}");
    };
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), written);
}

#[tokio::test]
async fn names_what_is_wrong_with_an_address() {
    for (address, problem) in [
        (
            "https://127.0.0.1:8500",
            "only support consul http schema address, eg: http://address:port",
        ),
        (
            "http://127.0.0.1:8500/",
            "invalid consul server address, the valid format: http://address:port",
        ),
        (
            "http://127.0.0.1:8500/v1",
            "invalid consul server address, the valid format: http://address:port",
        ),
    ] {
        let text = format!("consul: {{servers: ['{address}']}}");
        let error = started(&text, None, &|_| None).expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!("discovery.consul: format consul config got error: {problem}")
        );
    }
    let shown = start("consul: {servers: ['http://127.0.0.1:1']}").show("consul", "show_dump_file");
    assert_eq!(
        shown,
        Some(lockgate_discovery::Shown::Unavailable(
            "dump params is nil".into()
        ))
    );
}
