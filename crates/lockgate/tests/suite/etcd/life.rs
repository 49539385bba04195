//! What others write is served, and it goes on while etcd is away.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    gateway::Gateway,
    support::{PATIENCE, Process, free_ports, lockgate, write},
};

use super::{
    node::{NODES, Node, reaches},
    server::Etcd,
};

#[test]
fn serves_what_is_in_etcd_and_goes_on_while_it_is_away() {
    let mut etcd = Etcd::start();
    let gateway = Node::start(&[&etcd]).gateway;

    // What the Admin API writes is in etcd, below its key and as it is answered.
    let made = gateway.admin(
        "PUT",
        "routes/1",
        &format!(r#"{{"uri": "/ours", {NODES}}}"#),
    );
    assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    reaches(&gateway, "/ours", true);
    assert!(etcd.get("/apisix/routes/1").is_some());
    // And so are the placeholders.
    assert_eq!(etcd.get("/apisix/routes/").as_deref(), Some("init_dir"));

    // What another node writes is served.
    etcd.put(
        "/apisix/routes/2",
        &format!(r#"{{"uri":"/theirs",{NODES}}}"#),
    );
    reaches(&gateway, "/theirs", true);

    // Without etcd it serves on, and takes no writes.
    etcd.kill();
    let refused = gateway.admin("PUT", "routes/3", &format!(r#"{{"uri": "/new", {NODES}}}"#));
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    reaches(&gateway, "/theirs", true);
    reaches(&gateway, "/ours", true);

    // A start without etcd is made from the copy, once that has been written.
    let copy = gateway.prefix.path().join("data/last-known-good.json");
    let began = Instant::now();
    while !fs::read_to_string(&copy)
        .unwrap_or_default()
        .contains("/theirs")
    {
        assert!(began.elapsed() < PATIENCE, "no copy is written");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let Gateway {
        process, prefix, ..
    } = gateway;
    drop(process);
    let gateway = Node::start_in(prefix, &[etcd.address()], "").gateway;
    assert!(
        gateway
            .process
            .said
            .contains("the start is made from the local copy"),
        "{}",
        gateway.process.said
    );
    reaches(&gateway, "/theirs", true);

    // When etcd is back, so are changes, without a start.
    etcd.restart();
    etcd.delete("/apisix/routes/2");
    reaches(&gateway, "/theirs", false);
    reaches(&gateway, "/ours", true);
    let made = gateway.admin("PUT", "routes/3", &format!(r#"{{"uri": "/new", {NODES}}}"#));
    assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    reaches(&gateway, "/new", true);
}

#[test]
fn a_start_without_etcd_and_without_a_copy_says_so() {
    let prefix = tempfile::tempdir().expect("directory");
    let [port] = free_ports();
    write(
        prefix.path(),
        "conf/config.yaml",
        &format!(
            "deployment: {{etcd: {{host: ['http://127.0.0.1:{port}'], startup_retry: 1}}, admin: {{admin_key_required: false}}}}\n\
             nginx_config: {{error_log: stderr}}\n"
        ),
    );
    let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
    assert!(!process.says("the gateway runs"));
    assert_eq!(process.end().code(), Some(1));
    let copy = prefix.path().join("data/last-known-good.json");
    assert_eq!(
        process.said.lines().last(),
        Some(&*format!(
            "lockgate: etcd cannot be reached: http://127.0.0.1:{port}: Connection refused (os error 111); there is no local copy {}",
            copy.display()
        ))
    );
}
