//! A process: started, killed, stopped in its tracks.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::install;

/// A Redis process, server or sentinel, in a directory of its own.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) dir: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Process {
    /// None yet, with a directory for its files.
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            arguments: Vec::new(),
            child: None,
        }
    }

    /// Starts it, with these arguments from here on.
    pub(super) fn start(&mut self, arguments: Vec<String>) {
        self.arguments = arguments;
        self.restart();
    }

    /// Starts it as before.
    pub(super) fn restart(&mut self) {
        let log = File::create(self.log_path()).expect("a log");
        let child = Command::new(install::server())
            .args(&self.arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("redis-server starts"));
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The line by which it tells itself apart, in the answer to `INFO server`, from who may have its port instead.
    pub(super) fn mark(&self) -> String {
        let child = self.child.as_ref().expect("it was started");
        format!("process_id:{}\r\n", child.id())
    }

    /// Whether it has ended by itself because somebody else has its port.
    pub(super) fn lost_its_port(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        if child.try_wait().expect("a child").is_none() {
            return false;
        }
        let log = self.log();
        assert!(log.contains("already in use"), "redis-server fails: {log}");
        true
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child");
            child.wait().expect("a child");
        }
    }

    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("a child of this test");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

/// Ports that were free a moment ago, all different.
pub(super) fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until all are known.
    let held: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    std::array::from_fn(|n| held[n].local_addr().expect("bound").port())
}

/// Starts something on free ports, again where somebody else takes one of them first.
pub(super) fn on_free_ports<T>(mut start: impl FnMut() -> Option<T>) -> T {
    (0..5)
        .find_map(|_attempt| start())
        .expect("free ports stay free long enough for redis-server")
}
