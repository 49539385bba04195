//! Order, pages and filters of listings.

use serde_json::{Value, json};

use crate::gateway::Gateway;

/// The ids that a listing shows, and its total.
async fn listed(gateway: &Gateway, query: &str) -> (Vec<String>, u64) {
    let reply = gateway
        .ask(&format!("GET /apisix/admin/routes?{query}"), "")
        .await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    let list: Value = serde_json::from_str(&reply.body).unwrap();
    let ids = list["list"].as_array().unwrap().iter();
    let ids = ids.map(|entry| {
        entry["key"]
            .as_str()
            .unwrap()
            .replace("/apisix/routes/", "")
    });
    (ids.collect(), list["total"].as_u64().unwrap())
}

async fn check(gateway: &Gateway, cases: &[(&str, &[&str], u64)]) {
    for (query, ids, total) in cases {
        let (found, found_total) = listed(gateway, query).await;
        assert_eq!(
            (found, found_total),
            (ids.iter().map(|id| (*id).to_owned()).collect(), *total),
            "{query}"
        );
    }
}

#[tokio::test]
async fn lists_by_key_and_pages_by_age() {
    let gateway = Gateway::start().await;
    for id in ["11", "2", "10", "1", "3", "4", "5", "6", "7", "8", "9"] {
        gateway.store.seed(&format!("routes/{id}"), "{}");
    }
    // Other kinds, and objects inside objects.
    gateway.store.seed("routes_of_another_kind/1", "{}");
    gateway.store.seed("routes/1/inner/2", "{}");
    let by_key = ["1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"];
    let by_age = ["11", "2", "10", "1", "3", "4", "5", "6", "7", "8"];
    check(
        &gateway,
        &[
            ("", &by_key, 11),
            ("page=1&page_size=10", &by_age, 11),
            ("page=2&page_size=10", &["9"], 11),
            ("page=3&page_size=10", &[], 11),
            ("page=-1&page_size=10", &by_age, 11),
            ("page=1", &by_key, 11),
            ("page_size=10", &by_key, 11),
            ("page=x&page_size=10", &by_key, 11),
            ("page=1&page_size=x", &by_key, 11),
        ],
    )
    .await;
    for query in [
        "page=1&page_size=2",
        "page=1&page_size=9.99",
        "page=1&page_size=501",
        "page=0&page_size=0",
    ] {
        let reply = gateway
            .ask(&format!("GET /apisix/admin/routes/?{query}"), "")
            .await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (400, "page_size must be between 10 and 500"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn filters_by_name_uri_label_and_reference() {
    let gateway = Gateway::start().await;
    for (id, value) in [
        (
            "1",
            json!({"name": "alpha", "uri": "/hello", "labels": {"env": "production"}, "service_id": "1"}),
        ),
        (
            "2",
            json!({"name": "beta", "uris": ["/world", "/hello2"], "labels": {"build": "16"}, "upstream_id": "1"}),
        ),
        (
            "3",
            json!({"uri": "/foo", "uris": [], "service_id": 1, "upstream_id": "1"}),
        ),
        (
            "4",
            json!({"name": 5, "uri": "/x.y", "labels": ["a"], "service_id": "1", "upstream_id": "2"}),
        ),
    ] {
        gateway
            .store
            .seed(&format!("routes/{id}"), &value.to_string());
    }
    gateway.store.seed("routes/5", "init_dir");
    check(
        &gateway,
        &[
            ("name=alpha", &["1"], 1),
            ("name=a", &["1", "2"], 2),
            ("name=^.{4}$", &["2"], 1),
            ("name=ALPHA", &[], 0),
            ("name=(?i)ALPHA", &["1"], 1),
            ("name=5", &["4"], 1),
            // An object without a name has the name `nil`.
            ("name=nil", &["3"], 1),
            ("name=", &["1", "2", "3", "4"], 4),
            // A pattern that is none finds nothing.
            ("name=(", &[], 0),
            ("uri=hello", &["1", "2"], 2),
            ("uri=world", &["2"], 1),
            ("uri=/x\\.y", &["4"], 1),
            ("uri=o$", &["1", "3"], 2),
            ("label=env", &["1"], 1),
            ("label=production", &[], 0),
            ("label=", &[], 0),
            ("uri=hello&label=env", &["1"], 1),
            ("name=beta&label=env", &[], 0),
            ("filter=service_id%3D1", &["1", "4"], 2),
            ("filter=upstream_id%3D1", &["2", "3"], 2),
            ("filter=service_id%3D1%26upstream_id%3D2", &["4"], 1),
            ("filter=service_id%3D2%26service_id%3D1", &["1", "4"], 2),
            ("filter=service_id", &[], 0),
            ("filter=unknown%3D1", &["1", "2", "3", "4", "5"], 5),
            ("filter=unknown%3D1%26upstream_id%3D2", &["4"], 1),
            ("filter=", &["1", "2", "3", "4", "5"], 5),
            ("filter=service_id%3D1&page=1&page_size=10", &["1", "4"], 2),
        ],
    )
    .await;
}

#[tokio::test]
async fn counts_after_filtering_and_cuts_after_counting() {
    let gateway = Gateway::start().await;
    for id in 1..=24 {
        let value = json!({"name": if id % 2 == 0 { "even" } else { "odd" }});
        gateway
            .store
            .seed(&format!("routes/{id:02}"), &value.to_string());
    }
    check(
        &gateway,
        &[("name=even&page=2&page_size=10", &["22", "24"], 12)],
    )
    .await;
}

#[tokio::test]
async fn filters_other_kinds_by_their_own_fields() {
    let gateway = Gateway::start().await;
    gateway.store.seed("services/1", r#"{"upstream_id": "1"}"#);
    let reply = gateway
        .ask("GET /apisix/admin/services?filter=upstream_id%3D2", "")
        .await;
    let list: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        list["total"], 1,
        "services cannot be filtered by a reference"
    );
}
