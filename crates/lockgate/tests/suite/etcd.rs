//! The gateway with its configuration in etcd: what others write is served, and it goes on while etcd is away.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    gateway::{Gateway, config},
    support::{PATIENCE, Process, exchange, free_ports, get, lockgate, write},
};

#[path = "../../../store/tests/suite/etcd/install.rs"]
mod install;

/// Where a route of `reaches` leads to: its node refuses connections.
const NODES: &str = r#""upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}"#;

/// An etcd of its own.
struct Etcd {
    dir: tempfile::TempDir,
    client: u16,
    peer: u16,
    child: Child,
}

impl Etcd {
    fn start() -> Self {
        // Another test may take a port first.
        for _ in 0..5 {
            let dir = tempfile::tempdir().expect("directory");
            let [client, peer] = free_ports();
            let child = spawn(dir.path(), client, peer);
            let mut etcd = Self {
                dir,
                client,
                peer,
                child,
            };
            if etcd.is_ready() {
                return etcd;
            }
        }
        panic!("no port stays free");
    }

    fn is_ready(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let answers = TcpStream::connect(self.address()).is_ok();
            if answers && get(self.address(), "/health").contains("\"true\"") {
                return true;
            }
            if self.child.try_wait().expect("waited for").is_some() {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.client))
    }

    fn kill(&mut self) {
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }

    fn restart(&mut self) {
        self.child = spawn(self.dir.path(), self.client, self.peer);
        assert!(self.is_ready(), "etcd does not come back");
    }

    /// Asks through the JSON interface, as the reference does.
    fn ask(&self, path: &str, question: &str) -> String {
        let length = question.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{question}"
        );
        let answer = exchange(self.address(), &request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(dir: &Path, client: u16, peer: u16) -> Child {
    let log = fs::File::create(dir.join("log")).expect("log");
    let (client, peer) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    Command::new(install::etcd())
        .args(["--name", "a", "--initial-cluster", &format!("a={peer}")])
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .arg("--data-dir")
        .arg(dir.join("data"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .spawn()
        .expect("starts")
}

/// A gateway on this etcd, in a directory that may have been used before.
fn start(etcd: &Etcd, prefix: tempfile::TempDir) -> Gateway {
    let ports = free_ports();
    let file = config(ports, crate::gateway::KEY, "").replace(
        "role_traditional: {config_provider: embedded}",
        &format!(
            "role_traditional: {{config_provider: etcd}}\n  etcd: {{host: ['http://127.0.0.1:{}'], timeout: 5, resync_delay: 1, startup_retry: 1}}",
            etcd.client
        ),
    );
    write(prefix.path(), "conf/config.yaml", &file);
    let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
    assert!(process.says("the gateway runs"), "{}", process.said);
    let [proxy, admin, _] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    Gateway {
        process,
        prefix,
        proxy,
        admin,
    }
}

/// Waits until a path is routed, or is not.
fn reaches(gateway: &Gateway, path: &str, is_routed: bool) {
    let expected = if is_routed {
        "HTTP/1.1 502 "
    } else {
        "HTTP/1.1 404 "
    };
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if get(gateway.proxy, path).starts_with(expected) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("{path} is never answered {expected}");
}

#[test]
fn serves_what_is_in_etcd_and_goes_on_while_it_is_away() {
    let mut etcd = Etcd::start();
    let gateway = start(&etcd, tempfile::tempdir().expect("directory"));

    // What the Admin API writes is in etcd, below its key and as it is answered.
    let made = gateway.admin(
        "PUT",
        "routes/1",
        &format!(r#"{{"uri": "/ours", {NODES}}}"#),
    );
    assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    reaches(&gateway, "/ours", true);
    // /apisix/routes/1 in base64.
    let found = etcd.ask("/v3/kv/range", r#"{"key": "L2FwaXNpeC9yb3V0ZXMvMQ=="}"#);
    assert!(found.contains(r#""count":"1""#), "{found}");
    // And so are the placeholders: /apisix/routes/ with init_dir.
    let found = etcd.ask("/v3/kv/range", r#"{"key": "L2FwaXNpeC9yb3V0ZXMv"}"#);
    assert!(found.contains(r#""value":"aW5pdF9kaXI=""#), "{found}");

    // What another node writes is served: /apisix/routes/2 with {"uri":"/theirs","upstream":{"type":"roundrobin","nodes":{"127.0.0.1:1":1}}}.
    etcd.ask(
        "/v3/kv/put",
        r#"{"key": "L2FwaXNpeC9yb3V0ZXMvMg==", "value": "eyJ1cmkiOiIvdGhlaXJzIiwidXBzdHJlYW0iOnsidHlwZSI6InJvdW5kcm9iaW4iLCJub2RlcyI6eyIxMjcuMC4wLjE6MSI6MX19fQ=="}"#,
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
    let gateway = start(&etcd, prefix);
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
    etcd.ask(
        "/v3/kv/deleterange",
        r#"{"key": "L2FwaXNpeC9yb3V0ZXMvMg=="}"#,
    );
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
