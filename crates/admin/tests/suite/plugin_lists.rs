//! Which plugins the lists of `config.yaml` switch on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use lockgate_admin::{PluginLists, Plugins};
use serde_json::{Value, json};

use crate::gateway::Gateway;

fn lists(http: &[&str], stream: &[&str]) -> PluginLists {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    PluginLists {
        http: owned(http),
        stream: owned(stream),
    }
}

#[tokio::test]
async fn objects_may_name_what_is_on_alone() {
    let plugins = Plugins::new(lists(&["server-info", "cors", "none"], &["prometheus"]));
    let gateway = Gateway::start_knowing(plugins, &[]).await;
    let missing = |subsystem: &str| json!({"error_msg": format!("plugin not found in subsystem {subsystem}")});
    let route = |plugin: &str| json!({"uri": "/", "plugins": {plugin: {}}});
    gateway
        .check(&[
            (
                "GET plugins/list",
                json!(""),
                200,
                json!(["cors", "server-info"]),
            ),
            (
                "GET plugins/list?subsystem=stream",
                json!(""),
                200,
                json!(["prometheus"]),
            ),
            ("GET plugins/gzip", json!(""), 404, missing("http")),
            ("GET schema/plugins/gzip", json!(""), 404, missing("http")),
            (
                "GET plugins/syslog?subsystem=stream",
                json!(""),
                404,
                missing("stream"),
            ),
        ])
        .await;
    gateway
        .check_refusals(&[
            ("PUT routes/1", route("gzip"), "unknown plugin [gzip]"),
            ("PUT routes/1", route("none"), "unknown plugin [none]"),
            ("PUT plugin_metadata/none", json!({}), "invalid plugin name"),
            (
                "PUT plugin_metadata/http-logger",
                json!({"log_format": 1}),
                "invalid configuration: property \"log_format\" validation failed: wrong type: expected object, got number",
            ),
        ])
        .await;
    // Metadata may be there before its plugin is switched on.
    for (request, body) in [
        ("PUT /apisix/admin/routes/1", route("server-info")),
        ("PUT /apisix/admin/plugin_metadata/gzip", json!({})),
    ] {
        let reply = gateway.ask(request, &body.to_string()).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
    }
    assert!(
        gateway.store.value("plugins").is_none(),
        "nobody has stored a list"
    );
}

#[tokio::test]
async fn every_plugin_can_be_switched_on_and_shows_its_schema() {
    let off = [
        ("exit-transformer", 22950),
        ("skywalking", 12010),
        ("opentelemetry", 12009),
        ("batch-requests", 4010),
        ("error-log-logger", 1091),
        ("node-status", 1000),
        ("brotli", 996),
        ("server-info", 990),
        ("dubbo-proxy", 507),
        ("error-page", 450),
        ("log-rotate", 100),
        ("gm", -43),
        ("ocsp-stapling", -44),
    ];
    let names: Vec<&str> = off.iter().map(|(name, _)| *name).collect();
    let gateway = Gateway::start_knowing(Plugins::new(lists(&names, &[])), &[]).await;
    let reply = gateway.ask("GET /apisix/admin/plugins?all=true", "").await;
    let all: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(all.as_object().unwrap().len(), off.len());
    let mut global = Vec::new();
    for (name, priority) in off {
        let about = &all[name];
        assert_eq!(about["priority"], json!(priority), "{name}");
        assert_eq!(about["version"], json!(0.1), "{name}");
        assert!(about["schema"]["properties"]["_meta"].is_object(), "{name}");
        if about["scope"] == "global" {
            global.push(name);
        }
    }
    assert_eq!(
        global,
        [
            "batch-requests",
            "error-log-logger",
            "node-status",
            "server-info",
            "log-rotate"
        ]
    );
    let plugins = |config: Value| json!({"uri": "/", "plugins": config});
    gateway
        .check_refusals(&[
            (
                "PUT routes/1",
                plugins(json!({"exit-transformer": {"functions": ["return ("]}})),
                "failed to check the configuration of plugin exit-transformer err: \
                 [string \"return (\"]:1: unexpected symbol near '<eof>'",
            ),
            (
                "PUT routes/1",
                plugins(json!({"brotli": {"comp_level": 12}})),
                "failed to check the configuration of plugin brotli err: property \"comp_level\" validation failed: \
                 expected 12 to be at most 11",
            ),
            (
                "PUT plugin_metadata/error-log-logger",
                json!({}),
                "invalid configuration: value should match only one schema, but matches none",
            ),
        ])
        .await;
}

