//! Nacos.

use std::sync::{Arc, Mutex};

use lockgate_discovery::Service;
use serde_json::{Value, json};

use crate::{
    support::{Watched, dump, start},
    web::{Asked, Reply, Web},
};

fn instances() -> Value {
    json!([
        {"ip": "10.0.0.1", "port": 80, "weight": 1.0, "metadata": {"gRPC_port": "9090"}},
        {"ip": "10.0.0.2", "port": 81, "weight": 2.0},
    ])
}

fn answer(asked: &Asked, hosts: &Value) -> Reply {
    let of = |name: &str| asked.query.get(name).map(String::as_str);
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/nacos/v1/auth/login") => {
            if (of("username"), of("password")) != (Some("nacos"), Some("pass")) {
                return Reply::with(403, &"unknown user");
            }
            Reply::with(200, &json!({"accessToken": "token", "tokenTtl": 18000}))
        }
        ("GET", "/nacos/v1/ns/instance/list") => {
            if of("accessToken") != Some("token") {
                return Reply::with(403, &"no token");
            }
            assert_eq!(of("healthyOnly"), Some("true"));
            let place = (of("namespaceId"), of("groupName"), of("serviceName"));
            match place {
                (Some("public"), Some("DEFAULT_GROUP"), Some("APP"))
                | (Some("ns"), Some("group"), Some("APP")) => {
                    Reply::with(200, &json!({"hosts": hosts}))
                }
                _ => Reply::with(200, &json!({"hosts": []})),
            }
        }
        _ => Reply::with(404, &""),
    }
}

#[tokio::test]
async fn asks_for_what_is_wanted_and_logs_in() {
    let hosts = Arc::new(Mutex::new(instances()));
    let shared = hosts.clone();
    let web = Web::start(move |asked| {
        let reply = answer(&asked, &shared.lock().expect("sound"));
        async move { reply }
    })
    .await;
    let discovery = start(&format!(
        "nacos:\n  host: ['http://nacos:pass@{}']\n  fetch_interval: 1\n  access_key: ak\n  secret_key: sk\n",
        web.address
    ));
    let mut app = Watched::of(&discovery, "nacos", "APP");
    app.becomes(&["10.0.0.1:80 1", "10.0.0.2:81 2"]).await;
    let grpc = Service {
        name: "APP".into(),
        namespace_id: Some("ns".into()),
        group_name: Some("group".into()),
        is_grpc: true,
    };
    Watched::of_service(&discovery, "nacos", &grpc)
        .becomes(&["10.0.0.1:9090 1", "10.0.0.2:81 2"])
        .await;
    let mut other = Watched::of(&discovery, "nacos", "OTHER");
    other.settled().await;
    assert!(other.now().is_empty());
    let asked = web.asked();
    let logins = asked.iter().filter(|asked| asked.method == "POST").count();
    assert_eq!(logins, 1, "a token is used as long as it lasts");
    let list = asked.iter().find(|asked| asked.method == "GET");
    let query = &list.expect("asked").query;
    assert_eq!(query["ak"], "ak");
    assert!(query["data"].ends_with("@@DEFAULT_GROUP@@APP"), "{query:?}");
    assert_eq!(query["signature"].len(), 28);

    // Weights are fractions; shares are whole.
    *hosts.lock().expect("sound") =
        json!([{"ip": "10.0.0.3", "port": 82, "weight": 0.5}, {"ip": "10.0.0.4", "port": 82}]);
    app.becomes(&["10.0.0.3:82 50", "10.0.0.4:82 10000"]).await;
    let shown = dump(&discovery, "nacos");
    assert_eq!(
        shown["services"]["default/public/DEFAULT_GROUP/APP"]["nodes"][0],
        json!({"host": "10.0.0.3", "port": 82, "weight": 50})
    );
}

#[tokio::test]
async fn another_server_answers_where_one_does_not_and_the_nodes_stay_where_none_does() {
    let good = |asked: Asked| async move {
        assert_eq!(asked.path, "/other/ns/instance/list");
        Reply::with(
            200,
            &json!({"hosts": [{"ip": "10.0.0.1", "port": 80, "weight": 1}]}),
        )
    };
    let web = Web::start(good).await;
    let broken = Web::start(|_| async { Reply::with(500, &"x") }).await;
    let discovery = start(&format!(
        "nacos:\n  host: ['{}', '{}']\n  prefix: /other\n  fetch_interval: 1\n",
        broken.url(),
        web.url()
    ));
    let mut app = Watched::of(&discovery, "nacos", "APP");
    app.becomes(&["10.0.0.1:80 1"]).await;
    web.stop().await;
    // Whoever comes late is told that nobody answers; the others keep what they have.
    let mut late = Watched::of(&discovery, "nacos", "LATE");
    late.settled().await;
    assert!(late.now().is_empty());
    assert_eq!(app.now(), ["10.0.0.1:80 1"]);
}
