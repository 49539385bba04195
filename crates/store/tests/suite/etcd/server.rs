//! etcd processes, and the JSON interface through which the reference speaks to them.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_store::{ConnectError, Etcd, EtcdOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use super::install;

/// Longest that etcd may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Attempts at ports that somebody else takes first.
const PORT_ATTEMPTS: usize = 5;

/// One member.
pub(super) struct Server {
    pub(super) client_port: u16,
    peer_port: u16,
    name: String,
    /// `name=url` of all members.
    cluster: String,
    arguments: Vec<String>,
    dir: TempDir,
    child: Option<Child>,
}

impl Server {
    /// A cluster of one, ready.
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A cluster of one with further flags, ready.
    pub(super) async fn start_with(arguments: &[&str]) -> Self {
        for _ in 0..PORT_ATTEMPTS {
            let [mut server] = Self::members(["a"]);
            server.arguments = arguments.iter().map(|&text| text.to_owned()).collect();
            server.spawn();
            if server.is_ready().await {
                return server;
            }
        }
        panic!("no free ports for etcd");
    }

    /// A cluster of one that also serves over TLS, and its port for that.
    pub(super) async fn start_with_tls(arguments: &[&str]) -> (Self, u16) {
        for _ in 0..PORT_ATTEMPTS {
            let [mut server] = Self::members(["a"]);
            let port = free_port();
            server.arguments = arguments.iter().map(|&text| text.to_owned()).collect();
            server.arguments.extend([
                "--listen-client-urls".to_owned(),
                format!("{},https://127.0.0.1:{port}", server.url()),
            ]);
            server.spawn();
            if server.is_ready().await {
                return (server, port);
            }
        }
        panic!("no free ports for etcd");
    }

    /// A cluster of three, ready.
    pub(super) async fn start_three() -> [Self; 3] {
        for _ in 0..PORT_ATTEMPTS {
            let mut servers = Self::members(["a", "b", "c"]);
            for server in &mut servers {
                server.spawn();
            }
            let mut are_ready = true;
            for server in &mut servers {
                are_ready &= server.is_ready().await;
            }
            if are_ready {
                return servers;
            }
        }
        panic!("no free ports for etcd");
    }

    fn members<const N: usize>(names: [&str; N]) -> [Self; N] {
        // All are held until all are known, so that they differ.
        let listeners: Vec<TcpListener> = (0..2 * N)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        let port = |n: usize| listeners[n].local_addr().unwrap().port();
        let cluster: Vec<String> = (0..N)
            .map(|n| format!("{}=http://127.0.0.1:{}", names[n], port(2 * n + 1)))
            .collect();
        std::array::from_fn(|n| Self {
            client_port: port(2 * n),
            peer_port: port(2 * n + 1),
            name: names[n].to_owned(),
            cluster: cluster.join(","),
            arguments: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
            child: None,
        })
    }

    /// Where clients find it.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
    }

    /// Options with waits that suit a test.
    pub(super) fn options(&self) -> EtcdOptions {
        options(vec![self.url()])
    }

    pub(super) async fn connect(&self) -> Etcd {
        Etcd::connect(self.options()).await.unwrap()
    }

    /// The error of a connection that must fail.
    pub(super) async fn refusal(options: EtcdOptions) -> String {
        let error: ConnectError = Etcd::connect(options).await.unwrap_err();
        error.to_string()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn spawn(&mut self) {
        let log = File::create(self.dir.path().join("log")).unwrap();
        let (client, peer) = (self.url(), format!("http://127.0.0.1:{}", self.peer_port));
        let mut command = Command::new(install::etcd());
        command
            .args(["--name", &self.name, "--initial-cluster", &self.cluster])
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
            .args(["--logger", "zap", "--log-level", "warn"])
            .arg("--data-dir")
            .arg(self.data());
        // A flag that is given again counts.
        command.args(&self.arguments);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Waits until it answers; false where somebody else has its ports.
    async fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.health().await.is_some_and(|health| health == "true") {
                return true;
            }
            let has_ended = self.child.as_mut().unwrap().try_wait().unwrap().is_some();
            if has_ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap();
                assert!(log.contains("address already in use"), "etcd fails: {log}");
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn health(&self) -> Option<String> {
        let answer = self.exchange("GET", "/health", String::new()).await?;
        Some(answer["health"].as_str()?.to_owned())
    }

    /// Ends it without a word.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again, on its data, and waits until it is ready.
    pub(super) async fn restart(&mut self) {
        self.spawn();
        assert!(self.is_ready().await, "the ports of a test were taken");
    }

    /// Forgets all data. It must have been killed.
    pub(super) fn wipe(&self) {
        fs::remove_dir_all(self.data()).unwrap();
    }

    /// Stops it in its tracks.
    pub(super) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(super) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Asks through the JSON interface; the answer must not be an error.
    pub(super) async fn ask(&self, path: &str, question: Value) -> Value {
        let answer = self.exchange("POST", path, question.to_string()).await;
        let answer = answer.unwrap_or_else(|| panic!("{path} is not answered"));
        assert!(answer["error"].is_null(), "{path}: {answer}");
        answer
    }

    /// Puts as the reference does; the revision.
    pub(super) async fn put(&self, key: &str, value: &[u8]) -> u64 {
        let question = json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)});
        let answer = self.ask("/v3/kv/put", question).await;
        number(&answer["header"]["revision"])
    }

    /// Removes as the reference does; the revision.
    pub(super) async fn delete(&self, key: &str) -> u64 {
        let question = json!({"key": STANDARD.encode(key)});
        let answer = self.ask("/v3/kv/deleterange", question).await;
        number(&answer["header"]["revision"])
    }

    /// Everything there is, as key and value.
    pub(super) async fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let nul = STANDARD.encode([0]);
        let answer = self
            .ask("/v3/kv/range", json!({"key": nul, "range_end": nul}))
            .await;
        let decode = |text: &Value| STANDARD.decode(text.as_str().unwrap_or_default()).unwrap();
        let kvs = answer["kvs"].as_array().cloned().unwrap_or_default();
        kvs.iter()
            .map(|kv| {
                let key = String::from_utf8(decode(&kv["key"])).unwrap();
                (key, decode(&kv["value"]))
            })
            .collect()
    }

    /// Forgets what lies before a revision.
    pub(super) async fn compact(&self, revision: u64) {
        let question = json!({"revision": revision.to_string(), "physical": true});
        self.ask("/v3/kv/compaction", question).await;
    }

    /// Whether this member leads.
    pub(super) async fn is_leader(&self) -> bool {
        let status = self.ask("/v3/maintenance/status", json!({})).await;
        status["leader"] == status["header"]["member_id"]
    }

    /// One HTTP exchange; `None` where there is no answer.
    async fn exchange(&self, method: &str, path: &str, body: String) -> Option<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.client_port))
            .await
            .ok()?;
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (_head, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Options with waits that suit a test.
pub(super) fn options(endpoints: Vec<String>) -> EtcdOptions {
    EtcdOptions {
        endpoints,
        timeout: Duration::from_secs(5),
        watch_timeout: Duration::from_secs(5),
        health_check_timeout: Duration::from_secs(1),
        startup_retry: 1,
        resync_delay: Duration::from_millis(50),
        ..EtcdOptions::default()
    }
}

/// A number as the JSON interface writes it; absent where it is 0.
pub(super) fn number(value: &Value) -> u64 {
    value.as_str().unwrap_or("0").parse().unwrap()
}
