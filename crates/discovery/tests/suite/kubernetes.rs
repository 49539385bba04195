//! Kubernetes: lists and watches of one cluster or several.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    support::{PATIENCE, Watched, dump, started},
    web::{Asked, Reply, Web},
};

/// A cluster: what it lists, and the watches that it will serve.
#[derive(Clone, Default)]
struct Cluster {
    pages: Arc<Mutex<Vec<Value>>>,
    watches: Arc<Mutex<Vec<UnboundedReceiver<String>>>>,
    token: &'static str,
}

impl Cluster {
    fn listing(pages: &[Value]) -> Self {
        let cluster = Self {
            token: "secret",
            ..Self::default()
        };
        *cluster.pages.lock().expect("sound") = pages.to_vec();
        cluster
    }

    /// The next watch sends what comes here.
    fn next_watch(&self) -> UnboundedSender<String> {
        let (send, receive) = unbounded_channel();
        self.watches.lock().expect("sound").insert(0, receive);
        send
    }

    async fn serve(&self) -> Web {
        let cluster = self.clone();
        Web::start(move |asked| {
            let cluster = cluster.clone();
            async move { cluster.answer(&asked).await }
        })
        .await
    }

    async fn answer(&self, asked: &Asked) -> Reply {
        if asked.headers.get("authorization") != Some(&format!("Bearer {}", self.token)) {
            return Reply::with(401, &"Unauthorized");
        }
        if asked.query.contains_key("watch") {
            let next = self.watches.lock().expect("sound").pop();
            return match next {
                Some(events) => Reply::Pieces(events),
                None => std::future::pending().await,
            };
        }
        assert_eq!(asked.query.get("limit").map(String::as_str), Some("120"));
        let page = asked.query.get("continue").map_or("0", String::as_str);
        let page: usize = page.parse().expect("a page of ours");
        let pages = self.pages.lock().expect("sound").clone();
        let mut answer = pages.get(page).expect("a page").clone();
        if page + 1 < pages.len() {
            let metadata = answer.get_mut("metadata").and_then(Value::as_object_mut);
            let metadata = metadata.expect("a list of ours");
            metadata.insert("continue".into(), json!((page + 1).to_string()));
        }
        Reply::with(200, &answer)
    }
}

fn endpoints(name: &str, version: &str, ips: &[&str]) -> Value {
    let addresses: Value = ips.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "metadata": {"name": name, "namespace": "default", "resourceVersion": version},
        "subsets": [{"addresses": addresses, "ports": [{"name": "http", "port": 8080}, {"port": 9090}]}],
    })
}

