//! A real DNS server: dnsmasq, of Debian's package where it is not installed.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

const DNSMASQ: &str = "/usr/sbin/dnsmasq";

/// A running server. The names that change stand in a hosts file, the others on its command line.
pub(crate) struct Dnsmasq {
    pub(crate) port: u16,
    process: Child,
    hosts: PathBuf,
    arguments: Vec<String>,
    _files: tempfile::TempDir,
}

impl Dnsmasq {
    /// A server for `test`, with a time to live of one second.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let hosts = files.path().join("hosts");
        std::fs::write(&hosts, "").expect("written");
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        // Between looking for a free port and using it, another process may take it.
        for _ in 0..10 {
            let port = free_port();
            if let Some(process) = spawn(port, &hosts, &arguments) {
                return Self {
                    port,
                    process,
                    hosts,
                    arguments,
                    _files: files,
                };
            }
        }
        panic!("{DNSMASQ} does not start");
    }

    /// Replaces the names of the hosts file.
    pub(crate) fn hosts(&self, text: &str) {
        std::fs::write(&self.hosts, text).expect("written");
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::HUP).expect("it runs");
    }

    pub(crate) fn stop(&mut self) {
        // It may have ended by itself.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }

    pub(crate) fn start_again(&mut self) {
        let process = spawn(self.port, &self.hosts, &self.arguments);
        self.process = process.expect("its port is free");
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").port()
}

/// Starts it, and waits until it answers.
fn spawn(port: u16, hosts: &Path, arguments: &[String]) -> Option<Child> {
    install();
    let mut process = Command::new(DNSMASQ)
        .args(["--no-daemon", "--log-facility=-", "--conf-file=/dev/null"])
        .args(["--no-resolv", "--no-hosts", "--user=", "--group="])
        .args(["--listen-address=127.0.0.1", "--bind-interfaces"])
        .args(["--local=/test/", "--local-ttl=1", "--pid-file="])
        .arg(format!("--port={port}"))
        .arg(format!("--addn-hosts={}", hosts.display()))
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let log = process.stderr.take().expect("piped");
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let is_up = lines.any(|line| line.contains("started"));
    // It must not stop at a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    if !is_up {
        let _status = process.wait();
        return None;
    }
    Some(process)
}

fn install() {
    let path = Path::new(DNSMASQ);
    if path.exists() {
        return;
    }
    let lock = File::create(std::env::temp_dir().join("lockgate-install-dnsmasq.lock"))
        .expect("a temporary file can be made");
    lock.lock().expect("the file can be locked");
    if path.exists() {
        return;
    }
    for arguments in [
        &["update"][..],
        &["install", "-y", "--no-install-recommends", "dnsmasq-base"],
    ] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output();
        let is_done = status.is_ok_and(|output| output.status.success());
        assert!(
            is_done,
            "these tests need dnsmasq in {DNSMASQ}, and apt-get failed (it needs root)"
        );
    }
}