/// As `init` of the plugin has it.
#[tokio::test]
async fn ocsp_stapling_gives_certificates_a_field() {
    let long = "x".repeat(128);
    let ssl =
        json!({"sni": "a.test", "cert": long, "key": long, "ocsp_stapling": {"cache_ttl": 59}});
    for (plugin, expected) in [
        (
            "cors",
            "additional properties forbidden, found ocsp_stapling",
        ),
        (
            "ocsp-stapling",
            "property \"ocsp_stapling\" validation failed: property \"cache_ttl\" validation failed: expected 59 to be at least 60",
        ),
    ] {
        let gateway = Gateway::start_knowing(Plugins::new(lists(&[plugin], &[])), &[]).await;
        let schema = gateway.ask("GET /apisix/admin/schema/ssl", "").await.body;
        assert_eq!(schema.contains("ocsp_stapling"), plugin != "cors");
        let reply = gateway
            .ask("PUT /apisix/admin/ssls/1", &ssl.to_string())
            .await;
        assert_eq!(reply.status, 400);
        assert!(
            reply.body.contains(&expected.replace('"', "\\\"")),
            "{}",
            reply.body
        );
    }
}

#[tokio::test]
async fn a_reload_reads_the_lists_and_stores_them() {
    let is_readable = Arc::new(AtomicBool::new(false));
    let asked = is_readable.clone();
    let source = move || {
        let is_readable = asked.load(Ordering::Relaxed);
        is_readable.then(|| lists(&["jwt-auth"], &["mqtt-proxy"]))
    };
    let plugins = Plugins::new(lists(&["cors"], &[])).reading(Arc::new(source));
    let gateway = Gateway::start_knowing(plugins, &[]).await;
    let reload = ("PUT plugins/reload", json!(""), 200, json!("done"));
    let listed = |names: Value| ("GET plugins/list", json!(""), 200, names);
    gateway
        .check(&[reload.clone(), listed(json!(["cors"]))])
        .await;
    is_readable.store(true, Ordering::Relaxed);
    gateway.check(&[reload, listed(json!(["jwt-auth"]))]).await;
    let stored = gateway.store.value("plugins").unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&stored).unwrap(),
        json!([{"name": "jwt-auth"}, {"name": "mqtt-proxy", "stream": true}])
    );
}

/// Nodes without an Admin API follow the stored lists, so those of another start are replaced; the same in another order are left alone.
#[tokio::test]
async fn a_start_replaces_other_lists() {
    let on = || Plugins::new(lists(&["cors", "gzip"], &["syslog"]));
    let stored = r#"[{"name":"cors"},{"name":"gzip"},{"name":"syslog","stream":true}]"#;
    for (before, after) in [
        (
            r#"[{"name":"syslog","stream":true},{"name":"gzip"},{"name":"cors"}]"#,
            None,
        ),
        (
            r#"[{"name":"syslog"},{"name":"gzip"},{"name":"cors"}]"#,
            Some(stored),
        ),
        ("[]", Some(stored)),
        ("no list", Some(stored)),
    ] {
        let gateway = Gateway::start_knowing(on(), &[("plugins", before)]).await;
        let found = gateway.store.value("plugins").unwrap();
        assert_eq!(found, after.unwrap_or(before), "{before}");
    }
}