fn list(version: &str, items: &[Value]) -> Value {
    json!({"kind": "EndpointsList", "metadata": {"resourceVersion": version}, "items": items})
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

fn options(web: &Web, more: &str) -> String {
    let port = web.address.port();
    format!(
        "service: {{schema: http, host: 127.0.0.1, port: '{port}'}}\nclient: {{token: '${{TOKEN}}'}}\n{more}"
    )
}

fn start(text: &str) -> lockgate_discovery::Discovery {
    let environment = |name: &str| (name == "TOKEN").then(|| "secret".to_owned());
    started(text, None, &environment).expect("starts")
}

fn one(web: &Web, more: &str) -> lockgate_discovery::Discovery {
    let options = options(web, more);
    start(&format!(
        "kubernetes:\n  {}",
        options.trim().replace('\n', "\n  ")
    ))
}

#[tokio::test]
async fn lists_all_pages_and_watches_from_there() {
    let cluster = Cluster::listing(&[
        list("10", &[endpoints("a", "1", &["10.0.0.2", "10.0.0.1"])]),
        list("11", &[endpoints("b", "2", &["10.0.0.3"])]),
    ]);
    let events = cluster.next_watch();
    let web = cluster.serve().await;
    let discovery = one(&web, "default_weight: 7\n");
    let mut a = Watched::of(&discovery, "kubernetes", "default/a:http");
    let mut b = Watched::of(&discovery, "kubernetes", "default/b:9090");
    a.becomes(&["10.0.0.1:8080 7", "10.0.0.2:8080 7"]).await;
    b.becomes(&["10.0.0.3:9090 7"]).await;
    // Events come in any pieces.
    let changed = event("MODIFIED", &endpoints("a", "12", &["10.0.0.4"]));
    let (first, second) = changed.split_at(20);
    for piece in [first, second] {
        events.send(piece.to_owned()).expect("watched");
    }
    a.becomes(&["10.0.0.4:8080 7"]).await;
    let gone = event("DELETED", &endpoints("b", "13", &[]));
    let bookmark = event("BOOKMARK", &json!({"metadata": {"resourceVersion": "20"}}));
    events.send(gone + &bookmark).expect("watched");
    b.becomes(&[]).await;
    assert_eq!(
        dump(&discovery, "kubernetes")["endpoints"],
        json!([{"endpoints": [{
            "name": "default/a",
            "value": "{\"9090\":[{\"host\":\"10.0.0.4\",\"port\":9090,\"weight\":7}],\"http\":[{\"host\":\"10.0.0.4\",\"port\":8080,\"weight\":7}]}",
        }]}])
    );

    // The watch ends in peace: the next goes on where it was.
    let next = cluster.next_watch();
    drop(events);
    next.send(event("ADDED", &endpoints("c", "21", &["10.0.0.5"])))
        .expect("it is kept");
    Watched::of(&discovery, "kubernetes", "default/c:http")
        .becomes(&["10.0.0.5:8080 7"])
        .await;
    let asked = web.asked();
    let watches = asked.iter().filter(|it| it.query.contains_key("watch"));
    let from: Vec<_> = watches.map(|it| &*it.query["resourceVersion"]).collect();
    assert_eq!(from, ["11", "20"]);
}

#[tokio::test]
async fn lists_anew_what_the_server_has_forgotten() {
    let cluster = Cluster::listing(&[list("10", &[endpoints("a", "1", &["10.0.0.1"])])]);
    let events = cluster.next_watch();
    let web = cluster.serve().await;
    let discovery = one(&web, "");
    let mut a = Watched::of(&discovery, "kubernetes", "default/a:http");
    a.becomes(&["10.0.0.1:8080 50"]).await;
    *cluster.pages.lock().expect("sound") =
        vec![list("99", &[endpoints("b", "98", &["10.0.0.2"])])];
    let forgotten =
        json!({"code": 410, "reason": "Expired", "message": "too old resource version"});
    events.send(event("ERROR", &forgotten)).expect("watched");
    Watched::of(&discovery, "kubernetes", "default/b:http")
        .becomes(&["10.0.0.2:8080 50"])
        .await;
    a.becomes(&[]).await;
}

#[tokio::test]
async fn the_endpoints_stay_while_the_cluster_is_away() {
    let cluster = Cluster::listing(&[list("10", &[endpoints("a", "1", &["10.0.0.1"])])]);
    let web = cluster.serve().await;
    let discovery = one(&web, "");
    let mut a = Watched::of(&discovery, "kubernetes", "default/a:http");
    a.becomes(&["10.0.0.1:8080 50"]).await;
    let address = web.stop().await;
    assert_eq!(a.now(), ["10.0.0.1:8080 50"]);
    // The watch goes on when it is back.
    let events = cluster.next_watch();
    events
        .send(event("MODIFIED", &endpoints("a", "11", &["10.0.0.9"])))
        .expect("it is kept");
    let again = cluster.clone();
    let _web = Web::at(address, move |asked| {
        let again = again.clone();
        async move { again.answer(&asked).await }
    })
    .await;
    a.becomes(&["10.0.0.9:8080 50"]).await;
}

#[tokio::test]
async fn is_ready_when_every_cluster_was_read_once() {
    let cluster = Cluster::listing(&[list("10", &[endpoints("a", "1", &["10.0.0.1"])])]);
    let web = cluster.serve().await;
    let locked = Cluster {
        token: "another",
        ..cluster.clone()
    };
    let locked = locked.serve().await;
    let clusters = [("one", &web), ("two", &locked)].map(|(id, web)| {
        let options = options(web, "");
        format!("- id: {id}\n  {}", options.trim().replace('\n', "\n  "))
    });
    let discovery = start(&format!(
        "kubernetes:\n  {}",
        clusters.join("\n").replace('\n', "\n  ")
    ));
    let mut a = Watched::of(&discovery, "kubernetes", "one/default/a:http");
    a.becomes(&["10.0.0.1:8080 50"]).await;
    Watched::of(&discovery, "kubernetes", "two/default/a:http")
        .settled()
        .await;
    assert_eq!(discovery.ready(), Err("kubernetes discovery not ready"));

    let discovery = one(&web, "");
    let mut a = Watched::of(&discovery, "kubernetes", "default/a:http");
    a.becomes(&["10.0.0.1:8080 50"]).await;
    assert_eq!(discovery.ready(), Ok(()));
    web.stop().await;
    assert_eq!(discovery.ready(), Ok(()), "what it said stays");
}

#[tokio::test]
async fn reads_slices_of_several_clusters_and_selects() {
    let slice = |name: &str, namespace: &str, endpoints: &Value| {
        json!({
            "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": 80}],
        })
    };
    let ready = |ip: &str| json!({"addresses": [ip], "conditions": {"ready": true}});
    let page = json!({
        "kind": "EndpointSliceList",
        "metadata": {"resourceVersion": "1"},
        "items": [
            slice("web-1", "prod", &json!([ready("10.0.0.1"), {"addresses": ["10.0.0.2"], "conditions": {"ready": false}}])),
            slice("web-2", "prod", &json!([ready("10.0.0.3")])),
            slice("web-3", "test", &json!([ready("10.0.0.4")])),
            {"metadata": {"name": "lost", "namespace": "prod"}, "endpoints": null},
        ],
    });
    let slices = Cluster::listing(&[page]);
    let plain = Cluster::listing(&[list("1", &[endpoints("a", "1", &["10.0.0.9"])])]);
    let (one, two) = (slices.serve().await, plain.serve().await);
    let item = |id: &str, options: &str| {
        format!(
            "  - id: {id}\n    {}\n",
            options.trim().replace('\n', "\n    ")
        )
    };
    let first = options(
        &one,
        "watch_endpoint_slices: true\nnamespace_selector: {match: ['pr.*']}\nlabel_selector: a=b\n",
    );
    let second = options(&two, "namespace_selector: {equal: default}\n");
    let text = format!(
        "kubernetes:\n{}{}",
        item("first", &first),
        item("second", &second)
    );
    let discovery = start(&text);
    Watched::of(&discovery, "kubernetes", "first/prod/web:http")
        .becomes(&["10.0.0.1:80 50", "10.0.0.3:80 50"])
        .await;
    Watched::of(&discovery, "kubernetes", "second/default/a:http")
        .becomes(&["10.0.0.9:8080 50"])
        .await;
    let mut other = Watched::of(&discovery, "kubernetes", "first/test/web:http");
    other.becomes(&[]).await;
    assert_eq!(
        one.asked()[0].path,
        "/apis/discovery.k8s.io/v1/endpointslices"
    );
    assert_eq!(one.asked()[0].query["labelSelector"], "a=b");
    assert_eq!(
        two.asked()[0].query["fieldSelector"],
        "metadata.namespace=default"
    );
    let shown = dump(&discovery, "kubernetes");
    assert_eq!(shown["endpoints"][1]["id"], "second");
    let twice = started(
        &format!("kubernetes:\n{}{}", item("x", &second), item("x", &second)),
        None,
        &|_| Some("secret".into()),
    );
    assert_eq!(
        twice.expect_err("refused").to_string(),
        "discovery.kubernetes: duplicate id value"
    );
}

