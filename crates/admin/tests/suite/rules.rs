//! What a schema cannot say of routes, services and upstreams.

use lockgate_admin::Environment;
use serde_json::{Value, json};

use crate::gateway::Gateway;

/// A PEM block long enough for the schema. What is inside is a DER sequence of zeros.
pub(crate) fn pem(label: &str) -> String {
    let der = format!("MIGQ{}", "A".repeat(196 - 4));
    format!("-----BEGIN {label}-----\n{der}\n-----END {label}-----\n")
}

#[tokio::test]
async fn checks_routes() {
    let gateway = Gateway::start().await;
    let route = |fields: Value| {
        let mut route = json!({"uri": "/", "plugins": {}});
        let all = route.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        route
    };
    let vars = |why: &str| format!("failed to validate the 'vars' expression: {why}");
    let chunk = |why: &str| format!("failed to load 'filter_func' string: [string \"return {why}");
    for (fields, message) in [
        (json!({"host": "a", "hosts": ["b"]}), "only one of host or hosts is allowed".to_owned()),
        (json!({"host": null, "hosts": ["b"]}), "only one of host or hosts is allowed".to_owned()),
        (
            json!({"remote_addr": "1.1.1.1", "remote_addrs": ["1.1.1.1"]}),
            "only one of remote_addr or remote_addrs is allowed".to_owned(),
        ),
        (
            json!({"remote_addr": "127.0.0.33333"}),
            "invalid configuration: property \"remote_addr\" validation failed: object matches none of the required".to_owned(),
        ),
        (
            json!({"uris": ["/"]}),
            "invalid configuration: allOf 1 failed: value should match only one schema, but matches both schemas 1 and 2".to_owned(),
        ),
        (json!({"script": "return {}  "}), "invalid configuration: value wasn't supposed to match schema".to_owned()),
        (json!({"vars": [["remote_addr", "=", "127.0.0.1"]]}), vars("invalid operator '='")),
        (json!({"vars": ["a"]}), vars("rule should be wrapped inside brackets")),
        (
            json!({"vars": [[["post_arg.messages[.content[*].type", "has", "image_url"]]]}),
            vars("invalid expression \"$.messages[.content[*].type\" near \"[.content[*].type\""),
        ),
        (json!({"filter_func": "function(vars) "}), chunk("function(vars) \"]:1: 'end' expected near '<eof>'")),
        (json!({"filter_func": "functional"}), "'filter_func' should be a function".to_owned()),
        (json!({"plugins": {"no-such-plugin": {}}}), "unknown plugin [no-such-plugin]".to_owned()),
        (
            json!({"plugins": {"no-such-plugin": "x"}}),
            "invalid plugin conf \"x\" for plugin [no-such-plugin]".to_owned(),
        ),
        (
            json!({"upstream": {"nodes": {"a:80": 1}, "type": "chash"}}),
            "missing key".to_owned(),
        ),
        (json!({"create_time": 1}), "the property is forbidden:  create_time".to_owned()),
        (
            json!({"upstream": {"nodes": {}, "update_time": 1}}),
            "the property is forbidden:  upstream.update_time".to_owned(),
        ),
    ] {
        gateway.check_refusals(&[("PUT routes/1", route(fields), &message)]).await;
    }
    for fields in [
        json!({"vars": []}),
        json!({"vars": {}}),
        json!({"vars": [["arg_name", "==", "json"], ["arg_age", ">", 18]]}),
        json!({"vars": [[["post_arg.messages[*].content[*].type", "has", "image_url"]]]}),
        json!({"filter_func": "function(vars) return vars.arg_name == 'json' end"}),
        json!({"remote_addrs": ["::1/16", "::1", "::", "1.1.1.1", "1.1.1.1/32"]}),
        json!({"hosts": ["foo.com", "*.bar.com"], "labels": {"您好": "世界"}}),
        json!({"upstream": {"nodes": {"a:80": 1}, "type": "chash", "hash_on": "consumer"}}),
    ] {
        let reply = gateway
            .ask(
                "PUT /apisix/admin/routes/1",
                &route(fields.clone()).to_string(),
            )
            .await;
        assert!(reply.status < 300, "{fields}: {}", reply.body);
    }
}

#[tokio::test]
async fn checks_services() {
    let gateway = Gateway::start().await;
    gateway
        .check_refusals(&[
            ("PUT services/1", json!(""), "missing configurations"),
            ("POST services", json!(""), "missing configurations"),
            ("PUT services/1", json!({"plugins": {"x": {}}}), "unknown plugin [x]"),
            ("PUT services/1", json!({"plugins": {"x": [1]}}), "unknown plugin [x]"),
            ("PUT services/1", json!({"plugins": {"x": null}}), "invalid plugin conf null for plugin [x]"),
            (
                "PUT services/1",
                json!({"script": "aaaaaaaaaa"}),
                "failed to load 'script' string: [string \"aaaaaaaaaa\"]:1: '=' expected near '<eof>'",
            ),
            ("PUT services/1", json!({"script": "local x = 1"}), "'script' should be a Lua object"),
            ("PUT services/1", json!({"script": "return 'text'"}), "'script' should be a Lua object"),
            (
                "PUT services/1",
                json!({"upstream": {"nodes": {"a:80": 1}, "pass_host": "rewrite"}}),
                "`upstream_host` can't be empty when `pass_host` is `rewrite`",
            ),
            (
                "PUT services/1",
                json!({"name": "1".repeat(257)}),
                "invalid configuration: property \"name\" validation failed: string too long, expected at most 256, got 257",
            ),
        ])
        .await;
    for body in [
        json!({}),
        json!({"script": "local M = {} return M"}),
        json!({"hosts": ["a.b"], "plugins": {}}),
    ] {
        let reply = gateway
            .ask("PUT /apisix/admin/services/1", &body.to_string())
            .await;
        assert!(reply.status < 300, "{body}: {}", reply.body);
    }
}

