//! `init_etcd`: what it finds out, and the words that scripts look for.

use serde_json::json;

use super::server::Etcd;
use crate::{
    gateway::{KEY, config},
    support::{free_ports, lockgate, text, write},
};

/// `init_etcd` with these hosts: whether it ended well, and what it printed to its two streams.
fn init_etcd(hosts: &[u16], more: &str) -> (bool, String, String) {
    init_etcd_as("role_traditional", hosts, more)
}

fn init_etcd_as(role: &str, hosts: &[u16], more: &str) -> (bool, String, String) {
    let prefix = tempfile::tempdir().expect("directory");
    let hosts: Vec<_> = hosts
        .iter()
        .map(|port| format!("'http://127.0.0.1:{port}'"))
        .collect();
    let file = config(free_ports(), KEY, "").replace(
        "role_traditional: {config_provider: embedded}",
        &format!(
            "{role}: {{config_provider: etcd}}\n  etcd: {{host: [{}], prefix: /apisix, timeout: 2, startup_retry: 2{more}}}",
            hosts.join(", ")
        ),
    );
    write(prefix.path(), "conf/config.yaml", &file);
    let mut command = lockgate();
    command
        .arg("-p")
        .arg(prefix.path())
        .args(["init_etcd", "-v"]);
    let output = command.output().expect("runs");
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn writes_the_keys_of_directories() {
    let etcd = Etcd::start();
    let (is_done, printed, complained) = init_etcd(&[etcd.address().port()], "");
    assert!(is_done, "{complained}");
    assert!(
        printed.starts_with("trying to initialize the data of etcd\n"),
        "{printed}"
    );
    assert_eq!(etcd.get("/apisix/routes/").as_deref(), Some("init_dir"));
    assert!(
        init_etcd(&[etcd.address().port()], "").0,
        "it can be done again"
    );
}

#[test]
fn a_data_plane_writes_nothing() {
    let etcd = Etcd::start();
    let role = "role: data_plane\n  role_data_plane";
    let (is_done, printed, complained) = init_etcd_as(role, &[etcd.address().port()], "");
    assert!(is_done, "{complained}");
    let skipped = "access from the data plane to etcd should be read-only, skip initializing the data of etcd\n";
    assert_eq!(printed, skipped);
    assert!(etcd.everything().is_empty());
}

#[test]
fn says_what_is_wrong_with_the_user() {
    let etcd = Etcd::start();
    let with = |password: &str| {
        let user = format!(", user: root, password: {password}");
        init_etcd(&[etcd.address().port()], &user)
    };
    let (is_done, _, complained) = with("any");
    assert!(
        is_done && complained.contains("authentication is not enabled"),
        "{complained}"
    );
    etcd.ask(
        "/v3/auth/user/add",
        &json!({"name": "root", "password": "right"}),
    );
    etcd.ask("/v3/auth/role/add", &json!({"name": "root"}));
    etcd.ask(
        "/v3/auth/user/grant",
        &json!({"user": "root", "role": "root"}),
    );
    etcd.ask("/v3/auth/enable", &json!({}));
    assert!(with("right").0);
    let (is_done, _, complained) = with("wrong");
    assert!(
        !is_done && complained.contains("invalid user ID or password"),
        "{complained}"
    );
}

#[test]
fn more_than_half_of_the_hosts_must_answer() {
    let etcd = Etcd::start();
    let [away, other] = free_ports();
    let (is_done, printed, complained) = init_etcd(&[etcd.address().port(), away], "");
    assert!(!is_done && printed.contains("retry time=2"), "{printed}");
    let half = "lockgate: the etcd cluster needs at least 50% and above healthy nodes\n";
    assert!(complained.ends_with(half), "{complained}");

    let (is_done, printed, complained) = init_etcd(&[other, away], "");
    let warning = format!(
        "Warning! Request etcd endpoint 'http://127.0.0.1:{other}/version' error, connection refused, retry time=1\n"
    );
    assert!(!is_done && printed.starts_with(&warning), "{printed}");
    assert!(
        complained.ends_with("lockgate: all etcd nodes are unavailable\n"),
        "{complained}"
    );
}
