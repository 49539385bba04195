//! Routes of TCP and UDP connections.

use lockgate_admin::Environment;
use serde_json::{Value, json};

use crate::gateway::Gateway;

fn stream() -> Environment {
    Environment {
        has_stream_mode: true,
        ..Environment::default()
    }
}

#[tokio::test]
async fn needs_stream_mode() {
    let gateway = Gateway::start().await;
    let message = "stream mode is disabled, can not add stream routes";
    for request in [
        "GET stream_routes",
        "PUT stream_routes/1",
        "POST none/stream_routes",
    ] {
        if request.contains("none") {
            let answer = json!({"error_msg": "Unsupported resource type: none"});
            gateway.check(&[(request, json!({}), 404, answer)]).await;
        } else {
            gateway
                .check_refusals(&[(request, json!({}), message)])
                .await;
        }
    }
}

#[tokio::test]
async fn checks_stream_routes() {
    let gateway = Gateway::start_in(stream()).await;
    let value = json!({"server_port": 1, "id": "1", "create_time": 1000, "update_time": 1000});
    gateway
        .check(&[
            (
                "PUT stream_routes/1",
                json!({"server_port": 1}),
                201,
                json!({"key": "/apisix/stream_routes/1", "value": value}),
            ),
            (
                "PATCH stream_routes/1",
                json!({}),
                405,
                json!({"error_msg": "not supported `PATCH` method for stream route"}),
            ),
        ])
        .await;
    gateway
        .store
        .seed("stream_routes/9", r#"{"protocol": {"name": "redis"}}"#);
    gateway.store.seed(
        "stream_routes/8",
        r#"{"protocol": {"name": "redis", "superior_id": 1}}"#,
    );
    let with = |protocol: Value| json!({ "protocol": protocol });
    gateway
        .check_refusals(&[
            ("PUT stream_routes/2", json!({"plugins": {"cors": {}}}), "unknown plugin [cors]"),
            (
                "PUT stream_routes/2",
                json!({"plugins": {"mqtt-proxy": {}}}),
                "failed to check the configuration of stream plugin [mqtt-proxy]: property \"protocol_level\" is required",
            ),
            ("PUT stream_routes/2", json!({"plugins": {"mqtt-proxy": 1}}), "invalid plugin conf 1 for plugin [mqtt-proxy]"),
            ("PUT stream_routes/2", json!({"remote_addr": "::ffff:1.2.3.4.5"}), "invalid configuration: property \"remote_addr\" validation failed: object matches none of the required"),
            ("PUT stream_routes/2", json!({"upstream_id": "u"}), "failed to fetch upstream info by upstream id [u], response code: 404"),
            ("PUT stream_routes/2", json!({"service_id": "s"}), "failed to fetch service info by service id [s], response code: 404"),
            ("PUT stream_routes/2", with(json!({"name": "redis"})), "unknown protocol [redis]"),
            ("PUT stream_routes/2", with(json!({"name": "a", "superior_id": 2})), "stream route can not set itself as superior_id"),
            ("PUT stream_routes/2", with(json!({"name": "a", "superior_id": "7"})), "failed to fetch stream routes[7], response code: 404"),
            (
                "PUT stream_routes/2",
                with(json!({"name": "dubbo", "superior_id": "9"})),
                "protocol mismatch: subordinate protocol [dubbo] does not match superior protocol [redis]",
            ),
            (
                "DELETE stream_routes/1",
                json!(""),
                "can not delete this stream route directly, stream route [8] is still using it as superior_id",
            ),
        ])
        .await;
    let reply = gateway
        .ask(
            "PUT /apisix/admin/stream_routes/2",
            &json!({"plugins": {"ip-restriction": {"whitelist": ["127.0.0.1"]}, "mqtt-proxy": {"_meta": {"disable": true}}}}).to_string(),
        )
        .await;
    assert!(reply.status < 300, "{}", reply.body);
}
