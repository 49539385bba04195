//! What becomes of traffic, of writes and of changes when etcd fails. Each test is a line of the table in `docs/etcd.md`.

use super::{
    cable::Cable,
    node::{NODES, Node, reaches, until, until_status},
    server::Etcd,
    traffic::Traffic,
};

/// Everything that the Admin API does with etcd, and that cannot be done without it.
const ASKED: &[(&str, &str, &str)] = &[
    ("GET", "routes", ""),
    ("GET", "routes/traffic", ""),
    ("GET", "consumers/jack/credentials", ""),
    ("GET", "secrets", ""),
    ("PUT", "routes/1", r#"{"uri": "/1", "plugins": {}}"#),
    ("POST", "routes", r#"{"uri": "/1", "plugins": {}}"#),
    ("PATCH", "routes/traffic", r#"{"desc": "a"}"#),
    ("PATCH", "routes/traffic/desc", r#""a""#),
    ("DELETE", "routes/traffic?force=true", ""),
    ("PUT", "consumers/jack/credentials/a", r#"{"plugins": {}}"#),
    (
        "PUT",
        "plugin_metadata/http-logger",
        r#"{"log_format": {}}"#,
    ),
];

/// Without etcd nothing is read or written, and that is said as the reference says it.
fn refuses_everything(node: &Node) {
    for (method, path, body) in ASKED {
        let answer = node.admin(method, path, body);
        let said = answer.body["error_msg"].as_str().unwrap_or_default();
        assert_eq!(answer.status, 503, "{method} {path}: {}", answer.head);
        assert!(!said.is_empty(), "{method} {path}: {}", answer.body);
        let fields = answer.body.as_object().map(serde_json::Map::len);
        assert_eq!(fields, Some(1), "{method} {path}: {}", answer.body);
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("\r\nx-api-version: v3\r\n"), "{head}");
        assert!(
            head.contains("\r\ncontent-type: application/json\r\n"),
            "{head}"
        );
    }
    // Something that an object refers to cannot be looked up: a refusal of the object, as in the reference.
    let body = r#"{"uri": "/1", "upstream_id": "traffic"}"#;
    let answer = node.admin("PUT", "routes/1", body);
    let said = answer.body["error_msg"].as_str().unwrap_or_default();
    assert_eq!(answer.status, 400, "{}", answer.head);
    assert!(
        said.starts_with("failed to fetch upstream info by upstream id [traffic]: "),
        "{said}"
    );
}

/// What is written to etcd arrives.
fn follows(node: &Node, etcd: &Etcd, path: &str) {
    etcd.put(
        &format!("/apisix/routes{path}"),
        &format!(r#"{{"uri":"{path}",{NODES}}}"#),
    );
    reaches(&node.gateway, path, true);
}

#[test]
fn no_request_fails_while_etcd_is_killed_and_started_again() {
    let mut etcd = Etcd::start();
    let node = Node::start(&[&etcd]);
    let traffic = Traffic::start(&node);
    etcd.kill();
    traffic.goes_on();
    refuses_everything(&node);
    traffic.goes_on();
    etcd.restart();
    follows(&node, &etcd, "/after");
    traffic.must_not_have_failed();
}

#[test]
fn no_request_fails_while_etcd_stands_still() {
    let etcd = Etcd::start();
    let node = Node::start_with(&[etcd.address()], ", timeout: 1, watch_timeout: 2");
    let traffic = Traffic::start(&node);
    etcd.pause();
    for (method, path, body) in [
        ("GET", "routes", ""),
        ("PUT", "routes/1", r#"{"uri": "/1", "plugins": {}}"#),
    ] {
        let answer = node.admin(method, path, body);
        assert_eq!(answer.status, 503, "{method} {path}: {}", answer.head);
        let said = answer.body["error_msg"].as_str().unwrap_or_default();
        assert!(said.contains("no answer within"), "{said}");
    }
    traffic.goes_on();
    etcd.resume();
    follows(&node, &etcd, "/after");
    traffic.must_not_have_failed();
}

#[test]
fn no_request_fails_when_changes_were_compacted_that_nobody_brought() {
    let etcd = Etcd::start();
    let cable = Cable::to(etcd.address());
    let mut node = Node::start_with(&[cable.address], "");
    follows(&node, &etcd, "/gone");
    follows(&node, &etcd, "/stays");
    let traffic = Traffic::start(&node);
    cable.cut();
    etcd.delete("/apisix/routes/gone");
    let missed = etcd.put(
        "/apisix/routes/missed",
        &format!(r#"{{"uri":"/missed",{NODES}}}"#),
    );
    etcd.compact(missed);
    cable.mend();
    assert!(node.gateway.process.says("changes were missed"));
    reaches(&node.gateway, "/missed", true);
    reaches(&node.gateway, "/gone", false);
    reaches(&node.gateway, "/stays", true);
    follows(&node, &etcd, "/after");
    traffic.must_not_have_failed();
}

#[test]
fn no_request_fails_when_etcd_comes_back_with_nothing() {
    let mut etcd = Etcd::start();
    let mut node = Node::start(&[&etcd]);
    // More than the placeholders of directories, which every start writes to an empty etcd.
    for n in 0..20 {
        follows(&node, &etcd, &format!("/{n}"));
    }
    let traffic = Traffic::start(&node);
    etcd.kill();
    etcd.wipe();
    etcd.restart();
    assert!(
        node.gateway
            .process
            .says("the store was made anew and is empty")
    );
    traffic.goes_on();
    // A reload changes nothing about that.
    let file = node.gateway.file();
    assert!(node.gateway.reload(&file), "{}", node.gateway.process.said);
    traffic.goes_on();
    traffic.must_not_have_failed();
    reaches(&node.gateway, "/0", true);
    // What is written to it counts, and nothing else.
    follows(&node, &etcd, "/new");
    reaches(&node.gateway, "/0", false);
    until_status(&node.gateway, "/traffic", "404");
    node.put("routes/1", &format!(r#"{{"uri": "/by-admin", {NODES}}}"#));
    reaches(&node.gateway, "/by-admin", true);
}

#[test]
fn no_request_fails_while_the_leader_changes() {
    let mut etcd = Etcd::start_three();
    let node = Node::start(&etcd.each_ref());
    let traffic = Traffic::start(&node);
    for round in 0..2 {
        let leader = etcd.iter().position(Etcd::is_leader).expect("a leader");
        etcd[leader].kill();
        // A write that gets no answer says so; the next one finds a member that has a leader.
        until("no write succeeds", || {
            let body = format!(r#"{{"uri": "/round{round}", {NODES}}}"#);
            let answer = node.admin("PUT", &format!("routes/round{round}"), &body);
            assert!(matches!(answer.status, 200 | 201 | 503), "{}", answer.head);
            answer.status != 503
        });
        reaches(&node.gateway, &format!("/round{round}"), true);
        etcd[leader].restart();
    }
    traffic.must_not_have_failed();
}
