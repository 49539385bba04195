//! References between objects, on write and on removal.

use serde_json::json;

use crate::gateway::Gateway;

#[tokio::test]
async fn refuses_references_that_lead_nowhere() {
    let gateway = Gateway::start().await;
    gateway.store.seed("ssls/server", r#"{"type": "server"}"#);
    gateway.store.seed("ssls/old", "{}");
    gateway.store.seed("ssls/client", r#"{"type": "client"}"#);
    let route = |field: &str, id: serde_json::Value| json!({"uri": "/", "plugins": {}, field: id});
    let upstream = |id: &str| json!({"nodes": {}, "tls": {"client_cert_id": id}});
    gateway
        .check_refusals(&[
            (
                "PUT routes/1",
                route("upstream_id", json!("9")),
                "failed to fetch upstream info by upstream id [9], response code: 404",
            ),
            (
                "POST routes",
                route("service_id", json!(99_999_999_999_999_u64)),
                "failed to fetch service info by service id [99999999999999], response code: 404",
            ),
            (
                "PUT routes/1",
                route("plugin_config_id", json!("not_found")),
                "failed to fetch plugin config info by plugin config id [not_found], response code: 404",
            ),
            (
                "PUT services/1",
                json!({"upstream_id": "x"}),
                "failed to fetch upstream info by upstream id [x], response code: 404",
            ),
            (
                "PUT upstreams/1",
                upstream("none"),
                "failed to fetch ssl info by ssl id [none], response code: 404",
            ),
            ("PUT upstreams/1", upstream("server"), "failed to fetch ssl info by ssl id [server], wrong ssl type"),
            ("PUT upstreams/1", upstream("old"), "failed to fetch ssl info by ssl id [old], wrong ssl type"),
            (
                "PUT services/1",
                json!({"upstream": upstream("none")}),
                "failed to fetch ssl info by ssl id [none], response code: 404",
            ),
            (
                "PUT routes/1",
                json!({"uri": "/", "upstream": upstream("none")}),
                "failed to fetch ssl info by ssl id [none], response code: 404",
            ),
        ])
        .await;
    for (key, value) in [
        ("upstreams/1", "{}"),
        ("services/1", "{}"),
        ("plugin_configs/p", "{}"),
    ] {
        gateway.store.seed(key, value);
    }
    let whole = json!({"uri": "/", "upstream_id": 1, "service_id": "1", "plugin_config_id": "p"});
    for (request, body) in [
        ("PUT routes/1", whole),
        ("PUT upstreams/2", upstream("client")),
    ] {
        let (method, path) = request.split_once(' ').unwrap();
        let reply = gateway
            .ask(&format!("{method} /apisix/admin/{path}"), &body.to_string())
            .await;
        assert_eq!(reply.status, 201, "{}", reply.body);
    }
}

#[tokio::test]
async fn keeps_upstreams_that_are_in_use() {
    let split = json!({"plugins": {"traffic-split": {"rules": [
        {"match": []},
        {"weighted_upstreams": [{"weight": 1}, {"upstream_id": 1, "weight": 1}]},
    ]}}});
    let message =
        |user: &str| format!("can not delete this upstream, {user} is still using it now");
    for (key, value, user) in [
        ("routes/r", json!({"upstream_id": "1"}), "route [r]"),
        (
            "routes/r",
            json!({"upstream_id": 1, "id": "other"}),
            "route [r]",
        ),
        ("services/s", json!({"upstream_id": 1}), "service [s]"),
        ("routes/r", split.clone(), "plugin in route [r]"),
        ("services/s", split.clone(), "plugin in service [s]"),
        (
            "plugin_configs/p",
            split.clone(),
            "plugin in plugin_config [p]",
        ),
        ("consumers/c", split.clone(), "plugin in consumer [c]"),
        (
            "consumer_groups/g",
            split.clone(),
            "plugin in consumer_group [g]",
        ),
        (
            "global_rules/g",
            split.clone(),
            "plugin in global_rules [g]",
        ),
    ] {
        let gateway = Gateway::start().await;
        gateway.store.seed("upstreams/1", "{}");
        // Neighbours that use nothing, or something else, or cannot be read.
        gateway.store.seed("routes/broken", "init_dir");
        gateway
            .store
            .seed("routes/odd", r#"{"plugins": [], "upstream_id": null}"#);
        gateway
            .store
            .seed("routes/a", r#"{"upstream_id": "11", "service_id": "1"}"#);
        gateway.store.seed(
            "services/s/graphql_cost_decorations/1",
            r#"{"upstream_id": "1"}"#,
        );
        gateway.store.seed(key, &value.to_string());
        for request in [
            "DELETE upstreams/1",
            "DELETE upstreams/1?force=anyvalue",
            "DELETE upstreams/1?force",
        ] {
            gateway
                .check_refusals(&[(request, json!(""), &message(user))])
                .await;
        }
        let deleted = json!({"key": "/apisix/upstreams/1", "deleted": "1"});
        gateway
            .check(&[("DELETE upstreams/1?force=true", json!(""), 200, deleted)])
            .await;
    }
}

#[tokio::test]
async fn keeps_services_that_are_in_use() {
    for (key, words) in [
        ("routes/r", "route [r]"),
        ("stream_routes/t", "stream_route [t]"),
    ] {
        let gateway = Gateway::start().await;
        gateway.store.seed("services/1", "{}");
        gateway
            .store
            .seed("routes/a", r#"{"service_id": "2", "upstream_id": "1"}"#);
        gateway.store.seed(key, r#"{"service_id": 1}"#);
        let message =
            format!("can not delete this service directly, {words} is still using it now");
        gateway
            .check_refusals(&[("DELETE services/1", json!(""), &message)])
            .await;
        let deleted = json!({"key": "/apisix/services/1", "deleted": "1"});
        gateway
            .check(&[("DELETE services/1?force=true", json!(""), 200, deleted)])
            .await;
    }
}

#[tokio::test]
async fn lets_go_of_what_nobody_uses() {
    let gateway = Gateway::start().await;
    for key in ["routes/1", "services/1", "upstreams/1"] {
        gateway.store.seed(key, r#"{"plugins": {"traffic-split": {"rules": [{"weighted_upstreams": [{"upstream_id": "2"}]}]}}}"#);
        let deleted = json!({"key": format!("/apisix/{key}"), "deleted": "1"});
        let request = format!("DELETE {key}");
        gateway.check(&[(&request, json!(""), 200, deleted)]).await;
    }
    let gone = json!({"message": "Key not found"});
    gateway
        .check(&[("DELETE upstreams/1", json!(""), 404, gone)])
        .await;
}