#[tokio::test]
async fn reads_the_token_from_its_file_each_time() {
    let files = tempfile::tempdir().expect("a directory");
    let path = files.path().join("token");
    std::fs::write(&path, "wrong\n").expect("written");
    let cluster = Cluster::listing(&[list("1", &[endpoints("a", "1", &["10.0.0.1"])])]);
    let web = cluster.serve().await;
    let port = web.address.port();
    let discovery = start(&format!(
        "kubernetes:\n  service: {{schema: http, host: 127.0.0.1, port: '{port}'}}\n  client: {{token_file: '{}'}}\n",
        path.display()
    ));
    let mut a = Watched::of(&discovery, "kubernetes", "default/a:http");
    a.settled().await;
    assert!(a.now().is_empty());
    std::fs::write(&path, "secret\n").expect("written");
    tokio::time::timeout(PATIENCE, a.becomes(&["10.0.0.1:8080 50"]))
        .await
        .expect("it is read again");
}

#[tokio::test]
async fn names_what_is_wrong_with_a_cluster() {
    for (text, problem) in [
        (
            "kubernetes: {}",
            "not found environment variable KUBERNETES_SERVICE_HOST",
        ),
        (
            "kubernetes: {service: {host: a, port: '${PORT}'}, client: {token: t}}",
            "invalid port value: 0",
        ),
        (
            "kubernetes: {service: {host: a, port: '1'}, client: {token: ''}}",
            "apiserver.token should set to non-empty string when service.schema is https",
        ),
    ] {
        let environment = |name: &str| (name == "PORT").then(|| "0".to_owned());
        let error = started(text, None, &environment).expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!("discovery.kubernetes: {problem}")
        );
    }
}