#[tokio::test]
async fn checks_upstreams() {
    let gateway = Gateway::start().await;
    let chash = |fields: Value| {
        let mut upstream = json!({"nodes": {"a:80": 1}, "type": "chash"});
        upstream
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        upstream
    };
    let tls = |certificate: &str, key: &str| json!({"nodes": {}, "tls": {"client_cert": certificate, "client_key": key}});
    let (certificate, key) = (pem("CERTIFICATE"), pem("PRIVATE KEY"));
    let junk = "a".repeat(256);
    gateway
        .check_refusals(&[
            (
                "PUT upstreams/1",
                json!({"nodes": [{"host": "::1", "port": 80, "weight": 1}]}),
                "invalid configuration: IPv6 address must be enclosed with '[' and ']'",
            ),
            // Said before anything the schema would say.
            (
                "PUT upstreams/1",
                json!({"nodes": [{"host": "::1"}], "no_such_field": 1}),
                "invalid configuration: IPv6 address must be enclosed with '[' and ']'",
            ),
            ("PUT upstreams/1", json!({"nodes": {"a:0": 1}}), "invalid port 0"),
            ("PUT upstreams/1", json!({"nodes": {"a:65536": 1}}), "invalid port 65536"),
            ("PUT upstreams/1", json!({"nodes": {"[::1]:70000": 1}}), "invalid port 70000"),
            (
                "PUT upstreams/1",
                json!({"nodes": {}, "pass_host": "rewrite"}),
                "`upstream_host` can't be empty when `pass_host` is `rewrite`",
            ),
            (
                "PUT upstreams/1",
                json!({"nodes": {}, "retries": -1}),
                "invalid configuration: property \"retries\" validation failed: expected -1 to be at least 0",
            ),
            ("PUT upstreams/1", chash(json!({})), "missing key"),
            ("PUT upstreams/1", chash(json!({"hash_on": "header"})), "missing key"),
            ("PUT upstreams/1", chash(json!({"hash_on": "cookie"})), "missing key"),
            ("PUT upstreams/1", chash(json!({"hash_on": "vars_combinations"})), "missing key"),
            (
                "PUT upstreams/1",
                chash(json!({"key": "not_support"})),
                "invalid configuration: failed to match pattern \"^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$\" with \"not_support\"",
            ),
            (
                "PUT upstreams/1",
                chash(json!({"hash_on": "header", "key": "$#^@"})),
                "invalid configuration: failed to match pattern \"^[a-zA-Z0-9-_]+$\" with \"$#^@\"",
            ),
            (
                "PUT upstreams/1",
                chash(json!({"hash_on": "cookie", "key": "$#^@abc"})),
                "invalid configuration: failed to match pattern \"^[a-zA-Z0-9-_]+$\" with \"$#^@abc\"",
            ),
            ("PUT upstreams/1", tls(&junk, &key), "failed to parse cert: PEM_read_bio_X509_AUX() failed"),
            (
                "PUT upstreams/1",
                tls(&certificate, &format!("---{junk}")),
                "failed to parse key: PEM_read_bio_PrivateKey() failed",
            ),
            ("PUT upstreams/1", tls(&certificate, &"?".repeat(64)), "failed to decrypt previous encrypted key"),
            ("PUT upstreams/1", tls(&certificate, &junk), "failed to decrypt previous encrypted key"),
            ("PUT upstreams/1", tls(&key, &key), "failed to parse cert: PEM_read_bio_X509_AUX() failed"),
        ])
        .await;
    for body in [
        json!({"nodes": {"a": 1, "a:80": 1, "[::1]:80": 1, "::1": 1, "a:x": 1}}),
        json!({"nodes": [{"host": "[::1]", "weight": 1}]}),
        chash(json!({"key": "arg_x"})),
        chash(json!({"hash_on": "header", "key": "x-user"})),
        chash(json!({"hash_on": "vars_combinations", "key": "$uri$remote_addr"})),
        chash(json!({"hash_on": "consumer"})),
        json!({"nodes": {"a:80": 1}, "pass_host": "rewrite", "upstream_host": "b.c"}),
        tls(&certificate, &key),
        tls(&certificate, &Environment::default().keyring.encrypt(&key)),
    ] {
        let reply = gateway
            .ask("PUT /apisix/admin/upstreams/1", &body.to_string())
            .await;
        assert!(reply.status < 300, "{body}: {}", reply.body);
    }
}
