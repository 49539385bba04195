//! Eureka.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{
    support::{Watched, dump, start},
    web::{Reply, Web},
};

fn instance(ip: &str, status: &str, more: &Value) -> Value {
    let mut instance = json!({
        "ipAddr": ip,
        "status": status,
        "port": {"$": 8080, "@enabled": "true"},
        "securePort": {"$": 443, "@enabled": "false"},
        "metadata": {"a": "b"},
    });
    if let (Some(all), Some(more)) = (instance.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    instance
}

fn applications() -> Value {
    json!({"applications": {"application": [
        {"name": "APP", "instance": [
            instance("10.0.0.1", "UP", &json!({})),
            instance("10.0.0.2", "UP", &json!({"securePort": {"$": 444, "@enabled": true}, "metadata": {"weight": "7", "x": "y"}})),
            instance("10.0.0.3", "DOWN", &json!({})),
            instance("10.0.0.4", "UP", &json!({"overriddenstatus": "OUT_OF_SERVICE"})),
            instance("10.0.0.5", "DOWN", &json!({"overriddenStatus": "UP", "port": {"$": "81", "@enabled": "true"}})),
            instance("10.0.0.6", "UP", &json!({"port": {"$": 1, "@enabled": "false"}})),
        ]},
        // An only instance may stand without a list.
        {"name": "ONE", "instance": instance("10.0.0.7", "UP", &json!({"overriddenstatus": "UNKNOWN"}))},
    ]}})
}

#[tokio::test]
async fn fetches_all_applications_from_the_server_that_answers() {
    let body = Arc::new(Mutex::new(applications()));
    let shared = body.clone();
    let web = Web::start(move |asked| {
        let body = shared.lock().expect("sound").to_string();
        async move {
            let user = asked.headers.get("authorization").map(String::as_str);
            if (asked.path.as_str(), user) != ("/eureka/apps", Some("Basic dTpw")) {
                return Reply::with(401, &"");
            }
            assert_eq!(asked.headers["accept"], "application/json");
            Reply::with(200, &body)
        }
    })
    .await;
    let away = Web::start(|_| async { Reply::None }).await.stop().await;
    let broken = Web::start(|_| async { Reply::with(500, &"x") }).await;
    let discovery = start(&format!(
        "eureka:\n  host: ['http://u:p@{}', 'http://{away}', '{}']\n  prefix: /eureka/\n  fetch_interval: 1\n  weight: 5\n",
        web.address,
        broken.url(),
    ));
    let mut app = Watched::of(&discovery, "eureka", "APP");
    app.becomes(&["10.0.0.1:8080 5", "10.0.0.2:444 7", "10.0.0.5:81 5"])
        .await;
    let mut one = Watched::of(&discovery, "eureka", "ONE");
    one.becomes(&["10.0.0.7:8080 5"]).await;
    let shown = dump(&discovery, "eureka");
    assert_eq!(
        shown["services"]["APP"][1],
        json!({"host": "10.0.0.2", "port": 444, "weight": 7, "metadata": {"x": "y"}})
    );
    assert_eq!(
        shown["config"]["host"][0],
        json!(format!("http://******@{}", web.address))
    );

    // An answer that is none leaves everything as it was.
    *body.lock().expect("sound") = json!("nonsense");
    let before = web.asked().len();
    while web.asked().len() < before + 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(one.now(), ["10.0.0.7:8080 5"]);
    *body.lock().expect("sound") = json!({"applications": {"application": []}});
    one.becomes(&[]).await;
}
