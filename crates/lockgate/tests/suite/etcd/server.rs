//! etcd processes, and the JSON interface through which the reference speaks to them.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::install;
use crate::support::{PATIENCE, exchange, free_ports, get};

/// One member.
pub(super) struct Etcd {
    dir: tempfile::TempDir,
    name: &'static str,
    /// `name=url` of all members.
    cluster: String,
    client: u16,
    peer: u16,
    child: Option<Child>,
}

/// What is stored under a key.
pub(super) struct Stored {
    pub(super) value: String,
    pub(super) created: u64,
    pub(super) modified: u64,
}

impl Etcd {
    /// A cluster of one, ready.
    pub(super) fn start() -> Self {
        let [etcd] = Self::start_all(["a"]);
        etcd
    }

    /// A cluster of three, ready.
    pub(super) fn start_three() -> [Self; 3] {
        Self::start_all(["a", "b", "c"])
    }

    fn start_all<const N: usize>(names: [&'static str; N]) -> [Self; N] {
        // Another test may take a port first.
        for _ in 0..5 {
            let ports: [u16; 6] = free_ports();
            let urls: Vec<String> = (0..N)
                .map(|n| format!("{}=http://127.0.0.1:{}", names[n], ports[2 * n + 1]))
                .collect();
            let mut members: [Self; N] = std::array::from_fn(|n| Self {
                dir: tempfile::tempdir().expect("directory"),
                name: names[n],
                cluster: urls.join(","),
                client: ports[2 * n],
                peer: ports[2 * n + 1],
                child: None,
            });
            for member in &mut members {
                member.spawn();
            }
            if members.iter_mut().all(Self::is_ready) {
                return members;
            }
        }
        panic!("no port stays free");
    }

    fn spawn(&mut self) {
        let log = File::create(self.dir.path().join("log")).expect("log");
        let (client, peer) = (
            format!("http://127.0.0.1:{}", self.client),
            format!("http://127.0.0.1:{}", self.peer),
        );
        let child = Command::new(install::etcd())
            .args(["--name", self.name, "--initial-cluster", &self.cluster])
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("starts");
        self.child = Some(child);
    }

    fn is_ready(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let answers = std::net::TcpStream::connect(self.address()).is_ok();
            if answers && get(self.address(), "/health").contains("\"true\"") {
                return true;
            }
            let child = self.child.as_mut().expect("spawned");
            if child.try_wait().expect("waited for").is_some() {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }

    /// Where clients find it.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.client))
    }

    /// Ends it without a word.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill();
            let _waited = child.wait();
        }
    }

    /// Starts it again, on its data, and waits until it is ready.
    pub(super) fn restart(&mut self) {
        self.spawn();
        assert!(self.is_ready(), "etcd does not come back");
    }

    /// Forgets all data. It must have been killed.
    pub(super) fn wipe(&self) {
        fs::remove_dir_all(self.dir.path().join("data")).expect("removed");
    }

    /// Stops it in its tracks.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("alive");
    }

    /// Asks through the JSON interface, as the reference does.
    pub(super) fn ask(&self, path: &str, question: &Value) -> Value {
        let question = question.to_string();
        let length = question.len();
        let answer = exchange(
            self.address(),
            &format!("POST {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{question}"),
        );
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(" 200 "), "{answer}");
        serde_json::from_str(body).expect("JSON")
    }

    /// Puts as the reference does; the revision.
    pub(super) fn put(&self, key: &str, value: &str) -> u64 {
        let question = json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)});
        number(&self.ask("/v3/kv/put", &question)["header"]["revision"])
    }

    pub(super) fn delete(&self, key: &str) {
        self.ask("/v3/kv/deleterange", &json!({"key": STANDARD.encode(key)}));
    }

    /// Forgets what lies before a revision.
    pub(super) fn compact(&self, revision: u64) {
        let question = json!({"revision": revision.to_string(), "physical": true});
        self.ask("/v3/kv/compaction", &question);
    }

    /// The value of a key, as it is stored.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        let mut found = self.range(&json!({"key": STANDARD.encode(key)}));
        found.pop().map(|(_, stored)| stored.value)
    }

    /// Everything there is.
    pub(super) fn everything(&self) -> Vec<(String, Stored)> {
        let nul = STANDARD.encode([0]);
        self.range(&json!({"key": nul, "range_end": nul}))
    }

    fn range(&self, question: &Value) -> Vec<(String, Stored)> {
        let answer = self.ask("/v3/kv/range", question);
        let decode = |text: &Value| {
            let bytes = STANDARD.decode(text.as_str().unwrap_or_default());
            String::from_utf8(bytes.expect("base64")).expect("text")
        };
        let kvs = answer["kvs"].as_array().into_iter().flatten();
        kvs.map(|kv| {
            let stored = Stored {
                value: decode(&kv["value"]),
                created: number(&kv["create_revision"]),
                modified: number(&kv["mod_revision"]),
            };
            (decode(&kv["key"]), stored)
        })
        .collect()
    }

    /// How many calls of a method it has answered.
    pub(super) fn answered(&self, method: &str) -> u64 {
        let metrics = get(self.address(), "/metrics");
        let name = format!("grpc_method=\"{method}\"");
        metrics
            .lines()
            .filter(|line| line.starts_with("grpc_server_handled_total") && line.contains(&name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>() as u64
    }

    /// Whether this member leads.
    pub(super) fn is_leader(&self) -> bool {
        let status = self.ask("/v3/maintenance/status", &json!({}));
        status["leader"] == status["header"]["member_id"]
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A number as the JSON interface writes it; absent where it is 0.
fn number(value: &Value) -> u64 {
    value.as_str().unwrap_or("0").parse().expect("a number")
}
