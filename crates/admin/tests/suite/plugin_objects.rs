//! Objects that are about plugins: shared configurations, global rules, metadata, protos, costs of GraphQL fields.

use serde_json::{Value, json};

use crate::gateway::Gateway;

fn unsupported(method: &str, words: &str) -> Value {
    json!({"error_msg": format!("not supported `{method}` method for {words}")})
}

#[tokio::test]
async fn plugin_configurations_are_kept_while_they_are_used() {
    let gateway = Gateway::start().await;
    let value =
        json!({"plugins": {"cors": {}}, "id": "1", "create_time": 1000, "update_time": 1000});
    let mut patched = value.clone();
    patched["desc"] = json!("x");
    gateway.store.seed("routes/r", r#"{"plugin_config_id": 1}"#);
    gateway
        .check(&[
            (
                "POST plugin_configs",
                json!({}),
                405,
                unsupported("POST", "plugin config"),
            ),
            (
                "PUT plugin_configs/1",
                json!({"plugins": {"cors": {}}}),
                201,
                json!({"key": "/apisix/plugin_configs/1", "value": value}),
            ),
            (
                "PATCH plugin_configs/1",
                json!({"desc": "x"}),
                200,
                json!({"key": "/apisix/plugin_configs/1", "value": patched}),
            ),
        ])
        .await;
    gateway
        .check_refusals(&[
            (
                "DELETE plugin_configs/1",
                json!(""),
                "can not delete this plugin config, route [r] is still using it now",
            ),
            (
                "PUT plugin_configs/2",
                json!({"plugins": {"mocking": {"content_type": "a/b"}}}),
                "failed to check the configuration of plugin mocking err: object matches none of the required: [\"response_example\"] or [\"response_schema\"]",
            ),
        ])
        .await;
}

#[tokio::test]
async fn a_plugin_is_in_one_global_rule() {
    let gateway = Gateway::start().await;
    let put = |id: &str, plugins: Value| {
        (
            format!("PUT global_rules/{id}"),
            json!({"plugins": plugins}),
        )
    };
    for (id, plugins, conflict) in [
        ("1", json!({"cors": {}, "gzip": {}}), None),
        ("1", json!({"cors": {}}), None),
        ("2", json!({"gzip": {}}), None),
        (
            "2",
            json!({"gzip": {}, "cors": {}}),
            Some("plugin 'cors' already exists in global rule with id '1'"),
        ),
        ("3", json!({}), None),
    ] {
        let (request, body) = put(id, plugins);
        if let Some(conflict) = conflict {
            gateway.check_refusals(&[(&request, body, conflict)]).await;
            continue;
        }
        let request = request.replace("PUT ", "PUT /apisix/admin/");
        let reply = gateway.ask(&request, &body.to_string()).await;
        assert!(reply.status < 300, "{request} {body}: {}", reply.body);
    }
    let answer = unsupported("POST", "global rule");
    gateway
        .check(&[("POST global_rules", json!({}), 405, answer)])
        .await;
}

#[tokio::test]
async fn metadata_is_kept_by_the_name_of_its_plugin() {
    let gateway = Gateway::start().await;
    let value = json!({"ikey": 1, "skey": "s", "id": "example-plugin"});
    let written = json!({"key": "/apisix/plugin_metadata/example-plugin", "value": value});
    let path = "plugin_metadata/example-plugin";
    let body = json!({"ikey": 1, "skey": "s"});
    gateway
        .check(&[
            (&format!("PUT {path}"), body.clone(), 201, written.clone()),
            (&format!("PUT {path}"), body, 200, written.clone()),
            (&format!("PATCH {path}"), json!({}), 405, unsupported("PATCH", "plugin_metadata")),
            ("POST plugin_metadata", json!({}), 405, unsupported("POST", "plugin_metadata")),
            (
                &format!("GET {path}"),
                json!(""),
                200,
                json!({"key": written["key"], "value": value, "createdIndex": 1, "modifiedIndex": 2}),
            ),
            // A plugin without a schema of its metadata takes any.
            (
                "PUT plugin_metadata/key-auth",
                json!({"a": 1}),
                201,
                json!({"key": "/apisix/plugin_metadata/key-auth", "value": {"a": 1, "id": "key-auth"}}),
            ),
            (
                &format!("DELETE {path}"),
                json!(""),
                200,
                json!({"key": written["key"], "deleted": "1"}),
            ),
        ])
        .await;
    gateway
        .check_refusals(&[
            ("PUT plugin_metadata", json!({}), "missing plugin name"),
            ("PUT plugin_metadata/none", json!({}), "invalid plugin name"),
            (
                "PUT plugin_metadata/cors",
                json!(""),
                "missing configurations",
            ),
            (
                "DELETE plugin_metadata",
                json!(""),
                "missing plugin_metadata id",
            ),
            (
                &format!("PUT {path}"),
                json!({"skey": "s"}),
                "invalid configuration: property \"ikey\" is required",
            ),
        ])
        .await;
}

#[tokio::test]
async fn protos_are_read_and_kept_while_they_are_used() {
    let gateway = Gateway::start().await;
    let content = "syntax = \"proto3\"; package p; message M { string a = 1; } service S { rpc C (M) returns (M) {} }";
    let value = json!({"content": content, "id": "1", "create_time": 1000, "update_time": 1000});
    gateway.store.seed(
        "services/s",
        r#"{"plugins": {"grpc-transcode": {"proto_id": 1}}}"#,
    );
    gateway
        .check(&[
            (
                "PUT protos/1",
                json!({"content": content}),
                201,
                json!({"key": "/apisix/protos/1", "value": value}),
            ),
            (
                "PATCH protos/1",
                json!({}),
                405,
                unsupported("PATCH", "proto"),
            ),
        ])
        .await;
    gateway
        .check_refusals(&[
            (
                "PUT protos/1",
                json!({"content": "a"}),
                "invalid content: 1:2: unexpected 'a'",
            ),
            (
                "DELETE protos/1",
                json!(""),
                "can not delete this proto, service [s] is still using it now",
            ),
        ])
        .await;
    gateway.store.seed(
        "routes/r",
        r#"{"plugins": {"grpc-transcode": {"proto_id": "1"}}}"#,
    );
    gateway
        .check_refusals(&[(
            "DELETE protos/1",
            json!(""),
            "can not delete this proto, route [r] is still using it now",
        )])
        .await;
}

#[tokio::test]
async fn costs_of_fields_belong_to_a_service() {
    let gateway = Gateway::start().await;
    let path = "services/shop/graphql_cost_decorations";
    let value = |id: &str| {
        json!({
            "field_path": "Query.products",
            "service_id": "shop",
            "id": id,
            "create_time": 1000,
            "update_time": 1000,
        })
    };
    let body = json!({"field_path": "Query.products"});
    let key = format!("/apisix/{path}/d1");
    let mut patched = value("d1");
    patched["mul_value"] = json!(2);
    let missing = json!({"message": "Key not found"});
    gateway
        .check(&[(
            &format!("PUT {path}/d1"),
            body.clone(),
            404,
            json!({"error_msg": "service not found"}),
        )])
        .await;
    gateway.store.seed("services/shop", "{}");
    gateway
        .check(&[
            (&format!("GET {path}"), json!(""), 404, missing.clone()),
            (
                &format!("PUT {path}/d1"),
                body.clone(),
                201,
                json!({"key": key, "value": value("d1")}),
            ),
            (
                &format!("PUT {path}/d1"),
                body.clone(),
                200,
                json!({"key": key, "value": value("d1")}),
            ),
            (
                &format!("PATCH {path}/d1"),
                json!({"mul_value": 2}),
                200,
                json!({"key": key, "value": patched}),
            ),
            (
                &format!("GET {path}/d1"),
                json!(""),
                200,
                json!({"key": key, "value": patched, "createdIndex": 2, "modifiedIndex": 4}),
            ),
        ])
        .await;
    gateway
        .check_refusals(&[
            (
                &format!("PUT {path}/d2"),
                json!({"field_path": "a", "service_id": "other"}),
                "wrong service_id, it is taken from the path",
            ),
            (
                &format!("PUT {path}/d2"),
                body.clone(),
                "field_path Query.products is already decorated on this service by [d1]",
            ),
            (
                &format!("POST {path}"),
                body.clone(),
                "field_path Query.products is already decorated on this service by [d1]",
            ),
            (
                &format!("PATCH {path}/d1"),
                json!({"service_id": "shop"}),
                "service_id can not be patched",
            ),
            (
                &format!("PUT {path}/d2"),
                json!([]),
                "invalid configuration",
            ),
            (
                &format!("PUT {path}"),
                json!({"field_path": "a"}),
                "missing graphql cost decoration id",
            ),
            (
                &format!("PUT {path}/d2"),
                json!({}),
                "invalid configuration: property \"field_path\" is required",
            ),
            (
                "PUT graphql_cost_decorations/d2",
                json!({}),
                "missing service id",
            ),
        ])
        .await;
    let made = gateway
        .ask(
            &format!("POST /apisix/admin/{path}"),
            r#"{"field_path": "b"}"#,
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let deleted = json!({"key": "/apisix/services/shop", "deleted": "1"});
    gateway
        .check(&[
            ("DELETE services/shop", json!(""), 200, deleted),
            (&format!("GET {path}/d1"), json!(""), 404, missing),
        ])
        .await;
}

#[tokio::test]
async fn a_new_service_has_no_costs_of_an_older_one() {
    let gateway = Gateway::start().await;
    let left = "services/shop/graphql_cost_decorations/d1";
    for (body, is_kept) in [("[]", true), ("{}", false)] {
        gateway.store.seed(left, "{}");
        gateway.ask("PUT /apisix/admin/services/shop", body).await;
        assert_eq!(gateway.store.value(left).is_some(), is_kept, "{body}");
    }
}
