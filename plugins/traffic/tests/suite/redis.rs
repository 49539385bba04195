//! Counts that several gateways share in Redis, and what becomes of requests while it is away.

use std::net::SocketAddr;

use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_plugin::{
    NodeOptions,
    testing::{Kit, Request, Tested},
};
use lockgate_plugins_traffic::limit_count::LimitCount;
use lockgate_testkit::{
    Client, Gateway, Origin, PATIENCE, eventually,
    redis::{MASTER_NAME, Redis, RedisCluster, Sentinels},
};
use serde_json::{Value, json};

use crate::{get, route, setup};

/// A configuration with some members more.
fn with(config: &Value, more: &Value) -> Value {
    let mut config = config.clone();
    let members = config.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    config
}

fn single(address: SocketAddr) -> Value {
    json!({"policy": "redis", "redis_host": address.ip().to_string(), "redis_port": address.port()})
}

/// Two gateways with the same plugin.
fn two(origin: &Origin, plugin: &str, config: &Value) -> [Gateway; 2] {
    let plugins = json!({plugin: config});
    [(); 2].map(|()| {
        setup()
            .put("routes/1", &route(origin, &plugins))
            .start_silent()
    })
}

/// Statuses of requests to gateways, one after the other in turns.
fn statuses(gateways: &[Gateway], count: usize) -> Vec<u16> {
    let gateways = gateways.iter().cycle().take(count);
    gateways
        .map(|gateway| get(gateway, "/", "").status())
        .collect()
}

/// The limiting plugins, each so that it lets three of five requests at once pass, and the beginning of its keys.
fn limits() -> [(&'static str, Value, &'static str); 4] {
    let count = json!({"count": 3, "time_window": 1000});
    let sliding = with(
        &count,
        &json!({"window_type": "sliding", "time_window": 1_000_000}),
    );
    let rate = json!({"rate": 0.001, "burst": 2, "nodelay": true, "key": "remote_addr"});
    [
        (
            "limit-count",
            count.clone(),
            "plugin-limit-count:v1:/apisix/routes/1:",
        ),
        (
            "limit-count",
            sliding,
            "plugin-limit-count:/apisix/routes/1:",
        ),
        (
            "limit-count",
            with(&count, &json!({"group": "all"})),
            "plugin-limit-count:v1:all:",
        ),
        ("limit-req", rate, "limit_req:/apisix/routes/1:"),
    ]
}

#[test]
fn gateways_count_together_on_one_server() {
    let origin = Origin::saying("ok");
    for (plugin, config, begin) in limits() {
        let redis = Redis::start();
        let config = with(&config, &single(redis.address()));
        let gateways = two(&origin, plugin, &config);
        assert_eq!(
            statuses(&gateways, 5),
            [200, 200, 200, 503, 503],
            "{config}"
        );
        let keys = redis.command(&["KEYS", "*"]);
        assert!(keys.contains(begin), "{keys} {config}");
    }
}

#[test]
fn gateways_count_together_in_a_cluster() {
    let origin = Origin::saying("ok");
    let cluster = RedisCluster::start();
    let nodes = cluster.addresses().map(|address| address.to_string());
    let policy =
        json!({"policy": "redis-cluster", "redis_cluster_nodes": nodes, "redis_cluster_name": "a"});
    for (plugin, config, _) in limits() {
        let gateways = two(&origin, plugin, &with(&config, &policy));
        assert_eq!(
            statuses(&gateways, 5),
            [200, 200, 200, 503, 503],
            "{config}"
        );
    }
}

#[test]
fn gateways_count_together_where_sentinels_say() {
    let origin = Origin::saying("ok");
    let set = Sentinels::start();
    let sentinels = set.addresses();
    let sentinels = sentinels.map(|it| json!({"host": it.ip().to_string(), "port": it.port()}));
    let policy = json!({"policy": "redis-sentinel", "redis_sentinels": sentinels, "redis_master_name": MASTER_NAME});
    let config = with(&json!({"count": 3, "time_window": 1000}), &policy);
    let gateways = two(&origin, "limit-count", &config);
    assert_eq!(statuses(&gateways, 5), [200, 200, 200, 503, 503]);
}

#[test]
fn what_is_left_and_when_it_ends_is_told() {
    let origin = Origin::saying("ok");
    let redis = Redis::start();
    let config = with(
        &json!({"count": 2, "time_window": 100}),
        &single(redis.address()),
    );
    let gateways = two(&origin, "limit-count", &config);
    for (gateway, remaining) in [(0, "1"), (1, "0"), (0, "0")] {
        let answer = get(&gateways[gateway], "/", "");
        assert_eq!(answer.field("X-RateLimit-Limit"), Some("2"));
        assert_eq!(answer.field("X-RateLimit-Remaining"), Some(remaining));
        let reset: f64 = answer
            .field("X-RateLimit-Reset")
            .and_then(|text| text.parse().ok())
            .expect("a number");
        assert!((90.0..=100.0).contains(&reset), "{reset}");
    }
}

#[test]
fn requests_that_cannot_be_counted_are_refused_or_pass() {
    let origin = Origin::saying("ok");
    let mut redis = Redis::start();
    let address = redis.address();
    redis.kill();
    let conn = json!({"conn": 5, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr"});
    let rate = json!({"rate": 5, "burst": 5, "key": "remote_addr"});
    for (plugin, config, body) in [
        (
            "limit-count",
            json!({"count": 2, "time_window": 60}),
            Some("{\"error_msg\":\"failed to limit count\"}\n"),
        ),
        ("limit-req", rate, None),
        ("limit-conn", conn, None),
    ] {
        for (degrades, status) in [(false, 500), (true, 200)] {
            let more = json!({"allow_degradation": degrades});
            let config = with(&with(&config, &single(address)), &more);
            let gateway = setup()
                .put("routes/1", &route(&origin, &json!({plugin: config})))
                .start_silent();
            let answer = get(&gateway, "/", "");
            assert_eq!(answer.status(), status, "{config}");
            if let (false, Some(body)) = (degrades, body) {
                assert_eq!(answer.text(), body);
            }
        }
    }
}

#[test]
fn requests_leave_a_shared_count() {
    let origin = Origin::saying("ok");
    let redis = Redis::start();
    let config = json!({"conn": 1, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr", "key_ttl": 60});
    let config = with(&config, &single(redis.address()));
    let gateways = two(&origin, "limit-conn", &config);
    for gateway in gateways.iter().cycle().take(4) {
        // The request before leaves in the background.
        eventually("the request before has left", || {
            redis.command(&["KEYS", "limit_conn:*"]).trim().is_empty()
        });
        assert_eq!(get(gateway, "/", "").status(), 200);
    }
    eventually("the last has left", || {
        redis.command(&["KEYS", "limit_conn:*"]).trim().is_empty()
    });
}

#[test]
fn what_is_told_later_is_told() {
    let origin = Origin::saying("ok");
    let redis = Redis::start();
    let config = json!({"count": 100, "time_window": 1000, "sync_interval": 0.1});
    let config = with(&config, &single(redis.address()));
    let gateways = two(&origin, "limit-count", &config);
    assert_eq!(statuses(&gateways[..1], 3), [200; 3]);
    // An edit elsewhere loses nothing that was not told yet.
    let mut edited = route(&origin, &json!({"limit-count": config}));
    edited["desc"] = json!("edited");
    gateways[0].put("routes/1", &edited);
    assert_eq!(statuses(&gateways[..1], 2), [200; 2]);
    let key = redis.command(&["KEYS", "plugin-limit-count:v1:*"]);
    let key = key.trim().to_owned();
    eventually("redis is told", || {
        redis.command(&["GET", &key]).trim() == "5"
    });
    let answer = get(&gateways[1], "/", "");
    assert_eq!(answer.field("X-RateLimit-Remaining"), Some("94"));
}

#[test]
fn what_is_told_later_is_told_although_the_configuration_is_gone() {
    let origin = Origin::saying("ok");
    let redis = Redis::start();
    let config = json!({"count": 100, "time_window": 1000, "sync_interval": 0.1});
    let config = with(&config, &single(redis.address()));
    let gateway = setup()
        .put("routes/1", &route(&origin, &json!({"limit-count": config})))
        .start_silent();
    let mut client = Client::connect(gateway.address);
    for _ in 0..3 {
        assert_eq!(client.get("/").status(), 200);
        gateway.put("routes/1", &route(&origin, &json!({})));
        assert_eq!(client.get("/").status(), 200);
        gateway.put("routes/1", &route(&origin, &json!({"limit-count": config})));
    }
    gateway.put("routes/1", &route(&origin, &json!({})));
    // Workers hold what was in force until their next request.
    eventually("redis is told of all", || {
        client.get("/");
        count_in(&redis) == "3"
    });
}

/// The one counter that there is.
fn count_in(redis: &Redis) -> String {
    let key = redis.command(&["KEYS", "plugin-limit-count:v1:*"]);
    redis.command(&["GET", key.trim()]).trim().to_owned()
}

#[test]
fn redis_knows_everything_when_the_process_ends() {
    let redis = Redis::start();
    let origin = Origin::saying("ok");
    let (begun, has_begun) = std::sync::mpsc::channel();
    let silent = Origin::start(move |connection| {
        connection.request();
        begun.send(()).expect("the test waits");
        connection.rest();
    });
    let conn = json!({"conn": 9, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr"});
    let count = json!({"count": 100, "time_window": 1000, "sync_interval": 900});
    let [conn, count] = [conn, count].map(|config| with(&config, &single(redis.address())));
    let mut under_way = route(&silent, &json!({"limit-conn": conn}));
    under_way["uri"] = json!("/under-way");
    // The runtime is what ends with a process.
    let kit = Kit::new();
    let node = kit.node.clone();
    let gateway = setup()
        .with(|setup| setup.node = Some(node.clone()))
        .put("routes/1", &route(&origin, &json!({"limit-count": count})))
        .put("routes/2", &under_way)
        .start_silent();
    let mut client = Client::connect(gateway.address);
    client.send("GET /under-way HTTP/1.1\r\nHost: a.test\r\n\r\n");
    has_begun.recv_timeout(PATIENCE).expect("it is under way");
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/", "").status(), 200);
    }
    let places = || redis.command(&["KEYS", "limit_conn:*"]).trim().to_owned();
    assert!(!places().is_empty());
    assert_eq!(count_in(&redis), "0", "the interval is not over");
    drop(gateway);
    let runtime = node.runtime().clone();
    runtime.block_on(node.shut_down(PATIENCE));
    drop(kit);
    assert_eq!(places(), "");
    assert_eq!(count_in(&redis), "3");
}

#[test]
fn a_reload_resolves_the_names_of_servers_anew() {
    let redis = Redis::start();
    let hosts = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(hosts.path(), "127.0.0.1 redis.test\n").expect("written");
    let config = json!({
        "count": 9, "time_window": 60, "policy": "redis", "redis_host": "redis.test", "redis_port": redis.port(), "redis_timeout": 30_000,
    });
    let mut kit = Kit::new();
    let answer = |kit: &Kit| {
        let plugin = kit.plugin::<LimitCount>(&config).expect("valid");
        let answer = plugin.access(&mut Request::get("/"));
        (plugin, answer.map(|answer| answer.status))
    };
    let (_in_force, answered) = answer(&kit);
    assert_eq!(answered, Some(500));
    let mut options = NodeOptions::clone(&kit.node.options());
    options.resolver = Resolver::new(DnsOptions {
        hosts: hosts.path().to_owned(),
        ..DnsOptions::default()
    });
    kit.node = kit.node.renewed(options);
    assert_eq!(answer(&kit).1, None);
}

#[test]
fn a_reload_forgets_nothing_that_is_still_to_be_told() {
    let redis = Redis::start();
    let config = json!({"count": 3, "time_window": 1000, "sync_interval": 900});
    let config = with(&config, &single(redis.address()));
    let config = with(&config, &json!({"redis_timeout": 30_000}));
    let mut kit = Kit::new();
    let ask = |plugin: &Tested| {
        let answer = plugin.access(&mut Request::get("/"));
        answer.map(|answer| answer.status)
    };
    let before = kit.plugin::<LimitCount>(&config).expect("valid");
    assert_eq!([(); 2].map(|()| ask(&before)), [None; 2]);
    kit.node = kit.node.renewed(NodeOptions::clone(&kit.node.options()));
    let after = kit.plugin::<LimitCount>(&config).expect("valid");
    assert_eq!(
        [(); 2].map(|()| ask(&after)),
        [None, Some(503)],
        "of both together"
    );
    assert_eq!(ask(&before), Some(503));
}

#[test]
fn a_node_counts_alone_while_nobody_can_be_told() {
    let origin = Origin::saying("ok");
    let mut redis = Redis::start();
    let address = redis.address();
    redis.kill();
    let config = json!({"count": 3, "time_window": 1000, "sync_interval": 0.5});
    let config = with(&config, &single(address));
    let gateways = two(&origin, "limit-count", &config);
    assert_eq!(statuses(&gateways[..1], 5), [200, 200, 200, 503, 503]);
}
